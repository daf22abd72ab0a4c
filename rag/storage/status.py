"""Coverage: what became of every document and page; and whether the ledger holds together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.storage.database import fts_table
from rag.types.documents import DocumentStatus, Page, PageState

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger


def document_statuses(ledger: Ledger, *, with_pages: bool = False) -> list[DocumentStatus]:
    """Return every document and every path that has none, sorted by path."""
    connection = ledger.connection
    counts: dict[str, dict[PageState, int]] = {}
    for document_id, state, count in connection.execute(
        "SELECT document_id, state, count(*) FROM pages GROUP BY document_id, state"
    ):
        counts.setdefault(document_id, {})[state] = int(count)
    paths: dict[str, list[str]] = {}
    waiting: dict[str, str] = {}  # why a new version of a document is not read yet
    statuses: list[DocumentStatus] = []
    for row in ledger.files().values():
        if row.document_id is not None:
            paths.setdefault(row.document_id, []).append(row.path)
            if row.reason:
                waiting[row.document_id] = row.reason
        else:
            statuses.append(DocumentStatus("", (row.path,), "", "", {}, "failed", row.reason))
    from rag.storage.near_duplicates import (
        near_duplicates,  # it brings numpy, which a sync may not need
    )

    alike = near_duplicates(ledger)
    for document_id, title, language, state, reason in connection.execute(
        "SELECT id, title, language, state, reason FROM documents"
    ):
        statuses.append(
            DocumentStatus(
                document_id,
                tuple(paths.get(document_id, ())),
                title,
                language,
                counts.get(document_id, {}),
                state,
                reason or waiting.get(document_id),
                page_states(ledger, document_id) if with_pages else (),
                tuple(paths[other][0] for other, _ in alike.get(document_id, ()) if other in paths),
            )
        )
    return sorted(statuses, key=lambda status: (status.paths, status.id))


def page_states(ledger: Ledger, document_id: str) -> tuple[Page, ...]:
    """Return a document's pages without their text."""
    rows = ledger.connection.execute(
        "SELECT number, '', label, state, reason, width, height FROM pages"
        " WHERE document_id = ? ORDER BY number",
        (document_id,),
    )
    return tuple(Page(*row) for row in rows)


def page_size(ledger: Ledger, document_id: str, number: int) -> tuple[float, float] | None:
    """Return width and height of one page in points; ``None`` if there is no such page."""
    row = ledger.connection.execute(
        "SELECT width, height FROM pages WHERE document_id = ? AND number = ?",
        (document_id, number),
    ).fetchone()
    return None if row is None else (float(row[0]), float(row[1]))


_CHECKS: dict[str, str] = {
    "a passage lies outside its document": """
        SELECT count(*) FROM chunks c WHERE c.start < 0 OR c.end > (
          SELECT max(p.start + length(p.text)) FROM pages p WHERE p.document_id = c.document_id)""",
    "a passage names pages its document does not have": """
        SELECT count(*) FROM chunks c
        WHERE NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = c.document_id
                          AND p.number = c.first_page)
           OR NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = c.document_id
                          AND p.number = c.last_page)""",
    "a passage has no vector": """
        SELECT count(*) FROM chunks c
        WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk_id = c.id)""",
    "a vector has the wrong length": """
        SELECT count(*) FROM vectors v JOIN chunks c ON c.id = v.chunk_id
        JOIN spaces s ON s.id = c.space_id WHERE length(v.vector) != 2 * s.dim""",
    "a passage belongs to a document that is not complete": """
        SELECT count(*) FROM chunks c WHERE NOT EXISTS (
          SELECT 1 FROM space_documents d
          WHERE d.space_id = c.space_id AND d.document_id = c.document_id)""",
    "a document has no path": """
        SELECT count(*) FROM documents d
        WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.document_id = d.id)""",
    "page numbers have gaps": """
        SELECT count(*) FROM (SELECT document_id FROM pages GROUP BY document_id
                              HAVING min(number) != 1 OR max(number) != count(*))""",
    "a page that can be searched has no text": """
        SELECT count(*) FROM pages WHERE state IN ('text', 'ocr') AND trim(text) = ''""",
    "a version that was replaced still has a path": """
        SELECT count(*) FROM superseded s JOIN files f ON f.document_id = s.document_id""",
    "the space that answers does not exist": """
        SELECT count(*) FROM meta WHERE key = 'active_space'
        AND CAST(value AS INTEGER) NOT IN (SELECT id FROM spaces)""",
    "a document is ready although pages are missing": """
        SELECT count(*) FROM documents d WHERE d.state != 'failed'
        AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = d.id)""",
}


def broken_invariants(ledger: Ledger) -> list[str]:
    """Return what is wrong, in words with counts; an empty list means all holds."""
    connection = ledger.connection
    broken: list[str] = []
    integrity = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if integrity != "ok":
        broken.append(f"the file is damaged: {integrity}")
    foreign = connection.execute("PRAGMA foreign_key_check").fetchall()
    if foreign:
        broken.append(f"{len(foreign)} rows point at nothing")
    for what, query in _CHECKS.items():
        count = connection.execute(query).fetchone()[0]
        if count:
            broken.append(f"{what} ({count})")
    for space in ledger.spaces().values():
        broken.extend(_broken_words(ledger, space.id))
    return broken


def _broken_words(ledger: Ledger, space_id: int) -> list[str]:
    table = fts_table(space_id)
    connection = ledger.connection
    missing = connection.execute(
        f"SELECT count(*) FROM chunks WHERE space_id = ? AND id NOT IN (SELECT rowid FROM {table})",
        (space_id,),
    ).fetchone()[0]
    stray = connection.execute(
        f"SELECT count(*) FROM {table} WHERE rowid NOT IN"
        " (SELECT id FROM chunks WHERE space_id = ?)",
        (space_id,),
    ).fetchone()[0]
    broken = []
    if missing:
        broken.append(f"a passage is not in the word index ({missing})")
    if stray:
        broken.append(f"the word index holds passages that are gone ({stray})")
    return broken
