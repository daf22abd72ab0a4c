"""What worker processes do. Only this module's functions cross into them, by name."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import UnreadableDocument
from rag.ingestion.workers.watchdog import WorkerLimits, guarded
from rag.system.process import lower_process
from rag.types.documents import Box, Document
from rag.types.recognised_text import RecognisedPage

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

    from rag.protocols import PageReader, Recogniser


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


@contextmanager
def _opened(journal: Path, file: FileAccess) -> Iterator[PdfDocument]:
    from rag.ingestion.pdf.open import opened

    with guarded(journal, file.limits), opened(file.path, file.passwords) as pdf:
        yield pdf


def render(journal: Path, file: FileAccess, page: int, width: int) -> bytes:
    """Return the page as PNG."""
    from rag.ingestion.pdf import render as drawing

    with _opened(journal, file) as pdf:
        return drawing.render(pdf, page, width)


def fitting(journal: Path, file: FileAccess) -> str | None:
    """Return the password that opens the file; ``None`` if it needs none.

    Raises:
        UnreadableDocument: none of them fits.
    """
    from rag.ingestion.pdf.open import opened

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


def boxes(
    journal: Path,
    file: FileAccess,
    spans: Sequence[tuple[int, int, int]],
    recipes: Mapping[int, str],
) -> list[tuple[Box, ...]]:
    """Return each span's boxes."""
    from rag.ingestion.pdf import render as drawing

    with _opened(journal, file) as pdf:
        return drawing.boxes(pdf, spans, recipes)


def letters(journal: Path, file: FileAccess, pages: Sequence[int]) -> dict[int, str]:
    """Return all letters of these pages, with those that are kept out of their text."""
    from rag.ingestion.pdf import render as drawing

    with _opened(journal, file) as pdf:
        return drawing.letters(pdf, pages)
