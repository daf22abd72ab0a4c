"""The ledger: which files there are, what became of every page, and every passage.

SQLite in WAL mode is the truth. One document is one transaction: a reader sees all of
it or nothing. Readers may be many; one process writes (see ``rag.storage.lock``).
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.storage import rows
from rag.storage.database import connect, create_fts, drop_fts, migrate, upgrade
from rag.storage.errors import store_failure
from rag.storage.rows import DocumentRow, FileRow, IndexedChunks
from rag.types.documents import Document, Heading, IndexVersion, Page


class _ThreadState:
    """A thread's connection, and what the thread remembers; both end with the thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.version: tuple[int, int] | None = None  # that ``memo`` was read from
        self.memo: dict[Hashable, Any] = {}

    def __del__(self) -> None:
        # not left to the connection itself: an error that somebody keeps may refer to it
        self.connection.close()


class Ledger:
    """Reads and writes ``library.db``. Each thread gets a connection of its own.

    It is closed when the thread ends, so no thread has to say that it is done. What a statement
    returned must be read by the thread that ran it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._local = threading.local()  # lets go of what a thread kept here when that ends
        self._open: weakref.WeakSet[_ThreadState] = weakref.WeakSet()
        self._guard = threading.Lock()
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            migrate(self.connection, path)
        elif path.is_file():
            upgrade(path)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        return self._state().connection

    def _state(self) -> _ThreadState:
        found: _ThreadState | None = getattr(self._local, "state", None)
        if found is None:
            found = _ThreadState(connect(self.path, read_only=self._read_only))
            self._local.state = found
            with self._guard:
                self._open.add(found)
        return found

    def memo(self) -> dict[Hashable, Any]:
        """Return what this thread keeps of what it read; empty after a change by anybody."""
        state = self._state()
        # the pragma tells of commits by other connections, the count of this one's own changes
        committed = state.connection.execute("PRAGMA data_version").fetchone()[0]
        version = (committed, state.connection.total_changes)
        if state.version != version:
            state.version, state.memo = version, {}
        return state.memo

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._guard:
            for state in self._open:
                state.connection.close()
            self._open.clear()
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            bug = isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError)
            if isinstance(error, sqlite3.DatabaseError) and not bug:
                raise store_failure(self.path, error) from error
            raise

    # -- meta ------------------------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """Return one remembered value."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str | None) -> None:
        """Remember one value; ``None`` forgets it."""
        try:
            if value is None:
                self.connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            else:
                self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        except sqlite3.Error as error:
            raise store_failure(self.path, error) from error

    # -- files -----------------------------------------------------------------------------

    def files(self) -> dict[str, FileRow]:
        """Return all known paths."""
        found = self.connection.execute(
            "SELECT path, size, mtime_ns, document_id, reason FROM files ORDER BY path"
        )
        return {row[0]: FileRow(*row) for row in found}

    def put_files(self, files: Iterable[FileRow]) -> list[int]:
        """Insert or replace paths; documents left without a path go. Return their chunk ids."""
        with self.transaction() as connection:
            rows.put_files(connection, files)
            return rows.sweep(connection)

    def remove_files(self, paths: Iterable[str]) -> list[int]:
        """Forget paths; documents left without a path go. Return the ids of their chunks."""
        with self.transaction() as connection:
            connection.executemany("DELETE FROM files WHERE path = ?", [(p,) for p in paths])
            return rows.sweep(connection)

    # -- documents -------------------------------------------------------------------------

    def document_ids(self) -> set[str]:
        """Return the ids of all documents, failed ones included."""
        return {row[0] for row in self.connection.execute("SELECT id FROM documents")}

    def unsketched(self) -> list[str]:
        """Return the ids of documents that were not yet compared with the others."""
        found = self.connection.execute(
            "SELECT id FROM documents WHERE id NOT IN (SELECT document_id FROM sketches)"
            " AND EXISTS (SELECT 1 FROM pages WHERE document_id = id)"
        )
        return [row[0] for row in found]

    def forgotten(self) -> set[str]:
        """Return the ids of documents the person asked to forget."""
        return {row[0] for row in self.connection.execute("SELECT document_id FROM forgotten")}

    def forget(self, document_id: str) -> list[int]:
        """Remove a document everywhere and keep it out. Return the ids of its chunks."""
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (document_id,))
            connection.execute(
                "UPDATE files SET document_id = NULL, reason = 'forgotten' WHERE document_id = ?",
                (document_id,),
            )
            return rows.sweep(connection)

    def remember(self, document_ids: Iterable[str]) -> None:
        """Let forgotten documents in again at the next sync."""
        with self.transaction() as connection:
            connection.executemany(
                "DELETE FROM forgotten WHERE document_id = ?", [(i,) for i in document_ids]
            )

    def commit_document(
        self, row: DocumentRow, space: IndexVersion, indexed: IndexedChunks
    ) -> tuple[list[int], list[int]]:
        """Write one document, its paths and its passages in one transaction.

        Returns:
            The ids of its chunks, and the ids of chunks that went because a path now holds
            other bytes.
        """
        with self.transaction() as connection:
            gone = rows.put_document(connection, row)
            added = rows.put_chunks(connection, space, row.document.id, indexed)
            swept = set(rows.sweep(connection))  # all of it, if it was forgotten meanwhile
            return [i for i in added if i not in swept], [*gone, *swept]

    def load_document(self, document_id: str) -> Document | None:
        """Return a document with its pages' text, as it was read."""
        row = self.connection.execute(
            "SELECT title, reader FROM documents WHERE id = ?", (document_id,)
        ).fetchone()
        if row is None:
            return None
        pages = self.connection.execute(
            "SELECT number, text, label, state, reason, width, height, recipe FROM pages"
            " WHERE document_id = ? ORDER BY number",
            (document_id,),
        )
        headings = self.connection.execute(
            "SELECT level, title, page FROM headings WHERE document_id = ? ORDER BY position",
            (document_id,),
        )
        return Document(
            document_id,
            row[0],
            tuple(Page(*page) for page in pages),
            tuple(Heading(*heading) for heading in headings),
            row[1],
        )

    def superseded(self) -> dict[str, str]:
        """Return, for each version that was replaced, the id of the newest one of its path."""
        by = dict(self.connection.execute("SELECT document_id, by FROM superseded ORDER BY at"))
        newest: dict[str, str] = {}
        for old in by:
            at, seen = old, {old}
            while (later := by.get(at)) is not None and later not in seen:
                seen.add(later)
                at = later
            newest[old] = at
        return newest

    def read_by_others(self, reader: str) -> set[str]:
        """Return the ids of documents that another version of the reader has read."""
        rows = self.connection.execute("SELECT id FROM documents WHERE reader != ?", (reader,))
        return {row[0] for row in rows}

    def failed_by_chance(self) -> set[str]:
        """Return the ids of documents that a busier machine or another version failed on."""
        rows = self.connection.execute(
            "SELECT id FROM documents WHERE state = 'failed'"
            " AND reason IN ('timeout', 'reader_crashed', 'index_failed')"
        )
        return {row[0] for row in rows}

    def set_failed(self, document_id: str, reason: str) -> None:
        """Remember that a document whose pages are known cannot be searched, and why."""
        self.connection.execute(
            "UPDATE documents SET state = 'failed', reason = ? WHERE id = ?", (reason, document_id)
        )

    def set_reader(self, document_id: str, reader: str) -> None:
        """Remember that ``reader`` reads the document as it is here."""
        self.connection.execute(
            "UPDATE documents SET reader = ? WHERE id = ?", (reader, document_id)
        )

    # -- spaces ----------------------------------------------------------------------------

    def spaces(self) -> dict[int, IndexVersion]:
        """Return all spaces by id."""
        found = self.connection.execute("SELECT id, embedder, dim, chunking, analyser FROM spaces")
        return {row[0]: IndexVersion(*row) for row in found}

    def active_space(self) -> IndexVersion | None:
        """Return the space that answers questions."""
        active = self.meta("active_space")
        return self.spaces().get(int(active)) if active else None

    def create_space(
        self, *, embedder: str, dim: int, chunking: str, analyser: str
    ) -> IndexVersion:
        """Add an empty space."""
        with self.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO spaces (embedder, dim, chunking, analyser, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (embedder, dim, chunking, analyser, time.time()),
            )
            space_id = int(cursor.lastrowid or 0)
            create_fts(connection, space_id)
        return IndexVersion(space_id, embedder, dim, chunking, analyser)

    def activate(self, space: IndexVersion) -> None:
        """Let ``space`` answer from now on; the one before is kept for a rollback."""
        with self.transaction():
            before = self.meta("active_space")
            if before and int(before) != space.id:
                self.set_meta("previous_space", before)
            self.set_meta("active_space", str(space.id))

    def drop_space(self, space: IndexVersion) -> None:
        """Remove a space with its chunks and vectors."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM spaces WHERE id = ?", (space.id,))
            drop_fts(connection, space.id)

    def complete_documents(self, space: IndexVersion) -> set[str]:
        """Return the ids of documents whose passages are all in ``space``."""
        found = self.connection.execute(
            "SELECT document_id FROM space_documents WHERE space_id = ?", (space.id,)
        )
        return {row[0] for row in found}

    def chunk_count(self, space: IndexVersion) -> int:
        """Return how many passages a space has."""
        return int(
            self.connection.execute(
                "SELECT count(*) FROM chunks WHERE space_id = ?", (space.id,)
            ).fetchone()[0]
        )

    def put_chunks(
        self, space: IndexVersion, document_id: str, indexed: IndexedChunks
    ) -> list[int]:
        """Write a known document's passages into a space. Return their ids.

        Nothing is written of one that was deleted or forgotten meanwhile.
        """
        with self.transaction() as connection:
            known = connection.execute("SELECT 1 FROM documents WHERE id = ?", (document_id,))
            if known.fetchone() is None:
                return []
            return rows.put_chunks(connection, space, document_id, indexed)
