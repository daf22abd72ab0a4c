"""What runs in the process of one row of ``rag bench``: loads a model, and looks at the clock.

The task comes as JSON on standard input: ``{"limits": true}``, or the settings of one row, its
prompts and how many tokens to ask for. See ``rag.benchmark.run``, which starts it.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from rag.benchmark.prompts import Prompt
from rag.benchmark.rows import TimedAnswer
from rag.benchmark.run import MARK
from rag.benchmark.selection import reason_of
from rag.errors import RagError
from rag.evaluation.scoring import AnswerScore, score_answer
from rag.protocols import TextGenerator, never
from rag.types.answers import Message

WARM_UP_TOKENS = 8
SHORT_ANSWER_TOKENS = 48
_FIRST_ONLY = 2  # tokens of a follow-up; only its first counts


def main() -> None:
    """Do the task on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process
    task: dict[str, Any] = json.loads(sys.stdin.read())
    if task.get("limits"):
        _limits(quick=task["quick"])
        return
    try:
        _row(task)
    except RagError as error:
        reason = reason_of(error)
        tell("refused", en=reason.en, zh=reason.zh)


def tell(event: str, **values: Any) -> None:
    """Send an event to the process that started this one."""
    sys.stdout.write(f"{MARK}{json.dumps({'event': event, **values})}\n")
    sys.stdout.flush()


def _limits(*, quick: bool) -> None:
    from rag.benchmark import limits

    size = limits.QUICK_BYTES if quick else limits.COPY_BYTES
    for device in limits.devices():
        tell("limits", **limits.measure(device, copy_bytes=size))
    tell("done")


def _row(task: dict[str, Any]) -> None:
    from rag.app.container import Container
    from rag.config import Settings

    container = Container(Settings.model_validate(task["settings"]))
    began = perf_counter()
    generator = container.generator()
    device = "cpu" if generator.memory_bytes() is None else "cuda"
    tell("loaded", load_s=perf_counter() - began, device=device)
    speed = [Prompt.of(values) for values in task["speed"]]
    quality = [Prompt.of(values) for values in task["quality"]]
    for reading in time_answers(generator, speed, new_tokens=task["new_tokens"]):
        tell("reading", reading=asdict(reading))
        _memory(generator)
    for prompt, said, score in score_answers(generator, quality):
        tell("answer", question=prompt.question, said=said, score=asdict(score))
    _memory(generator)
    tell("done")
    generator.close()
    container.close()


def _memory(generator: TextGenerator) -> None:
    import psutil

    tell(
        "memory",
        peak_bytes=_peak_bytes(),
        held_bytes=psutil.Process().memory_info().rss,
        device_bytes=generator.memory_bytes(),
    )


def _peak_bytes() -> int | None:
    """Return the most main memory that this process has held; ``None`` if nobody says.

    ``getrusage`` would, on Linux, count what the parent held when it started this process.
    """
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import psutil

    if sys.platform == "win32":
        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0)) or None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as it came in. Times are seconds since the question was put."""

    text: str
    tokens: int
    first_s: float  # first piece with a token
    first_tokens: int  # tokens behind that piece
    last_s: float  # last piece with a token


def listen(
    generator: TextGenerator,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    clock: Callable[[], float] = perf_counter,
) -> Heard:
    """Put a question at temperature 0 and time its pieces."""
    began = clock()
    first = last = None
    tokens = first_tokens = 0
    pieces = []
    for delta in generator.stream(
        messages, max_tokens=max_tokens, temperature=0.0, cancelled=never
    ):
        pieces.append(delta.text)
        if delta.tokens:
            last = clock() - began
            if first is None:
                first, first_tokens = last, delta.tokens
            tokens += delta.tokens
    whole = clock() - began
    return Heard("".join(pieces), tokens, first or whole, first_tokens, last or whole)


def time_answers(
    generator: TextGenerator,
    prompts: Sequence[Prompt],
    *,
    new_tokens: int,
    clock: Callable[[], float] = perf_counter,
) -> Iterator[TimedAnswer]:
    """Warm up on the first prompt, then time one answer and one follow-up for each other.

    Each prompt begins with a mark of its own, so that nothing of it is already computed: not
    even the rules, which the app's prompts share.
    """
    warm, *timed = prompts
    listen(generator, warm.messages(mark="Run 0."), max_tokens=WARM_UP_TOKENS, clock=clock)
    for number, prompt in enumerate(timed, start=1):
        mark = f"Run {number}."
        messages = prompt.messages(mark=mark)
        heard = listen(generator, messages, max_tokens=new_tokens, clock=clock)
        follow_up_s = None
        if prompt.follow_up:
            again = prompt.follow_up_messages(heard.text, mark=mark)
            follow_up_s = listen(generator, again, max_tokens=_FIRST_ONLY, clock=clock).first_s
        yield TimedAnswer(
            prompt_tokens=generator.count_tokens(messages),
            first_token_s=heard.first_s,
            new_tokens=heard.tokens,
            decoded=heard.tokens - heard.first_tokens,
            decode_s=heard.last_s - heard.first_s,
            follow_up_s=follow_up_s,
        )


def score_answers(
    generator: TextGenerator, prompts: Sequence[Prompt]
) -> Iterator[tuple[Prompt, str, AnswerScore]]:
    """Ask short questions with known answers; yield what was said and how right it is."""
    for prompt in prompts:
        heard = listen(generator, prompt.messages(), max_tokens=SHORT_ANSWER_TOKENS)
        yield prompt, heard.text, score_answer(heard.text, prompt.answers)


if __name__ == "__main__":
    main()
