"""Watches a job from inside its worker process: time on one page, and memory.

Native code lets other threads run, so a thread of the worker itself sees that a page takes
too long or too much, and ends the process with a code that says why. What part of the
document was in work stands in a small mapped file, which outlives the process.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

TOO_SLOW, TOO_BIG, ORPHANED = 97, 98, 99
"""Exit codes of a worker that ended itself."""
_LOOK_S = 0.1
_CELL = struct.Struct("<q")
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one job may use."""

    page_s: float  # seconds without news of another page
    memory_mb: int  # more than the worker held before


class Journal:
    """Which part of a document is in work, kept where a dead process leaves it readable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(_CELL.pack(0))

    def part(self) -> int:
        """Return the part that was entered last."""
        try:
            return int(_CELL.unpack(self.path.read_bytes())[0])
        except (OSError, struct.error):
            return 0

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


class Watchdog:
    """Runs beside one job."""

    def __init__(self, cell: mmap.mmap, limits: WorkerLimits) -> None:
        self._cell = cell
        self._limits = limits
        self._entered = time.monotonic()
        self._done = threading.Event()
        self._process = psutil.Process()
        self._parent = os.getppid()
        self._allowed = self._process.memory_info().rss + limits.memory_mb * _MB

    def enter(self, part: int) -> None:
        """Note that ``part`` comes next; its time begins now."""
        self._entered = time.monotonic()
        self._cell[:] = _CELL.pack(part)

    def watch(self) -> None:
        """End the process when the job oversteps; return when the job is done."""
        while not self._done.wait(_LOOK_S):
            if time.monotonic() - self._entered > self._limits.page_s:
                os._exit(TOO_SLOW)
            if self._process.memory_info().rss > self._allowed:
                os._exit(TOO_BIG)
            if os.getppid() != self._parent:
                os._exit(ORPHANED)

    def stop(self) -> None:
        """Let ``watch`` return."""
        self._done.set()


@contextmanager
def guarded(journal: Path, limits: WorkerLimits) -> Iterator[Watchdog]:
    """Watch what runs inside."""
    with journal.open("r+b") as file, mmap.mmap(file.fileno(), _CELL.size) as cell:
        guard = Watchdog(cell, limits)
        thread = threading.Thread(target=guard.watch, name="guard", daemon=True)
        with _address_space(limits.memory_mb):
            thread.start()
            try:
                yield guard
            finally:
                guard.stop()
                thread.join()


@contextmanager
def _address_space(memory_mb: int) -> Iterator[None]:
    """Refuse at once what is far too much, where the system can; the watch sees the rest.

    Reserved addresses are not memory, hence twice the limit.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = psutil.Process().memory_info().vms + 2 * memory_mb * _MB
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
