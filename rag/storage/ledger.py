"""The ledger: which files there are, what became of every page, and every passage.

SQLite in WAL mode is the truth. One document is one transaction: a reader sees all of
it or nothing. Readers may be many; one process writes (see ``rag.storage.lock``).
"""

from __future__ import annotations

import sqlite3
import threading
import time
import unicodedata
import weakref
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from rag.storage.copies import LedgerCopy, current_copy
from rag.storage.database import connect, create_fts, drop_fts, fts_table, migrate
from rag.storage.errors import store_failure
from rag.types.documents import Chunk, Document, DocumentState, Heading, IndexVersion, Page

if TYPE_CHECKING:
    from rag.protocols import Vectors


@dataclass(frozen=True, slots=True)
class FileRow:
    """One path under the knowledge folder, as last seen."""

    path: str
    size: int
    mtime_ns: int
    document_id: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as read, and what became of it."""

    document: Document
    language: str
    state: DocumentState
    reason: str | None
    files: Sequence[FileRow]


@dataclass(frozen=True, slots=True)
class IndexedChunks:
    """A document's passages, ready for one index version; all sequences run in parallel."""

    chunks: Sequence[Chunk]
    terms: Sequence[str]  # analysed, separated by spaces
    digests: Sequence[bytes]
    vectors: Vectors


def files_named(rows: Iterable[FileRow], name: str) -> list[FileRow]:
    """Return the row with this path; else those whose file has this name, wherever they lie."""
    wanted = unicodedata.normalize("NFC", name).replace("\\", "/")
    known = list(rows)
    exact = [row for row in known if row.path == wanted]
    bare = PurePosixPath(wanted).name
    return exact or [row for row in known if PurePosixPath(row.path).name == bare]


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

    Who only reads changes nothing on disk: of a file that an older version made, a copy is
    brought up to date and read, as the file stood when it was opened.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._local = threading.local()  # lets go of what a thread kept here when that ends
        self._open: weakref.WeakSet[_ThreadState] = weakref.WeakSet()
        self._guard = threading.Lock()
        self._copy: LedgerCopy | None = None
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            migrate(self.connection, path)
        elif path.is_file():
            self._copy = current_copy(path)

    @property
    def is_older(self) -> bool:
        """An older version made the file, and it is only read: it stays so."""
        return self._copy is not None

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        return (getattr(self._local, "state", None) or self._opened()).connection

    def _opened(self) -> _ThreadState:
        file = self._copy.file if self._copy else self.path
        self._local.state = opened = _ThreadState(connect(file, read_only=self._read_only))
        with self._guard:
            self._open.add(opened)
        return opened

    def memo(self) -> dict[Hashable, Any]:
        """Return what this thread keeps of what it read; empty after a change by anybody."""
        state = getattr(self._local, "state", None) or self._opened()
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
        if self._copy is not None:
            self._copy.remove()

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
            _put_files(connection, files)
            return _sweep(connection)

    def remove_files(self, paths: Iterable[str]) -> list[int]:
        """Forget paths; documents left without a path go. Return the ids of their chunks."""
        with self.transaction() as connection:
            connection.executemany("DELETE FROM files WHERE path = ?", [(p,) for p in paths])
            return _sweep(connection)

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
            return _sweep(connection)

    def remember(self, document_ids: Iterable[str]) -> None:
        """Let forgotten documents in again at the next sync."""
        with self.transaction() as connection:
            connection.executemany(
                "DELETE FROM forgotten WHERE document_id = ?", [(i,) for i in document_ids]
            )

    def commit_document(
        self, row: DocumentRow, version: IndexVersion, indexed: IndexedChunks
    ) -> tuple[list[int], list[int]]:
        """Write one document, its paths and its passages in one transaction.

        Returns:
            The ids of its chunks, and the ids of chunks that went because a path now holds
            other bytes.
        """
        with self.transaction() as connection:
            gone = _put_document(connection, row)
            added = _put_chunks(connection, version, row.document.id, indexed)
            swept = set(_sweep(connection))  # all of it, if it was forgotten meanwhile
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

    # -- index versions --------------------------------------------------------------------

    def versions(self) -> dict[int, IndexVersion]:
        """Return all index versions by id."""
        found = self.connection.execute("SELECT id, embedder, dim, chunking, analyser FROM spaces")
        return {row[0]: IndexVersion(*row) for row in found}

    def active_version(self) -> IndexVersion | None:
        """Return the index version that answers questions."""
        return self._version("active_space")

    def previous_version(self) -> IndexVersion | None:
        """Return the index version to go back to, or forth again."""
        return self._version("previous_space")

    def _version(self, key: str) -> IndexVersion | None:
        row = self.connection.execute(
            "SELECT id, embedder, dim, chunking, analyser FROM spaces"
            " WHERE id = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?)",
            (key,),
        ).fetchone()
        return IndexVersion(*row) if row else None

    def create_version(
        self, *, embedder: str, dim: int, chunking: str, analyser: str
    ) -> IndexVersion:
        """Add an empty index version."""
        with self.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO spaces (embedder, dim, chunking, analyser, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (embedder, dim, chunking, analyser, time.time()),
            )
            version_id = int(cursor.lastrowid or 0)
            create_fts(connection, version_id)
        return IndexVersion(version_id, embedder, dim, chunking, analyser)

    def activate(self, version: IndexVersion) -> None:
        """Let ``version`` answer from now on; the one before is kept for a rollback."""
        with self.transaction():
            before = self.meta("active_space")
            if before and int(before) != version.id:
                self.set_meta("previous_space", before)
            self.set_meta("active_space", str(version.id))

    def drop_version(self, version: IndexVersion) -> None:
        """Remove an index version with its chunks and vectors."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM spaces WHERE id = ?", (version.id,))
            drop_fts(connection, version.id)

    def complete_documents(self, version: IndexVersion) -> set[str]:
        """Return the ids of documents whose passages are all in ``version``."""
        found = self.connection.execute(
            "SELECT document_id FROM space_documents WHERE space_id = ?", (version.id,)
        )
        return {row[0] for row in found}

    def missing_documents(self, version: IndexVersion) -> list[str]:
        """Return the ids of documents that are not complete in ``version``, sorted."""
        found = self.connection.execute(
            "SELECT id FROM documents WHERE id NOT IN"
            " (SELECT document_id FROM space_documents WHERE space_id = ?) ORDER BY id",
            (version.id,),
        )
        return [row[0] for row in found]

    def chunk_count(self, version: IndexVersion) -> int:
        """Return how many passages an index version has."""
        query = "SELECT count(*) FROM chunks WHERE space_id = ?"
        return int(self.connection.execute(query, (version.id,)).fetchone()[0])

    def put_chunks(
        self, version: IndexVersion, document_id: str, indexed: IndexedChunks
    ) -> list[int]:
        """Write a known document's passages into an index version. Return their ids.

        Nothing is written of one that was deleted or forgotten meanwhile.
        """
        with self.transaction() as connection:
            known = connection.execute("SELECT 1 FROM documents WHERE id = ?", (document_id,))
            if known.fetchone() is None:
                return []
            return _put_chunks(connection, version, document_id, indexed)


# -- the statements behind the transactions: each runs inside one that its caller opened ------


def _put_files(connection: sqlite3.Connection, rows: Iterable[FileRow]) -> None:
    """Insert or replace paths. A document whose path another one takes is superseded by it."""
    rows = list(rows)
    connection.executemany(
        "INSERT OR REPLACE INTO superseded SELECT document_id, ?, path, ? FROM files"
        " WHERE path = ? AND document_id IS NOT NULL AND document_id != ?",
        [(r.document_id, time.time(), r.path, r.document_id) for r in rows if r.document_id],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO files (path, size, mtime_ns, document_id, reason)"
        " VALUES (?, ?, ?, ?, ?)",
        [(r.path, r.size, r.mtime_ns, r.document_id, r.reason) for r in rows],
    )
    connection.execute(  # it may have been forgotten while it was read
        "UPDATE files SET document_id = NULL, reason = 'forgotten'"
        " WHERE document_id IN (SELECT document_id FROM forgotten)"
    )


def _put_chunks(
    connection: sqlite3.Connection, version: IndexVersion, document_id: str, indexed: IndexedChunks
) -> list[int]:
    """Insert a document's passages, and mark it complete in that version. Return their ids."""
    table = fts_table(version.id)
    rows = indexed.vectors.astype("float16")
    ids: list[int] = []
    for chunk, terms, digest, row in zip(
        indexed.chunks, indexed.terms, indexed.digests, rows, strict=True
    ):
        cursor = connection.execute(
            "INSERT INTO chunks (space_id, document_id, start, end, first_page, last_page,"
            " heading, context, tokens, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                version.id, document_id, chunk.start, chunk.end, chunk.first_page,
                chunk.last_page, chunk.heading, chunk.context, chunk.tokens, digest,
            ),
        )  # fmt: skip
        chunk_id = int(cursor.lastrowid or 0)
        connection.execute("INSERT INTO vectors VALUES (?, ?)", (chunk_id, row.tobytes()))
        connection.execute(
            f"INSERT INTO {table} (rowid, terms) VALUES (?, ?)",
            (chunk_id, terms),
        )
        ids.append(chunk_id)
    connection.execute(
        "INSERT OR REPLACE INTO space_documents VALUES (?, ?)", (version.id, document_id)
    )
    return ids


def _put_document(connection: sqlite3.Connection, row: DocumentRow) -> list[int]:
    """Write a document with its pages and paths in place of what was there under its id.

    Returns the ids of the chunks that went with what was there.
    """
    document = row.document
    gone = delete_document(connection, document.id)
    connection.execute(
        "INSERT INTO documents (id, title, language, state, reason, reader, added_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            document.id, document.title, row.language, row.state, row.reason,
            document.reader, time.time(),
        ),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO pages (document_id, number, label, state, reason, start, text, width, height,"
        " recipe) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                document.id, p.number, p.label, p.state, p.reason, start, p.text, p.width, p.height,
                p.recipe,
            )
            for p, start in zip(document.pages, document.page_starts(), strict=False)
        ],
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO headings VALUES (?, ?, ?, ?, ?)",
        [(document.id, i, h.level, h.title, h.page) for i, h in enumerate(document.headings)],
    )
    _put_files(connection, row.files)
    return gone


def delete_document(connection: sqlite3.Connection, document_id: str) -> list[int]:
    """Delete a document and all that hangs on it. Return the ids of its chunks."""
    rows = connection.execute(
        "SELECT id, space_id FROM chunks WHERE document_id = ?", (document_id,)
    ).fetchall()
    for chunk_id, version_id in rows:
        connection.execute(
            f"DELETE FROM {fts_table(version_id)} WHERE rowid = ?",
            (chunk_id,),
        )
    connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))
    return [row[0] for row in rows]


def _sweep(connection: sqlite3.Connection) -> list[int]:
    """Delete documents that no path names, from everywhere. Return the ids of their chunks."""
    connection.execute(  # one that still has a path, or has one again, is a version of its own
        "DELETE FROM superseded WHERE document_id IN"
        " (SELECT document_id FROM files WHERE document_id IS NOT NULL)"
    )
    orphans = connection.execute(
        "SELECT id FROM documents WHERE id NOT IN"
        " (SELECT document_id FROM files WHERE document_id IS NOT NULL)"
    ).fetchall()
    for table in ("ocr_pages", "ocr_aside", "evaluation_questions"):
        connection.execute(
            f"DELETE FROM {table} WHERE document_id NOT IN"
            " (SELECT document_id FROM files WHERE document_id IS NOT NULL)"
        )
    return [chunk_id for (orphan,) in orphans for chunk_id in delete_document(connection, orphan)]
