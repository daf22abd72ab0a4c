"""A real small library for the tests that kill: how it is made, owned, and all that it holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings
from rag.indexing.library import Library
from rag.storage.database import fts_table
from rag.storage.ledger import Ledger
from rag.storage.lock import LibraryLock
from rag.storage.status import broken_invariants
from rag.storage.vectors.manager import VectorIndexManager
from rag.types.progress import Progress
from tests.pdfs import lines, write_pdf

DOCUMENTS = 24


def make_folder(folder: Path) -> Path:
    for number in range(DOCUMENTS):
        pages = [lines(f"document {number} says 第{number}号 word{number}", repeat=40)] * 6
        write_pdf(folder / f"{number:02}.pdf", pages)
    write_pdf(folder / "locked.pdf", ["x"], password="pw")
    shutil.copy(folder / "00.pdf", folder / "twin.pdf")
    return folder


@contextmanager
def owned(chosen: Settings) -> Iterator[tuple[Container, Library, VectorIndexManager]]:
    """Own a library as the app does; say ``finished`` once all of it is closed."""
    owner = LibraryLock(chosen.data)
    container = Container(chosen)
    ledger = container.ledger()
    index = VectorIndexManager(ledger, chosen.data / "chroma", engine=chosen.retrieve.index)
    yield container, wiring.library(container, ledger, index=index), index
    index.close()
    container.close()
    ledger.close()
    owner.release()
    print("finished", flush=True)


def tell(progress: Progress) -> None:
    """Print how far the work is, for whoever kills it."""
    print(progress.stage, progress.done, progress.total, flush=True)


def contents(folder: Path) -> dict[str, Any]:
    """All that the live index version holds, without row numbers: those depend on the way there."""
    ledger = Ledger(folder / ".rag" / "library.db")
    connection = ledger.connection
    try:
        assert broken_invariants(ledger) == []
        version = ledger.active_version()
        assert version is not None
        return {
            "space": (version.embedder, version.dim, version.chunking, version.analyser),
            "files": connection.execute(
                "SELECT path, size, document_id, reason FROM files ORDER BY 1"
            ).fetchall(),
            "documents": connection.execute(
                "SELECT id, title, language, state, reason, reader FROM documents ORDER BY 1"
            ).fetchall(),
            "pages": connection.execute("SELECT * FROM pages ORDER BY 1, 2").fetchall(),
            "chunks": connection.execute(
                "SELECT c.document_id, c.start, c.end, c.heading, c.digest, v.vector, f.terms"
                " FROM chunks c JOIN vectors v ON v.chunk_id = c.id"
                f" JOIN {fts_table(version.id)} f ON f.rowid = c.id"
                " WHERE c.space_id = ? ORDER BY 1, 2",
                (version.id,),
            ).fetchall(),
            "alike": connection.execute("SELECT * FROM alike ORDER BY 1, 2").fetchall(),
        }
    finally:
        ledger.close()
