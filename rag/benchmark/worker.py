"""What runs in a process of its own for ``rag bench``: it looks at the clock.

It measures a model, or what a device can do at most. The task comes as JSON on standard input:
the settings of one row, its prompts and how many tokens to ask for, or ``{"limits": true}``. See
``rag.benchmark.run``, which starts it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psutil

from rag.benchmark.prompts import Prompt
from rag.benchmark.rows import SERVER, WIDE, MachineLimits, TimedAnswer, reason_of
from rag.benchmark.run import MARK
from rag.errors import RagError
from rag.evaluation.scoring import score_answer
from rag.protocols import TextGenerator, never
from rag.system.process import peak_bytes
from rag.types.answers import Message

if TYPE_CHECKING:
    import torch

WARM_UP_TOKENS = 8
SHORT_ANSWER_TOKENS = 48
_FIRST_ONLY = 2  # tokens of a follow-up; only its first counts
COPY_BYTES = 1 << 30
"""One buffer: several times the largest cache of a server's processor (some have 500 MB)."""
QUICK_BYTES = 256 << 20
_LEAST_BYTES = 64 << 20
_SIDES = (512, 1024, 2048, 4096)
"""Sides of the square matrices: larger ones are tried while the last took too little time."""
_ENOUGH_S = 0.25
_ROUNDS = 5  # the best of them counts: a limit is what nothing else disturbed

Timer = Callable[[Callable[[], object]], float]
"""Does work and returns how many seconds it took."""


def main() -> None:
    """Do the task on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process
    task: dict[str, Any] = json.loads(sys.stdin.read())
    try:
        _limits(quick=task["quick"]) if "limits" in task else _row(task)
    except RagError as error:
        tell("refused", **asdict(reason_of(error)))


def tell(event: str, **values: Any) -> None:
    """Send an event to the process that started this one."""
    sys.stdout.write(f"{MARK}{json.dumps({'event': event, **values})}\n")
    sys.stdout.flush()


def _row(task: dict[str, Any]) -> None:
    from rag.app.container import Container
    from rag.config import Settings

    container = Container(Settings.model_validate(task["settings"]))
    began = perf_counter()
    generator = container.generator()
    device = "cpu" if generator.memory_bytes() is None else "cuda"
    tell("loaded", load_s=perf_counter() - began, device=device)
    engine = task["settings"]["generator"]["engine"]
    speed = [Prompt(**values) for values in task["speed"]]
    quality = [Prompt(**values) for values in task["quality"]]
    for reading in time_answers(generator, speed, new_tokens=task["new_tokens"]):
        tell("reading", reading=asdict(reading))
        _memory(generator, engine)
    for prompt in quality:
        said, _ = listen(generator, prompt.messages(), max_tokens=SHORT_ANSWER_TOKENS)
        tell("answer", score=asdict(score_answer(said, prompt.answers)))
    _memory(generator, engine)
    tell("done")
    generator.close()
    container.close()


def _memory(generator: TextGenerator, engine: str) -> None:
    if engine == SERVER:  # its memory is the server's own
        return
    tell(
        "memory",
        peak_bytes=peak_bytes(),
        held_bytes=psutil.Process().memory_info().rss,
        device_bytes=generator.memory_bytes(),
    )


def listen(
    generator: TextGenerator,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    clock: Callable[[], float] = perf_counter,
) -> tuple[str, TimedAnswer]:
    """Put a question at temperature 0; return what is said, and its pieces timed."""
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
    first, last = first or whole, last or whole
    timed = TimedAnswer(
        first_token_s=first, new_tokens=tokens, decoded=tokens - first_tokens, decode_s=last - first
    )
    return "".join(pieces), timed


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
    warm, *others = prompts
    listen(generator, warm.messages(mark="Run 0."), max_tokens=WARM_UP_TOKENS, clock=clock)
    for number, prompt in enumerate(others, start=1):
        mark = f"Run {number}."
        messages = prompt.messages(mark=mark)
        text, timed = listen(generator, messages, max_tokens=new_tokens, clock=clock)
        follow_up_s = None
        if prompt.follow_up:
            again = prompt.follow_up_messages(text, mark=mark)
            _, later = listen(generator, again, max_tokens=_FIRST_ONLY, clock=clock)
            follow_up_s = later.first_token_s
        prompt_tokens = generator.count_tokens(messages)
        yield replace(timed, prompt_tokens=prompt_tokens, follow_up_s=follow_up_s)


# ---- the limits of a device ---------------------------------------------------------------


def _limits(*, quick: bool) -> None:
    import torch

    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        found = measure_limits(device, copy_bytes=QUICK_BYTES if quick else COPY_BYTES)
        tell("limits", limits=asdict(found))
    tell("done")


def measure_limits(
    device: str, *, timer: Timer | None = None, copy_bytes: int = COPY_BYTES
) -> MachineLimits:
    """Measure how many bytes torch moves and how often it multiplies, on every core or the card.

    ``device`` is "cpu" or "cuda"; ``timer`` is that device's own if ``None``; less than
    ``copy_bytes`` are copied where memory is short.
    """
    import torch

    clock = timer or (card_seconds if device == "cuda" else _seconds)
    if device == "cuda":
        free = int(torch.cuda.mem_get_info()[0])
    else:
        free = int(psutil.virtual_memory().available)
        torch.set_num_threads(max(torch.get_num_threads(), os.cpu_count() or 1))
    size = min(copy_bytes, max(_LEAST_BYTES, free // 8))
    copying, reading = _bandwidths(device, clock, size)
    flops = {}
    for name, dtype in zip(WIDE, (torch.float32, torch.float16, torch.bfloat16), strict=True):
        with suppress(RuntimeError):  # a device that does not multiply this kind
            flops[name] = _product(device, clock, dtype)
    return MachineLimits(device, copying, reading, flops)


def _bandwidths(device: str, timer: Timer, size: int) -> tuple[float, float]:
    """Return the bytes a second of a copy, which reads and writes each, and of reading alone."""
    import torch

    source = torch.ones(size // 4, device=device)
    target = torch.zeros_like(source)
    copying = min(timer(lambda: target.copy_(source)) for _ in range(_ROUNDS))
    reading = min(timer(source.sum) for _ in range(_ROUNDS))
    return 2 * size / copying, size / reading


def _product(device: str, timer: Timer, dtype: torch.dtype) -> float:
    """Return how many multiplications and additions a second a product of matrices takes."""
    import torch

    best = 0.0
    for side in _SIDES:
        left, right = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
        timer(lambda a=left, b=right: a @ b)  # type: ignore[misc]
        taken = [timer(lambda a=left, b=right: a @ b) for _ in range(_ROUNDS)]  # type: ignore[misc]
        best = max(best, 2 * side**3 / min(taken))
        if sum(taken) > _ENOUGH_S:
            break
    return best


def _seconds(work: Callable[[], object]) -> float:
    """Return how long work takes by the clock on the wall, for work that is done on return."""
    began = perf_counter()
    work()
    return perf_counter() - began


def card_seconds(work: Callable[[], object], cuda: Any = None) -> float:
    """Return how long a card works, by two events in its own stream: the program goes on.

    ``cuda`` is ``torch.cuda``, or a script of it. Nobody has measured a card with this yet.
    """
    if cuda is None:
        from torch import cuda
    began, ended = (cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    work()
    ended.record()
    cuda.synchronize()
    return float(began.elapsed_time(ended)) / 1000  # it counts milliseconds


if __name__ == "__main__":
    main()
