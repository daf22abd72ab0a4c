"""Measures a benchmark: the machine's limits, then row after row, told as it goes.

Each row runs in a process of its own (``worker``): its memory is its own, and a crash costs one
row. The process gets its task as JSON on standard input and answers with one marked line for
each event; whatever libraries print besides is passed over.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from rag.benchmark.prompts import Prompt, prompts_of_set, quality_prompts, speed_prompts
from rag.benchmark.rows import (
    SERVER,
    BenchmarkRun,
    MachineLimits,
    Row,
    RowSpec,
    TimedAnswer,
    accuracy_of,
)
from rag.benchmark.selection import Options, fitted, sized, specs
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.types.hardware import MemoryReading

MARK = "\x1erag-bench "
COMMAND = (sys.executable, "-m", "rag.benchmark.worker")
ROW_LIMIT_S = 1800.0
"""A row that takes longer is ended; what it measured until then counts."""
PACKAGES = ("ragdesk", "torch", "transformers", "bitsandbytes", "xllamacpp")
USUAL_WINDOW = 4096
_SHOWN = 300  # characters of what a dead process last said
_PLAIN_WEIGHTS = 1e8  # multiplied weights of a model that nothing is known of
_MINUTE = 60
_INTERRUPTED = Text("interrupted", "已中断")
_NOT_REACHED = Text("not measured: interrupted before", "未测量：此前已中断")
_LIMITS = Text("the machine's own limits", "电脑自身的极限")

Event = Mapping[str, Any]
Report = Callable[[Progress], None]


# ---- all rows -----------------------------------------------------------------------------


def measure(
    settings: Settings, options: Options, *, report: Report, say: Callable[[Text], str]
) -> BenchmarkRun:
    """Measure all rows; Ctrl-C ends it with the rows that there are.

    Raises:
        ConfigError: there is nothing to measure.
    """
    from rag.app.registry import load
    from rag.models.store import ModelStore

    rows = specs(options, ModelStore.of(settings.models), settings.generator)
    machine = describe(load("readings")().read())
    quality = (
        quality_prompts(options.quality)
        if options.questions is None
        else prompts_of_set(settings, options.questions, options.quality, report=report)
    )
    bench = _Bench(settings, options, quality, report, say)
    with _ends_politely():
        try:
            bench.measure(rows)
        except KeyboardInterrupt:
            bench.interrupted = True
    done = [*bench.rows, *(replace(r, reason=_NOT_REACHED) for r in rows[len(bench.rows) :])]
    return BenchmarkRun(machine, bench.limits, tuple(done), interrupted=bench.interrupted)


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


@dataclass
class _Bench:
    """Measures row after row, and knows about how long the rest will take."""

    settings: Settings
    options: Options
    quality: Sequence[Prompt]
    report: Report
    say: Callable[[Text], str]
    limits: dict[str, MachineLimits] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False

    def measure(self, rows: Sequence[Row]) -> None:
        """Measure the rows; each gets its memory reading when its turn comes."""
        from rag.app.registry import load

        compared = any(row.spec.path is not None and row.reason is None for row in rows)
        if compared:
            self._look_at_the_machine()
        narrow = "cuda" in self.limits or any(found.narrow for found in self.limits.values())
        readings = load("readings")()
        rows = [sized(row, narrow=narrow) for row in rows]
        asked: int | str = self.settings.generator.context_tokens
        window = asked if isinstance(asked, int) else USUAL_WINDOW
        clock = _Estimate([float(r.sizes.multiplied) if r.sizes else _PLAIN_WEIGHTS for r in rows])
        for place, row in enumerate(rows):
            ready = fitted(row, readings.read(), context_tokens=window)
            if ready.reason is None:
                self._measure(ready, place, len(rows), clock)
            else:
                self.rows.append(ready)
                clock.skip(place)
        if compared:
            self._look_at_the_machine()

    def _look_at_the_machine(self) -> None:
        """Measure the limits; of two looks the best counts, for a limit is not disturbed."""

        def heard(event: Event) -> None:
            if event["event"] == "limits":
                now = MachineLimits(
                    **{key: value for key, value in event.items() if key != "event"}
                )
                self.limits[now.device] = now.best(self.limits.get(now.device))

        self.report(Progress("bench", item=self.say(_LIMITS)))
        run({"limits": True, "quick": self.options.quick}, heard)

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
        generator = {**self.settings.generator.model_dump(mode="json"), **row.spec.settings}
        speed = speed_prompts()[: self.options.repetitions + 1]
        if self.options.quick:
            speed = tuple(prompt.shortened() for prompt in speed)
        return {
            "settings": {**self.settings.model_dump(mode="json"), "generator": generator},
            "speed": [prompt.values() for prompt in speed],
            "quality": [prompt.values() for prompt in self.quality],
            "new_tokens": self.options.new_tokens,
        }

    def _left(self, minutes: int | None) -> str:
        if minutes is None:
            return ""
        if minutes == 0:
            return self.say(Text(", less than a minute left", "，不到 1 分钟"))
        return self.say(Text(f", about {minutes} min left", f"，约剩 {minutes} 分钟"))


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


# ---- one row ------------------------------------------------------------------------------


class Stopped(Exception):
    """The run was interrupted; ``row`` is what there was of the row in work."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row


def run_row(
    spec: RowSpec,
    task: Mapping[str, Any],
    *,
    told: Callable[[Event], None] = lambda _: None,
    start: Row | None = None,
    command: Sequence[str] = COMMAND,
    limit_s: float = ROW_LIMIT_S,
) -> Row:
    """Measure one row; whatever happens to its process becomes its reason.

    Raises:
        Stopped: the person pressed Ctrl-C; it carries the row as far as it came.
    """
    row, scores = start or Row(spec), []

    def heard(event: Event) -> None:
        nonlocal row
        row = fold(row, event)
        if event["event"] == "answer":
            scores.append(event["score"])
        told(event)

    try:
        why = run(task, heard, command=command, limit_s=limit_s)
    except KeyboardInterrupt:
        raise Stopped(replace(row, accuracy=accuracy_of(scores), reason=_INTERRUPTED)) from None
    return replace(row, accuracy=accuracy_of(scores), reason=why or row.reason)


def fold(row: Row, event: Event) -> Row:
    """Return the row with what an event adds."""
    kind = event["event"]
    if kind == "loaded":
        return replace(row, load_s=event["load_s"], device=event["device"])
    if kind == "reading":
        return replace(row, readings=(*row.readings, TimedAnswer(**event["reading"])))
    if kind == "memory" and row.spec.engine != SERVER:  # its memory is the server's own
        return replace(
            row,
            peak_bytes=event["peak_bytes"],
            held_bytes=event["held_bytes"],
            device_bytes=event["device_bytes"],
        )
    if kind == "refused":
        return replace(row, reason=Text(event["en"], event["zh"]))
    return row


# ---- one process --------------------------------------------------------------------------


def run(
    task: Mapping[str, Any],
    heard: Callable[[Event], None],
    *,
    command: Sequence[str] = COMMAND,
    limit_s: float = ROW_LIMIT_S,
) -> Text | None:
    """Run a task in a process of its own; ``heard`` gets every event as it comes.

    Returns ``None`` if the process did all it was asked, else what became of it.

    Raises:
        KeyboardInterrupt: the person has had enough; the process is ended first.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        with _process(command, said) as process, _deadline(process, limit_s) as late:
            assert process.stdin is not None
            assert process.stdout is not None
            finished = False
            with suppress(BrokenPipeError):  # it died before it read its task
                process.stdin.write(json.dumps(task))
                process.stdin.close()
                for event in _events(process.stdout):
                    finished = finished or event["event"] in {"done", "refused"}
                    heard(event)
            process.wait()
        if finished:
            return None
        said.seek(0)
        return _why(process.returncode, said.read(), late=late.is_set(), limit_s=limit_s)


@contextmanager
def _process(command: Sequence[str], said: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - this very Python
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):  # what was left to write has nobody to read it
                if pipe is not None:
                    pipe.close()


@contextmanager
def _deadline(process: subprocess.Popen[str], limit_s: float) -> Iterator[threading.Event]:
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _events(lines: Iterable[str]) -> Iterator[Event]:
    for line in lines:
        _, mark, text = line.partition(MARK)
        if mark:
            yield json.loads(text)


def _why(code: int, said: str, *, late: bool, limit_s: float) -> Text:
    if late:
        minutes = limit_s / _MINUTE
        return Text(f"it took longer than {minutes:g} minutes", f"耗时超过 {minutes:g} 分钟")
    if code == -getattr(signal, "SIGKILL", 9):
        return Text(
            "the system ended its process, most likely for want of memory",
            "其进程被系统终止，很可能是内存不足",
        )
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    detail = f": {last[:_SHOWN]}" if last else ""
    return Text(f"its process ended with code {code}{detail}", f"其进程以代码 {code} 结束{detail}")


# ---- the machine --------------------------------------------------------------------------


def describe(reading: MemoryReading) -> dict[str, Any]:
    """Return processor, cores, memory, card, versions, and how busy; never the machine's name."""
    load = None
    with suppress(AttributeError, OSError):  # Windows has none
        load = round(os.getloadavg()[0], 2)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": reading.ram_total_bytes,
        "gpu": reading.gpu_name,
        "vram_bytes": reading.vram_total_bytes,
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "load_average": load,  # programs that wanted a core in the last minute
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
