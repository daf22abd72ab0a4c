"""What worker processes do. Only this module's functions cross into them, by name."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UnreadableDocument
from rag.ingestion.workers.watchdog import WorkerLimits, guarded
from rag.system.process import lower_process
from rag.types.documents import Box, Document
from rag.types.recognised_text import RecognisedPage

if TYPE_CHECKING:
    from rag.protocols import PageReader, Recogniser


@dataclass(frozen=True, slots=True)
class ReadJob:
    """How to read one document."""

    path: Path
    document_id: str
    reader: str  # "module:Class"
    journal: Path
    limits: WorkerLimits
    left_out: Mapping[int, str] = field(default_factory=dict)  # part -> reason
    passwords: tuple[str, ...] = field(default=(), repr=False)
    first: int = 0  # pages before it are not looked at
    stop: int | None = None  # pages from here on are left out: there was no time for them

    def why_not(self, part: int) -> str | None:
        """Return the reason to leave a part out, or ``None`` to go on with it."""
        if 0 < part < self.first:
            return "page_failed"
        if self.stop is not None and part >= self.stop:
            return "page_timeout"
        return self.left_out.get(part)


@dataclass(frozen=True, slots=True)
class Look:
    """A file to look into, and what that may cost."""

    path: Path
    limits: WorkerLimits
    passwords: tuple[str, ...] = field(default=(), repr=False)
    journal: Path = Path()


def start_worker(niceness: int) -> None:
    """Prepare a new worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, native code or not
    lower_process(niceness)  # a question outranks reading


def read(job: ReadJob) -> Document:
    """Return the document."""
    return _read(job)


def probe(job: ReadJob) -> None:
    """Read and throw away: it is to be seen which page is at fault."""
    _read(job)


def _read(job: ReadJob) -> Document:
    module, _, name = job.reader.partition(":")
    reader: PageReader = getattr(import_module(module), name)()
    with guarded(job.journal, job.limits) as guard:

        def enter(part: int) -> str | None:
            reason = job.why_not(part)
            if reason is None:
                guard.enter(part)
            return reason

        return reader.read(
            job.path, document_id=job.document_id, passwords=job.passwords, enter=enter
        )


def render(look: Look, page: int, width: int) -> bytes:
    """Return the page as PNG."""
    from rag.ingestion.pdf.render import PdfViewer

    with guarded(look.journal, look.limits):
        return PdfViewer().render(look.path, page=page, width=width, passwords=look.passwords)


def fitting(look: Look) -> str | None:
    """Return the password that opens the file; ``None`` if it needs none.

    Raises:
        UnreadableDocument: none of them fits.
    """
    from rag.ingestion.pdf.open import opened

    with guarded(look.journal, look.limits):
        for tried in ((), *((password,) for password in look.passwords[:-1])):
            with suppress(UnreadableDocument), opened(look.path, tried):
                return tried[0] if tried else None
        with opened(look.path, look.passwords[-1:]):
            return look.passwords[-1] if look.passwords else None


@lru_cache(maxsize=1)
def _recogniser(dotted: str, threads: int) -> Recogniser:
    """Return this worker's one model, loaded when the first page comes."""
    module, _, name = dotted.partition(":")
    built: Recogniser = getattr(import_module(module), name)(threads=threads)
    return built


def recognise(look: Look, page: int, engine: tuple[str, int]) -> RecognisedPage:
    """Return what stands on the drawn page; ``engine`` is a dotted name and its threads."""
    with guarded(look.journal, look.limits):
        return _recogniser(*engine).read(look.path, page=page, passwords=look.passwords)


def boxes(
    look: Look, spans: Sequence[tuple[int, int, int]], recipes: Mapping[int, str]
) -> list[tuple[Box, ...]]:
    """Return each span's boxes."""
    from rag.ingestion.pdf.render import PdfViewer

    with guarded(look.journal, look.limits):
        return PdfViewer().boxes(look.path, spans, recipes=recipes, passwords=look.passwords)


def letters(look: Look, pages: Sequence[int]) -> dict[int, str]:
    """Return all letters of these pages, with those that are kept out of their text."""
    from rag.ingestion.pdf.render import PdfViewer

    with guarded(look.journal, look.limits):
        return PdfViewer().letters(look.path, pages, passwords=look.passwords)
