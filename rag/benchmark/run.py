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
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from rag.benchmark.prompts import prompts_of_set, quality_prompts, speed_prompts
from rag.benchmark.rows import (
    MachineLimits,
    Options,
    Row,
    TimedAnswer,
    accuracy_of,
    fitted,
    run_json,
    sized,
    specs,
)
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
INTERRUPTED = Text("interrupted", "已中断")
_NOT_REACHED = Text("not measured: interrupted before", "未测量：此前已中断")
_LIMITS = Text("the machine's own limits", "电脑自身的极限")

Event = Mapping[str, Any]
Report = Callable[[Progress], None]


# ---- all rows -----------------------------------------------------------------------------


def measure(
    settings: Settings, options: Options, *, report: Report, say: Callable[[Text], str]
) -> dict[str, Any]:
    """Measure all rows and return what ``--json`` prints; Ctrl-C ends it with what there is.

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
    speed = speed_prompts()[: options.repetitions + 1]
    if options.quick:
        speed = tuple(prompt.shortened() for prompt in speed)
    task = {
        "speed": [asdict(prompt) for prompt in speed],
        "quality": [asdict(prompt) for prompt in quality],
        "new_tokens": options.new_tokens,
    }
    bench = _Bench(settings, task, report, say, quick=options.quick)
    interrupted = False
    with _ends_politely():
        try:
            bench.measure(rows)
        except KeyboardInterrupt:
            interrupted = True
    done = [*bench.rows, *(replace(r, reason=_NOT_REACHED) for r in rows[len(bench.rows) :])]
    return run_json(machine, bench.limits, done, interrupted=interrupted)


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
    task: Mapping[str, Any]  # of every row: its prompts
    report: Report
    say: Callable[[Text], str]
    quick: bool
    limits: dict[str, MachineLimits] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def measure(self, rows: Sequence[Row]) -> None:
        """Measure the rows; each gets its memory reading when its turn comes.

        Raises:
            KeyboardInterrupt: the person has had enough; ``rows`` are those that there are.
        """
        from rag.app.registry import load

        compared = any(row.path is not None for row in rows)
        if compared:
            self._look_at_the_machine()
        narrow = "cuda" in self.limits or any(found.narrow for found in self.limits.values())
        readings = load("readings")()
        rows = [sized(row, narrow=narrow) for row in rows]
        asked: int | str = self.settings.generator.context_tokens
        window = asked if isinstance(asked, int) else USUAL_WINDOW
        work = [float(row.sizes.multiplied) if row.sizes else _PLAIN_WEIGHTS for row in rows]
        began = perf_counter()
        for place, row in enumerate(rows):
            ready = fitted(row, readings.read(), context_tokens=window)
            if ready.reason is None:
                self._measure(ready, work, began)
            else:
                self.rows.append(ready)
                work[place] = 0.0
        if compared:
            self._look_at_the_machine()

    def _look_at_the_machine(self) -> None:
        """Measure the limits; of two looks the best counts, for a limit is not disturbed."""

        def heard(event: Event) -> None:
            if event["event"] == "limits":
                now = MachineLimits(**event["limits"])
                self.limits[now.device] = now.best(self.limits.get(now.device, now))

        self.report(Progress("bench", item=self.say(_LIMITS)))
        run({"limits": True, "quick": self.quick}, heard)

    def _measure(self, row: Row, work: Sequence[float], began: float) -> None:
        """Measure a row. ``work`` says what each costs beside the others."""
        generator = {**self.settings.generator.model_dump(mode="json"), **row.settings}
        settings = {**self.settings.model_dump(mode="json"), "generator": generator}
        steps = len(self.task["speed"]) - 1 + len(self.task["quality"])
        heard, place = 0, len(self.rows)

        def told(event: Event | None = None) -> None:
            nonlocal heard
            heard += event is not None and event["event"] in {"reading", "answer"}
            done = sum(work[:place]) + heard / max(1, steps) * work[place]
            left = self._left(perf_counter() - began, done, sum(work))
            item = f"{row.label} {heard}/{steps}{left}"
            self.report(Progress("bench", done=place, total=len(work), item=item))

        told()
        self.rows.append(run_row(row, {**self.task, "settings": settings}, told=told))
        if self.rows[-1].reason is INTERRUPTED:
            raise KeyboardInterrupt

    def _left(self, seconds: float, done: float, work: float) -> str:
        """Return how long the rest takes, by what the work so far took; "" while unknown."""
        if done <= 0:
            return ""
        minutes = int(seconds / done * (work - done) / _MINUTE + 0.5)
        if minutes == 0:
            return self.say(Text(", less than a minute left", "，不到 1 分钟"))
        return self.say(Text(f", about {minutes} min left", f"，约剩 {minutes} 分钟"))


# ---- one row ------------------------------------------------------------------------------


def run_row(
    row: Row,
    task: Mapping[str, Any],
    *,
    told: Callable[[Event], None] = lambda _: None,
    command: Sequence[str] = COMMAND,
    limit_s: float = ROW_LIMIT_S,
) -> Row:
    """Measure one row; whatever happens to its process, Ctrl-C too, becomes its reason."""
    scores = []

    def heard(event: Event) -> None:
        nonlocal row
        row = fold(row, event)
        if event["event"] == "answer":
            scores.append(event["score"])
        told(event)

    try:
        why = run(task, heard, command=command, limit_s=limit_s)
    except KeyboardInterrupt:
        why = INTERRUPTED
    return replace(row, accuracy=accuracy_of(scores), reason=why or row.reason)


def fold(row: Row, event: Event) -> Row:
    """Return the row with what an event adds."""
    match event:
        case {"event": "reading", "reading": reading}:
            return replace(row, readings=(*row.readings, TimedAnswer(**reading)))
        case {"event": "loaded" | "memory", **values}:
            return replace(row, **values)
        case {"event": "refused", "en": en, "zh": zh}:
            return replace(row, reason=Text(en, zh))
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
    late = threading.Event()
    finished = False
    with _text_file() as asked, _text_file() as said:
        asked.write(json.dumps(task))
        asked.seek(0)
        with subprocess.Popen(  # noqa: S603 - this very Python
            list(command), stdin=asked, stdout=subprocess.PIPE, stderr=said, encoding="utf-8",
            errors="replace", env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        ) as process:  # fmt: skip
            timer = threading.Timer(limit_s, _end, (process, late))
            timer.start()
            try:
                for event in _events(process.stdout or ()):
                    finished = finished or event["event"] in {"done", "refused"}
                    heard(event)
                process.wait()
            finally:
                timer.cancel()
                process.kill()
        if finished:
            return None
        said.seek(0)
        return _why(process.returncode, said.read(), late=late.is_set(), limit_s=limit_s)


def _end(process: subprocess.Popen[str], late: threading.Event) -> None:
    late.set()
    process.kill()


def _text_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


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
        "packages": {
            name: found.version
            for name in PACKAGES
            for found in islice(distributions(name=name), 1)  # none where it is not installed
        },
        "load_average": load,  # programs that wanted a core in the last minute
    }


def _processor() -> str:
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
