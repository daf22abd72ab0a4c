"""What worker processes do. Only this module's functions cross into them, by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rag.ingest.guard import Limits, guarded
from rag.recognised import RecognisedPage
from rag.types import Box, Document

if TYPE_CHECKING:
    from rag.protocols import PageReader, Recogniser


@dataclass(frozen=True, slots=True)
class ReadJob:
    """How to read one document."""

    path: Path
    document_id: str
    reader: str  # "module:Class"
    journal: Path
    limits: Limits
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
    if hasattr(os, "nice"):
        os.nice(niceness)  # a question outranks reading


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

        return reader.read(job.path, document_id=job.document_id, enter=enter)


def render(path: Path, page: int, width: int, journal: Path, limits: Limits) -> bytes:
    """Return the page as PNG."""
    from rag.ingest.viewer import PdfViewer

    with guarded(journal, limits):
        return PdfViewer().render(path, page=page, width=width)


@lru_cache(maxsize=1)
def _recogniser(dotted: str, threads: int) -> Recogniser:
    """Return this worker's one model, loaded when the first page comes."""
    module, _, name = dotted.partition(":")
    built: Recogniser = getattr(import_module(module), name)(threads=threads)
    return built


def recognise(
    path: Path, page: int, engine: tuple[str, int], journal: Path, limits: Limits
) -> RecognisedPage:
    """Return what stands on the drawn page; ``engine`` is a dotted name and its threads."""
    with guarded(journal, limits):
        return _recogniser(*engine).read(path, page=page)


def boxes(
    path: Path,
    spans: Sequence[tuple[int, int, int]],
    recipes: Mapping[int, str],
    journal: Path,
    limits: Limits,
) -> list[tuple[Box, ...]]:
    """Return each span's boxes."""
    from rag.ingest.viewer import PdfViewer

    with guarded(journal, limits):
        return PdfViewer().boxes(path, spans, recipes=recipes)
