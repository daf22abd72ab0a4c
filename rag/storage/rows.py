"""How values become rows: the statements behind the ledger's transactions.

Every function here runs inside a transaction that its caller opened.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.storage.database import fts_table
from rag.types.documents import Chunk, Document, DocumentState, IndexVersion

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
    """A document's passages, ready for one space; all sequences run in parallel."""

    chunks: Sequence[Chunk]
    terms: Sequence[str]  # analysed, separated by spaces
    digests: Sequence[bytes]
    vectors: Vectors


def put_files(connection: sqlite3.Connection, rows: Iterable[FileRow]) -> None:
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


def put_pages(connection: sqlite3.Connection, document: Document) -> None:
    """Insert the pages and the outline of a new document."""
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


def put_chunks(
    connection: sqlite3.Connection, space: IndexVersion, document_id: str, indexed: IndexedChunks
) -> list[int]:
    """Insert a document's passages into a space and mark it complete there. Return their ids."""
    table = fts_table(space.id)
    rows = indexed.vectors.astype("float16")
    ids: list[int] = []
    for chunk, terms, digest, row in zip(
        indexed.chunks, indexed.terms, indexed.digests, rows, strict=True
    ):
        cursor = connection.execute(
            "INSERT INTO chunks (space_id, document_id, start, end, first_page, last_page,"
            " heading, context, tokens, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                space.id, document_id, chunk.start, chunk.end, chunk.first_page,
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
        "INSERT OR REPLACE INTO space_documents VALUES (?, ?)", (space.id, document_id)
    )
    return ids


def put_document(connection: sqlite3.Connection, row: DocumentRow) -> list[int]:
    """Write a document with its pages and paths in place of what was there under its id.

    Returns the ids of the chunks that went with what was there.
    """
    gone = delete_document(connection, row.document.id)
    connection.execute(
        "INSERT INTO documents (id, title, language, state, reason, reader, added_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            row.document.id, row.document.title, row.language, row.state, row.reason,
            row.document.reader, time.time(),
        ),
    )  # fmt: skip
    put_pages(connection, row.document)
    put_files(connection, row.files)
    return gone


def delete_document(connection: sqlite3.Connection, document_id: str) -> list[int]:
    """Delete a document and all that hangs on it. Return the ids of its chunks."""
    rows = connection.execute(
        "SELECT id, space_id FROM chunks WHERE document_id = ?", (document_id,)
    ).fetchall()
    for chunk_id, space_id in rows:
        connection.execute(
            f"DELETE FROM {fts_table(space_id)} WHERE rowid = ?",
            (chunk_id,),
        )
    connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))
    return [row[0] for row in rows]


def sweep(connection: sqlite3.Connection) -> list[int]:
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
