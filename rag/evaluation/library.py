"""The libraries that are measured: of a set, in the cache folder, or the person's own.

Each set has a folder of its own there, beside nobody's own documents, so that measuring again
costs only what has changed. The person's own is read as ``rag ask`` reads it, so that works
while the app is open.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from rag.errors import StoreError
from rag.protocols import never
from rag.storage.copies import LedgerCopy
from rag.storage.database import fts_table
from rag.storage.ledger import Ledger, delete_document
from rag.storage.ocr_pages import waiting_pages
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.app.container import Container
    from rag.config import Settings
    from rag.evaluation.asking import Searching
    from rag.indexing.incoming import IndexEngines

Report = Callable[[Progress], None]
Part = tuple[str, "Collection[int] | None"]
"""What is taken out: the document of this id, or all passages that reach into these pages."""
_COPY = "measure-"
_OTHER_SETTINGS = Text(
    "The index was made with other settings than those in force; that index is measured."
    " `rag rebuild` makes the one they ask for, and keeps this one to go back to.",
    "现有索引与当前设置不同，下面评测的是现有索引。`rag rebuild` 可按当前设置重建，"
    "并保留现有索引以便退回。",
)


@dataclass(frozen=True, slots=True)
class MeasuredLibrary:
    """A library that is measured."""

    container: Container
    ledger: Ledger
    engines: IndexEngines
    report: Report

    def documents(self) -> dict[str, str]:
        """Return the id of each file name."""
        return {
            Path(path).name: row.document_id
            for path, row in self.ledger.files().items()
            if row.document_id
        }

    def told(self, name: str) -> Callable[[int, int], None]:
        """Return what shows how many questions are done."""
        return lambda done, total: self.report(Progress("check", done, total, "questions", name))

    def searching(self) -> Searching:
        """Return what searches it with exact vector search, so that no index adds errors."""
        from rag.app import wiring
        from rag.evaluation.asking import Searching
        from rag.storage.vectors.manager import exact_index

        index = exact_index(self.ledger, self.engines.version)
        retriever = wiring.retriever(self.container, self.ledger, self.engines, index)
        return Searching(retriever, min_relevance=self.container.settings.retrieve.min_relevance)

    def version(self) -> dict[str, Any]:
        """Return embedder, dimensions, cutting and analyser of the version that is measured."""
        values = asdict(self.engines.version)
        del values["id"]
        return values

    def settings(self, *, model: str | None, single: bool) -> dict[str, Any]:
        """Return all settings that figures depend on; those of answers if a ``model`` gave any."""
        from rag.app import wiring

        settings = self.container.settings
        kept = {
            "version": package_version("ragdesk"),
            "reader": wiring.wanted_version(self.container).reader,
            **self.version(),
            "passages": self.ledger.chunk_count(self.engines.version),
        }
        sections = {"retrieve": settings.retrieve.model_dump(mode="json")}
        if settings.reranker.model:
            sections["reranker"] = settings.reranker.model_dump(mode="json")
        if model is not None:
            kept |= {"model": model, "single": single}
            sections["generator"] = settings.generator.model_dump(mode="json", exclude={"model"})
        for section, values in sections.items():
            kept |= {f"{section}.{key}": value for key, value in values.items()}
        return kept


@contextmanager
def opened(
    settings: Settings, source: Path, *, report: Report
) -> Iterator[tuple[Container, Ledger]]:
    """Open the library that measures a source; nobody else may measure it meanwhile.

    Raises:
        LibraryBusy: somebody does.
    """
    from rag.app.container import Container
    from rag.storage.lock import LibraryLock

    settings = settings.model_copy(update={"knowledge": folder_for(source)})
    with ExitStack() as stack:
        stack.callback(LibraryLock(settings.data).release)
        container = stack.enter_context(closing(Container(settings, report=report)))
        yield container, stack.enter_context(closing(container.ledger()))


@contextmanager
def opened_own(
    settings: Settings, *, report: Report, notify: Callable[[Text], None]
) -> Iterator[MeasuredLibrary]:
    """Open the person's library for reading.

    Raises:
        StoreError: nothing has been indexed yet.
    """
    from rag.app import wiring
    from rag.app.container import Container

    with (
        closing(Container(settings, report=report)) as container,
        closing(container.ledger(read_only=True)) as ledger,
    ):
        version = ledger.active_version()
        if version is None:
            raise StoreError(
                Text("Nothing has been indexed yet.", "还没有建立任何索引。"),
                hint=Text("Run `rag sync`.", "请运行 `rag sync`。"),
            )
        if not wiring.is_wanted(container, version):
            notify(_OTHER_SETTINGS)
        engines = wiring.index_engines(container, ledger, version)
        yield MeasuredLibrary(container, ledger, engines, report)


def brought(
    source: Path, container: Container, ledger: Ledger, report: Report, *, recognised: bool = False
) -> MeasuredLibrary:
    """Bring the library of a folder of PDFs up to date with it and with the settings.

    ``recognised``: scans are read as well, page by page, once; stopped, it goes on there.
    """
    from rag.app import wiring

    _bring_pdfs(source, container.settings.knowledge)
    library = wiring.library(container, ledger, index=None)
    if ledger.active_version() is None:
        library.sync(report=report)
    else:
        library.rebuild(wanted=lambda version: wiring.is_wanted(container, version), report=report)
    if recognised and waiting_pages(ledger):
        library.recognise(pause=never, report=report)
    engines = wiring.index_engines(container, ledger, ledger.active_version())
    return MeasuredLibrary(container, ledger, engines, report)


def for_texts(container: Container, ledger: Ledger, report: Report) -> MeasuredLibrary:
    """Return the library as the present settings index it; other versions are kept beside it."""
    from rag.app import wiring

    versions = (
        version for version in ledger.versions().values() if wiring.is_wanted(container, version)
    )
    engines = wiring.index_engines(container, ledger, next(versions, None))
    return MeasuredLibrary(container, ledger, engines, report)


def folder_for(source: Path) -> Path:
    """Return the folder that holds the library of an evaluation set; made if need be."""
    resolved = source.resolve()
    digest = sha256(str(resolved).encode()).hexdigest()[:12]
    name = resolved.name.partition(".")[0] or "set"
    folder = user_cache_path("ragdesk", appauthor=False) / "eval" / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _bring_pdfs(source: Path, folder: Path) -> None:
    """Copy the PDFs below ``source`` that are new or changed, drop the others.

    Questions name files without their folders, so a name that comes twice is taken once.
    """
    wanted = {
        file.name: file
        for file in sorted(source.rglob("*"), reverse=True)
        if file.suffix.lower() == ".pdf" and not file.name.startswith(".")
    }
    for kept in folder.glob("*"):
        if kept.suffix.lower() == ".pdf" and kept.name not in wanted:
            kept.unlink()
    for name, file in wanted.items():
        target = folder / name
        if not target.exists() or _stat(target) != _stat(file):
            shutil.copy2(file, target)


def _stat(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, int(found.st_mtime)


# ---- a copy without some documents or pages -----------------------------------------------


@contextmanager
def reduced(ledger: Ledger, parts: Iterable[Part]) -> Iterator[Ledger]:
    """Give a copy of a ledger without ``parts``, as if they had never been there.

    The ledger is only read. The copy is removed afterwards.

    Raises:
        StoreError: it cannot be copied.
    """
    copied = LedgerCopy(ledger.path, ledger.connection, prefix=_COPY)
    try:
        with closing(Ledger(copied.file)) as copy:
            _take_out(copy, parts)
            yield copy
    finally:
        copied.remove()


def _take_out(copy: Ledger, parts: Iterable[Part]) -> None:
    with copy.transaction() as connection:
        for document_id, pages in parts:
            if pages is None:
                connection.execute("DELETE FROM files WHERE document_id = ?", (document_id,))
                delete_document(connection, document_id)
            for page in pages or ():
                _take_out_page(connection, document_id, page)


def _take_out_page(connection: sqlite3.Connection, document_id: str, page: int) -> None:
    found = connection.execute(
        "SELECT id, space_id FROM chunks WHERE document_id = ?"
        " AND first_page <= ? AND last_page >= ?",
        (document_id, page, page),
    ).fetchall()
    for chunk_id, version_id in found:
        table = fts_table(version_id)
        connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (chunk_id,))  # noqa: S608 - ours
        connection.execute("DELETE FROM chunks WHERE id = ?", (chunk_id,))
