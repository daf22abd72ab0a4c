"""A document on its way from a file to the ledger, and how its progress is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING

from rag.errors import ConfigError, UnreadableDocument
from rag.indexing.sync_plan import GROWING, SyncPlan
from rag.ingestion.scan import FoundFile, look_again
from rag.storage.ledger import DocumentRow, FileRow
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.documents import FORGOTTEN, NOTHING_TO_READ, SEARCHABLE, Document, DocumentState
from rag.types.index_version import reader_name
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.ingestion.workers.process import WorkerJob
    from rag.protocols import Analyser, Cancelled, Chunker, Embedder
    from rag.storage.ledger import Ledger
    from rag.types.documents import IndexVersion

Report = Callable[[Progress], None]
INDEX_FAILED = "index_failed"
"""The reason of a document that was read but could not be indexed; see rag.text.reasons."""
_STAYS = {None, "unreadable", "path_too_long"}


@dataclass(slots=True)
class StageTimes:
    """Seconds of work in each stage. Stages run beside each other: the sum may be the longer."""

    read_s: float = 0.0  # stat and hash
    parse_s: float = 0.0  # waiting for the workers
    ocr_s: float = 0.0
    chunk_s: float = 0.0
    embed_s: float = 0.0
    write_s: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexEngines:
    """An index version, with the engines its name stands for."""

    version: IndexVersion
    embedder: Embedder
    chunker: Chunker
    analyser: Analyser


@dataclass(frozen=True, slots=True)
class Pending:
    """A document to index. ``row`` is ``None`` when the ledger has its pages already."""

    document: Document
    row: DocumentRow | None
    failed: bool = False  # its text could not be taken apart: it has no passages

    @property
    def name(self) -> str:
        """Its file's name, or its title where the file is not at hand."""
        files = self.row.files if self.row is not None else ()
        return PurePosixPath(files[0].path).name if files else self.document.title

    @property
    def weight(self) -> int:
        """Its pages; a file that could not be read has none, and counts as well."""
        return max(1, len(self.document.pages))


def failed(pending: Pending) -> Pending:
    """Return a document that was read but cannot be searched, with the reason."""
    row = pending.row
    if row is not None and row.state != "failed":  # else what was wrong before is the reason
        row = replace(row, state="failed", reason=INDEX_FAILED)
    return replace(pending, row=row, failed=True)


def quiet(progress: Progress) -> None:
    """Tell nobody."""


class ProgressMeter:
    """Tells how far work is, and how many pages a second it does."""

    def __init__(self, report: Report, total: int, unit: str) -> None:
        self._report = report
        self._total = total
        self._unit = unit
        self._done = 0
        self.pages = 0
        self._began = perf_counter()

    def add(self, pages: int) -> None:
        """Count one more that is done, with its pages; 0 if an earlier run has done it."""
        self._done += 1
        self.pages += pages

    def tell(self, stage: str, name: str) -> None:
        """Report, with what is in work by name."""
        self._report(Progress(stage, self._done, self._total, self._unit, name, self.speed()))

    def speed(self) -> float:
        """Return pages a second."""
        return self.pages / max(perf_counter() - self._began, 1e-6)


def check_folder(folder: Path) -> None:
    """Make sure that there is something to look at.

    Raises:
        ConfigError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            Text(f"There is no folder {folder}.", f"文件夹 {folder} 不存在。"),
            hint=Text(
                "Create it, or name another with --knowledge.",
                "请创建它，或用 --knowledge 指定其他文件夹。",
            ),
        )


def file_row(file: FoundFile, document_id: str) -> FileRow:
    """Return the ledger's row for a file as it was found."""
    return FileRow(file.path, file.size, file.mtime_ns, document_id)


def path_rows(plan: SyncPlan, ledger: Ledger) -> list[FileRow]:
    """Return what is to be written of paths that cost no reading.

    Moves, second names and new time stamps; and files that cannot be taken, or not yet: what
    their last version said stays findable meanwhile, except behind a link that leads out.
    """
    if not (plan.moved or plan.touched or plan.duplicate or plan.forgotten or plan.held_back):
        return []
    files, documents = ledger.files(), ledger.document_ids()
    rows = [file_row(file, plan.ids[file.path]) for file in (*plan.moved, *plan.touched)]
    rows += [file_row(f, plan.ids[f.path]) for f in plan.duplicate if plan.ids[f.path] in documents]
    still = ledger.forgotten()  # one may have been let in again since the plan was made
    rows += [
        FileRow(f.path, f.size, f.mtime_ns, None, FORGOTTEN)
        for f in plan.forgotten
        if plan.ids[f.path] in still
    ]
    for file in plan.held_back:
        before = files.get(file.path)
        kept = before.document_id if before and file.reason in _STAYS else None
        rows.append(FileRow(file.path, file.size, file.mtime_ns, kept, file.reason or GROWING))
    return [row for row in rows if files.get(row.path) != row]


def from_ledger(ledger: Ledger, document_ids: Iterable[str]) -> Iterator[Pending]:
    """Yield documents as they were read before."""
    for document_id in document_ids:
        document = ledger.load_document(document_id)
        if document is not None:
            yield Pending(document, None)


def to_pending(
    identity: str, reading: WorkerJob[Document], files: Sequence[FoundFile], *, cancelled: Cancelled
) -> Pending:
    """Wait for a document and say what became of it; a file that cannot be read is one too.

    Raises:
        CancelledError: ``cancelled()`` became true meanwhile.
    """
    rows = [file_row(file, identity) for file in files]
    stem = PurePosixPath(files[0].path).stem
    try:
        document = reading.result(cancelled=cancelled)
    except UnreadableDocument as error:
        document = Document(identity, stem, (), reader=reader_name())
        return Pending(document, DocumentRow(document, "en", "failed", error.reason, rows))
    document = replace(document, title=document.title or stem)
    return Pending(document, document_row(document, rows))


def document_row(document: Document, files: Sequence[FileRow]) -> DocumentRow:
    """Say what became of a document that could be opened."""
    lost = [page for page in document.pages if page.state not in SEARCHABLE]
    gaps = [page for page in lost if page.reason not in NOTHING_TO_READ]
    state: DocumentState = "partial" if gaps else "ready"
    if len(lost) == len(document.pages):
        state = "failed"
    reason = None if state == "ready" else (gaps or lost)[0].reason
    language = detect_language(document.text[:20_000])
    return DocumentRow(document, language, state, reason, files)


def changed_meanwhile(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Return, as they are now, the files that somebody wrote to since they were looked at."""
    now = [look_again(file) or replace(file, size=0, mtime_ns=0) for file in files]
    return [new for new, file in zip(now, files, strict=True) if new != file]


def read_differently(
    ledger: Ledger, documents: Iterable[Pending], total: int, report: Report
) -> Iterator[Pending]:
    """Yield the documents that another version of the reader reads otherwise than before.

    One that is read as before only gets the reader's new name. One that could be read before
    and cannot now stays as it is; one that could not be indexed is tried again.
    """
    unindexed = ledger.failed_by_chance()
    for done, pending in enumerate(documents):
        report(Progress("read", done, total, "documents", pending.name))
        before = ledger.load_document(pending.document.id)
        same = before is not None and replace(before, reader="") == replace(
            pending.document, reader=""
        )
        if same and pending.document.id not in unindexed:
            ledger.set_reader(pending.document.id, pending.document.reader)
        elif pending.document.pages or before is None or not before.pages:
            yield pending
