"""A document on its way from a file to the ledger, and how its progress is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING

from rag.errors import UnreadableDocument
from rag.indexer import Pending
from rag.ingest.folder import FoundFile
from rag.store.rows import DocumentRow, FileRow
from rag.types import SEARCHABLE, Document, DocumentState, Progress
from rag.words import detect_language

if TYPE_CHECKING:
    from rag.ingest.pool import Reading

Report = Callable[[Progress], None]


class Meter:
    """Turns commits into progress."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0
        self._pages = 0
        self._began = perf_counter()

    def embedded(self, pending: Pending, done: int, total: int) -> None:
        """Tell how many passages of a group have their vectors."""
        self._tell("embed", f"{_name(pending)} ({done}/{total})")

    def committed(self, pending: Pending) -> None:
        """Tell that a document is in the ledger."""
        self._done += 1
        self._pages += len(pending.document.pages)
        self._tell("write", _name(pending))

    def _tell(self, stage: str, item: str) -> None:
        seconds = perf_counter() - self._began
        speed = self._pages / seconds if seconds > 0 else 0.0
        self._report(Progress(stage, self._done, self._total, "documents", item, speed))


def _name(pending: Pending) -> str:
    if pending.row is not None and pending.row.files:
        return PurePosixPath(pending.row.files[0].path).name
    return pending.document.title


def file_row(file: FoundFile, document_id: str) -> FileRow:
    """Return the ledger's row for a file as it was found."""
    return FileRow(file.path, file.size, file.mtime_ns, document_id)


def to_pending(identity: str, reading: Reading, files: Sequence[FoundFile]) -> Pending:
    """Wait for a document and say what became of it; a file that cannot be read is one too."""
    rows = [file_row(file, identity) for file in files]
    stem = PurePosixPath(files[0].path).stem
    try:
        document = reading.result()
    except UnreadableDocument as error:
        document = Document(identity, stem, ())
        return Pending(document, DocumentRow(document, "en", "failed", error.reason, rows))
    document = replace(document, title=document.title or stem)
    lost = [page for page in document.pages if page.state not in SEARCHABLE]
    gaps = [page for page in lost if page.reason != "blank"]
    state: DocumentState = "partial" if gaps else "ready"
    if len(lost) == len(document.pages):
        state = "failed"
    reason = None if state == "ready" else (gaps or lost)[0].reason
    language = detect_language(document.text[:20_000])
    return Pending(document, DocumentRow(document, language, state, reason, rows))
