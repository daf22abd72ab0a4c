"""Measuring for ``rag bench``: the machine's limits, then row after row, told as it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from rag.benchmark.models import Wanted, fitted, sized, specs
from rag.benchmark.prompts import Prompt, quality_prompts, speed_prompts
from rag.benchmark.rows import Limits, Row, Run
from rag.benchmark.run import Event, Stopped, run, run_row
from rag.cli.context import Context, progress_bar
from rag.types import Progress
from rag.words import Text

if TYPE_CHECKING:
    from rag.cli.bench import Asked

NARROW = 1.5
"""16 bits multiply this much faster than 32 where there are units for them."""
USUAL_WINDOW = 4096
_NOT_REACHED = Text("not measured: interrupted before", "未测量：此前已中断")
_PLAIN_WEIGHTS = 1e8  # multiplied weights of a model that nothing is known of
_MINUTE = 60

Report = Callable[[Progress], None]


def measure(context: Context, asked: Asked) -> Run:
    """Measure all rows; Ctrl-C ends it with the rows that there are.

    Raises:
        ConfigError: there is nothing to measure.
    """
    from rag.benchmark.machine import describe
    from rag.engines import load
    from rag.models.store import ModelStore

    settings = context.settings
    wanted = Wanted(asked.models, asked.engine, asked.precisions)
    rows = specs(wanted, ModelStore.of(settings.models), settings.generator)
    machine = describe(load("readings")().read())
    prompts = _quality(context, asked)
    with progress_bar(context) as report, _ends_politely():
        bench = _Bench(context, asked, prompts, report)
        try:
            bench.measure(rows)
        except KeyboardInterrupt:
            bench.interrupted = True
    done = [*bench.rows, *(replace(r, reason=_NOT_REACHED) for r in rows[len(bench.rows) :])]
    return Run(machine, bench.limits, tuple(done), interrupted=bench.interrupted)


@contextmanager
def _ends_politely() -> Iterator[None]:
    """Let a request to end count as Ctrl-C, so that the rows that there are get printed."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _quality(context: Context, asked: Asked) -> Sequence[Prompt]:
    if asked.questions is None:
        return quality_prompts(asked.quality)
    from rag.cli.bench_questions import prompts_of_set

    return prompts_of_set(context, asked.questions, limit=asked.quality)


@dataclass
class _Bench:
    """Measures row after row, and knows about how long the rest will take."""

    context: Context
    asked: Asked
    quality: Sequence[Prompt]
    report: Report
    limits: dict[str, Limits] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False

    def look_at_the_machine(self) -> None:
        """Measure the limits; of several looks the best counts, for a limit is not disturbed."""
        self.report(Progress("bench", item=self.context.say(_LIMITS)))
        run({"limits": True, "quick": self.asked.quick}, self._hear_limits)

    def _hear_limits(self, event: Event) -> None:
        if event["event"] == "limits":
            now = Limits(
                event["device"],
                event["copy_bytes_per_s"],
                event["read_bytes_per_s"],
                event["flops"],
            )
            self.limits[now.device] = best(self.limits.get(now.device), now)

    def measure(self, rows: Sequence[Row]) -> None:
        """Measure the rows; each gets its memory reading when its turn comes."""
        from rag.engines import load

        compared = any(row.spec.path is not None and row.reason is None for row in rows)
        if compared:
            self.look_at_the_machine()
        cpu = self.limits.get("cpu")
        narrow = "cuda" in self.limits or (cpu is not None and computes_narrow(cpu.flops))
        readings = load("readings")()
        rows = [sized(row, narrow=narrow) for row in rows]
        asked: int | str = self.context.settings.generator.context_tokens
        window = asked if isinstance(asked, int) else USUAL_WINDOW
        clock = _Estimate([_work(row) for row in rows])
        for place, row in enumerate(rows):
            ready = fitted(row, readings.read(), context_tokens=window)
            if ready.reason is not None:
                self.rows.append(ready)
                clock.skip(place)
                continue
            self._measure(ready, place, len(rows), clock)
        if compared:
            self.look_at_the_machine()

    def _measure(self, row: Row, place: int, count: int, clock: _Estimate) -> None:
        task = self._task(row)
        steps = len(task["speed"]) - 1 + len(task["quality"])
        heard = 0

        def told(event: Event | None = None) -> None:
            nonlocal heard
            heard += event is not None and event["event"] in {"reading", "answer"}
            left = clock.minutes_left(place, heard / max(1, steps))
            item = f"{row.spec.label} {heard}/{steps}{self._left(left)}"
            self.report(Progress("bench", done=place, total=count, item=item))

        told()
        try:
            self.rows.append(run_row(row.spec, task, told=told, start=row))
        except Stopped as stopped:
            self.rows.append(stopped.row)
            raise KeyboardInterrupt from None

    def _task(self, row: Row) -> dict[str, Any]:
        settings = self.context.settings
        generator = {**settings.generator.model_dump(mode="json"), **row.spec.settings}
        speed = speed_prompts()[: self.asked.repetitions + 1]
        if self.asked.quick:
            speed = tuple(prompt.shortened() for prompt in speed)
        return {
            "settings": {**settings.model_dump(mode="json"), "generator": generator},
            "speed": [prompt.values() for prompt in speed],
            "quality": [prompt.values() for prompt in self.quality],
            "new_tokens": self.asked.new_tokens,
        }

    def _left(self, minutes: int | None) -> str:
        if minutes is None:
            return ""
        if minutes == 0:
            return self.context.say(Text(", less than a minute left", "，不到 1 分钟"))
        return self.context.say(Text(f", about {minutes} min left", f"，约剩 {minutes} 分钟"))


_LIMITS = Text("the machine's own limits", "电脑自身的极限")


class _Estimate:
    """How long the rest takes, by what the work so far took."""

    def __init__(self, work: Sequence[float]) -> None:
        self._work = list(work)
        self._began = perf_counter()

    def skip(self, place: int) -> None:
        """Take a row out that costs nothing."""
        self._work[place] = 0.0

    def minutes_left(self, place: int, share: float) -> int | None:
        """Return whole minutes, with ``share`` of a row done; ``None`` while nothing is known."""
        done = sum(self._work[:place]) + share * self._work[place]
        left = sum(self._work[place:]) - share * self._work[place]
        if done <= 0:
            return None
        return int((perf_counter() - self._began) / done * left / _MINUTE + 0.5)


def best(before: Limits | None, now: Limits) -> Limits:
    """Return the higher of two measurements of one device, figure by figure."""
    if before is None:
        return now
    return Limits(
        now.device,
        max(before.copy_bytes_per_s, now.copy_bytes_per_s),
        max(before.read_bytes_per_s, now.read_bytes_per_s),
        {name: max(speed, before.flops.get(name, 0.0)) for name, speed in now.flops.items()},
    )


def computes_narrow(flops: Mapping[str, float]) -> bool:
    """Return whether 16 bits are what this machine multiplies best.

    >>> computes_narrow({"fp32": 2e11, "bf16": 1e12}), computes_narrow({"fp32": 2e11})
    (True, False)
    """
    return flops.get("bf16", 0.0) > NARROW * flops.get("fp32", float("inf"))


def _work(row: Row) -> float:
    return float(row.sizes.multiplied) if row.sizes else _PLAIN_WEIGHTS
