"""What runs in the process of one row of ``rag bench``: loads a model, and looks at the clock.

The task comes as JSON on standard input: ``{"limits": true}``, or the settings of one row, its
prompts and how many tokens to ask for. See ``rag.benchmark.run``.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rag.benchmark.run import peak_bytes, tell
from rag.cli import quiet_libraries
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.protocols import TextGenerator


def main() -> None:
    """Do the task on standard input."""
    quiet_libraries()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process
    task: dict[str, Any] = json.loads(sys.stdin.read())
    if task.get("limits"):
        _limits(quick=task["quick"])
        return
    try:
        _row(task)
    except RagError as error:
        texts = (error.message.en, error.message.zh), (error.hint.en, error.hint.zh)
        (en, zh), (hint_en, hint_zh) = texts
        tell("refused", en=f"{en} → {hint_en}", zh=f"{zh} → {hint_zh}")


def _limits(*, quick: bool) -> None:
    from rag.engines import load

    limits = load("limits")()
    for device in limits.devices():
        tell("limits", **limits.measure(device, quick=quick))
    tell("done")


def _row(task: dict[str, Any]) -> None:
    from rag.benchmark.prompts import Prompt
    from rag.benchmark.timing import score_answers, time_answers
    from rag.config import Settings
    from rag.factory import Factory

    factory = Factory(Settings.model_validate(task["settings"]))
    began = perf_counter()
    generator = factory.generator()
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
    factory.close()


def _memory(generator: TextGenerator) -> None:
    import psutil

    tell(
        "memory",
        peak_bytes=peak_bytes(),
        held_bytes=psutil.Process().memory_info().rss,
        device_bytes=generator.memory_bytes(),
    )


if __name__ == "__main__":
    main()
