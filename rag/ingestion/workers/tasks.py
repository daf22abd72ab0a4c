"""What worker processes do, each job watched from inside: time on one page, and memory.

Only this module's functions cross into them, by name.

Native code lets other threads run, so a thread of the worker itself sees that a page takes
too long or too much, and ends the process with a code that says why. What part of the
document was in work stands in a small mapped file, which outlives the process.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from rag.errors import UnreadableDocument
from rag.system.process import lower_process
from rag.types.documents import Document
from rag.types.recognised_text import RecognisedPage

if TYPE_CHECKING:
    from rag.protocols import PageReader, Recogniser


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


@dataclass(frozen=True, slots=True)
class FileAccess:
    """A file to open, and what that may cost."""

    path: Path
    limits: WorkerLimits
    passwords: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How to read one document, and what of it."""

    document_id: str
    reader: str  # "module:Class"
    left_out: Mapping[int, str] = field(default_factory=dict)  # part -> reason
    first: int = 0  # pages before it are not looked at
    stop: int | None = None  # pages from here on are left out: there was no time for them

    def why_not(self, part: int) -> str | None:
        """Return the reason to leave a part out, or ``None`` to go on with it."""
        if 0 < part < self.first:
            return "page_failed"
        if self.stop is not None and part >= self.stop:
            return "page_timeout"
        return self.left_out.get(part)


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


def start_worker(niceness: int) -> None:
    """Prepare a new worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, native code or not
    lower_process(niceness)  # a question outranks reading


def read(journal: Path, file: FileAccess, plan: ReadPlan) -> Document:
    """Return the document."""
    reader: PageReader = _named(plan.reader)()
    with guarded(journal, file.limits) as guard:

        def enter(part: int) -> str | None:
            reason = plan.why_not(part)
            if reason is None:
                guard.enter(part)
            return reason

        return reader.read(
            file.path, document_id=plan.document_id, passwords=file.passwords, enter=enter
        )


def probe(journal: Path, file: FileAccess, plan: ReadPlan) -> None:
    """Read and throw away: it is to be seen which page is at fault."""
    read(journal, file, plan)


def _named(dotted: str) -> Any:
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)


def view(journal: Path, file: FileAccess, what: str, *arguments: object) -> Any:
    """Return what a function of ``rag.ingestion.pdf.render`` returns, called with the PDF."""
    from rag.ingestion.pdf import render
    from rag.ingestion.pdf.pdfium import opened

    with guarded(journal, file.limits), opened(file.path, file.passwords) as pdf:
        return getattr(render, what)(pdf, *arguments)


def fitting(journal: Path, file: FileAccess) -> str | None:
    """Return the password that opens the file; ``None`` if it needs none.

    Raises:
        UnreadableDocument: none of them fits.
    """
    from rag.ingestion.pdf.pdfium import opened

    with guarded(journal, file.limits):
        for tried in ((), *((password,) for password in file.passwords[:-1])):
            with suppress(UnreadableDocument), opened(file.path, tried):
                return tried[0] if tried else None
        with opened(file.path, file.passwords[-1:]):
            return file.passwords[-1] if file.passwords else None


@lru_cache(maxsize=1)
def _recogniser(dotted: str, threads: int) -> Recogniser:
    """Return this worker's one model, loaded when the first page comes."""
    built: Recogniser = _named(dotted)(threads=threads)
    return built


def recognise(
    journal: Path, file: FileAccess, page: int, engine: tuple[str, int]
) -> RecognisedPage:
    """Return what stands on the drawn page; ``engine`` is a dotted name and its threads."""
    with guarded(journal, file.limits):
        return _recogniser(*engine).read(file.path, page=page, passwords=file.passwords)
