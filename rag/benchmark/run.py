"""Runs each row in a process of its own: its memory is its own, and a crash costs one row.

The process gets its task as JSON on standard input and answers with one marked line for each
event; whatever libraries print besides is passed over.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag.benchmark.rows import SERVER, Reading, Row, RowSpec, accuracy_of
from rag.words import Text

MARK = "\x1erag-bench "
COMMAND = (sys.executable, "-m", "rag.benchmark.worker")
ROW_LIMIT_S = 1800.0
"""A row that takes longer is ended; what it measured until then counts."""
_SHOWN = 300  # characters of what a dead process last said

Event = Mapping[str, Any]


def tell(event: str, **values: Any) -> None:
    """Send an event from inside of the process."""
    sys.stdout.write(f"{MARK}{json.dumps({'event': event, **values})}\n")
    sys.stdout.flush()


def peak_bytes() -> int | None:
    """Return the most main memory that this process has held; ``None`` if nobody says.

    ``getrusage`` would, on Linux, count what the parent held when it started this process.
    """
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _peak_elsewhere()


def _peak_elsewhere() -> int | None:
    import psutil

    memory = psutil.Process().memory_info()
    if sys.platform == "win32":
        return int(getattr(memory, "peak_wset", 0)) or None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. ``why`` is ``None`` if it did all it was asked."""

    why: Text | None


def run(
    task: Mapping[str, Any],
    heard: Callable[[Event], None],
    *,
    command: Sequence[str] = COMMAND,
    limit_s: float = ROW_LIMIT_S,
) -> Ended:
    """Run a task in a process of its own; ``heard`` gets every event as it comes.

    Raises:
        KeyboardInterrupt: the person has had enough; the process is ended first.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        with _process(command, said) as process, _deadline(process, limit_s) as late:
            assert process.stdin is not None
            assert process.stdout is not None
            finished = False
            try:
                process.stdin.write(json.dumps(task))
                process.stdin.close()
                for event in _events(process.stdout):
                    finished = finished or event["event"] in {"done", "refused"}
                    heard(event)
            except BrokenPipeError:
                pass  # it died before it read its task
            process.wait()
        if finished:
            return Ended(None)
        said.seek(0)
        return Ended(_why(process.returncode, said.read(), late=late.is_set(), limit_s=limit_s))


def fold(row: Row, event: Event) -> Row:
    """Return the row with what an event adds."""
    kind = event["event"]
    if kind == "loaded":
        return replace(row, load_s=event["load_s"], device=event["device"])
    if kind == "reading":
        return replace(row, readings=(*row.readings, Reading(**event["reading"])))
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
        ended = run(task, heard, command=command, limit_s=limit_s)
    except KeyboardInterrupt:
        raise Stopped(replace(row, accuracy=accuracy_of(scores), reason=_INTERRUPTED)) from None
    row = replace(row, accuracy=accuracy_of(scores))
    return row if ended.why is None else replace(row, reason=ended.why)


class Stopped(Exception):
    """The run was interrupted; ``row`` is what there was of the row in work."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row


_INTERRUPTED = Text("interrupted", "已中断")


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
            _close(pipe)


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # what was left to write has nobody to read it


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


def _events(lines: Iterator[str] | Any) -> Iterator[Event]:
    for line in lines:
        _, mark, text = line.partition(MARK)
        if mark:
            yield json.loads(text)


def _why(code: int, said: str, *, late: bool, limit_s: float) -> Text:
    if late:
        minutes = limit_s / 60
        return Text(f"it took longer than {minutes:g} minutes", f"耗时超过 {minutes:g} 分钟")
    if code == -getattr(signal, "SIGKILL", 9):
        return Text(
            "the system ended its process, most likely for want of memory",
            "其进程被系统终止，很可能是内存不足",
        )
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    detail = f": {last[:_SHOWN]}" if last else ""
    return Text(f"its process ended with code {code}{detail}", f"其进程以代码 {code} 结束{detail}")
