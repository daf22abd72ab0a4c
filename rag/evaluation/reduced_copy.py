"""A copy of a library without some of its documents or pages: as if they had never been there.

For measuring what is said about them then. The library itself is only read.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.storage.database import fts_table
from rag.storage.errors import store_failure, writable
from rag.storage.ledger import Ledger, delete_document

_PREFIX = "measure-"
_LEFT_BEHIND_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Part:
    """What is taken out: a document, or all passages that reach into some of its pages."""

    document_id: str
    pages: Collection[int] | None = None


@contextmanager
def reduced(ledger: Ledger, parts: Iterable[Part]) -> Iterator[Ledger]:
    """Give a ledger without ``parts``, in a folder that is removed afterwards.

    The copy lies beside the library, because that is where a person expects its text to be;
    elsewhere only if nothing can be written there.

    Raises:
        StoreError: it cannot be copied.
    """
    home = ledger.path.parent
    beside = home if writable(home) else None
    if beside is not None:
        _tidy(beside)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=beside) as folder:
        file = Path(folder) / ledger.path.name
        _copy(ledger, file)
        copy = Ledger(file)
        try:
            _take_out(copy, parts)
            yield copy
        finally:
            copy.close()


def _copy(ledger: Ledger, file: Path) -> None:
    try:
        target = sqlite3.connect(file)
        try:
            ledger.connection.backup(target)
        finally:
            target.close()
    except sqlite3.Error as error:
        raise store_failure(file, error) from error


def _take_out(copy: Ledger, parts: Iterable[Part]) -> None:
    with copy.transaction() as connection:
        for part in parts:
            if part.pages is None:
                connection.execute("DELETE FROM files WHERE document_id = ?", (part.document_id,))
                delete_document(connection, part.document_id)
                continue
            for page in part.pages:
                _take_out_page(connection, part.document_id, page)


def _take_out_page(connection: sqlite3.Connection, document_id: str, page: int) -> None:
    found = connection.execute(
        "SELECT id, space_id FROM chunks WHERE document_id = ?"
        " AND first_page <= ? AND last_page >= ?",
        (document_id, page, page),
    ).fetchall()
    for chunk_id, space_id in found:
        table = fts_table(space_id)
        connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (chunk_id,))  # noqa: S608 - ours
        connection.execute("DELETE FROM chunks WHERE id = ?", (chunk_id,))


def _tidy(home: Path) -> None:
    """Remove copies whose process was killed."""
    for left in home.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _LEFT_BEHIND_S:
            shutil.rmtree(left, ignore_errors=True)
