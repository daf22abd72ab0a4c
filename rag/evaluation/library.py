"""The libraries that are measured: of a set, in the cache folder, or the person's own.

Each set has a folder of its own there, beside nobody's own documents, so that measuring again
costs only what has changed. The person's own is read as ``rag ask`` reads it, so that works
while the app is open.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from rag.errors import StoreError
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.app.container import Container
    from rag.config import Settings
    from rag.evaluation.retrieval import Searching
    from rag.indexing.incoming import IndexEngines
    from rag.storage.ledger import Ledger

Report = Callable[[Progress], None]


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


def searching(library: MeasuredLibrary) -> Searching:
    """Return what searches a library with exact vector search, so that no index adds errors."""
    from rag.app import wiring
    from rag.evaluation.retrieval import Searching
    from rag.storage.vectors.manager import exact_index

    container, ledger, engines = library.container, library.ledger, library.engines
    retriever = wiring.retriever(container, ledger, engines, exact_index(ledger, engines.space))
    return Searching(retriever, min_relevance=container.settings.retrieve.min_relevance)


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
    owner = LibraryLock(settings.data)
    try:
        container = Container(settings, report=report)
        ledger = container.ledger()
        try:
            yield container, ledger
        finally:
            ledger.close()
            container.close()
    finally:
        owner.release()


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

    container = Container(settings, report=report)
    ledger = container.ledger(read_only=True)
    try:
        space = ledger.active_space()
        if space is None:
            raise StoreError(
                Text("Nothing has been indexed yet.", "还没有建立任何索引。"),
                hint=Text("Run `rag sync`.", "请运行 `rag sync`。"),
            )
        if not wiring.is_wanted(container, space):
            notify(_OTHER_SETTINGS)
        engines = wiring.index_engines(container, ledger, space)
        yield MeasuredLibrary(container, ledger, engines, report)
    finally:
        container.close()
        ledger.close()


_OTHER_SETTINGS = Text(
    "The index was made with other settings than those in force; that index is measured."
    " `rag rebuild` makes the one they ask for, and keeps this one to go back to.",
    "现有索引与当前设置不同，下面评测的是现有索引。`rag rebuild` 可按当前设置重建，"
    "并保留现有索引以便退回。",
)


def brought(source: Path, container: Container, ledger: Ledger, report: Report) -> MeasuredLibrary:
    """Bring the library of a folder of PDFs up to date with it and with the settings."""
    from rag.app import wiring

    _bring_pdfs(source, container.settings.knowledge)
    library = wiring.library(container, ledger, index=None)
    if ledger.active_space() is None:
        library.sync(report=report)
    else:
        library.rebuild(wanted=lambda space: wiring.is_wanted(container, space), report=report)
    engines = wiring.index_engines(container, ledger, ledger.active_space())
    return MeasuredLibrary(container, ledger, engines, report)


def for_texts(container: Container, ledger: Ledger, report: Report) -> MeasuredLibrary:
    """Return the library in the space of the present settings; others are kept beside it."""
    from rag.app import wiring

    spaces = (space for space in ledger.spaces().values() if wiring.is_wanted(container, space))
    engines = wiring.index_engines(container, ledger, next(spaces, None))
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
