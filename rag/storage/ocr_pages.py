"""What text recognition found, page by page, from the moment it is found.

A page is kept here before its document is committed anew, so that a kill in between costs
one page; and after, for the boxes, and for a document that is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rag.types.documents import SEARCHABLE, PageState
from rag.types.recognised_text import RecognisedLine, RecognisedPage, pack, unpack

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger


_WAITING = ("no_text", "garbled", "only_hidden", "ocr_failed")
"""Reasons that recognition can mend; the last only when it is asked to try again."""
_RECOGNISED = ("picture", "unreadable_scan", "ocr_worse", "only_hidden:seen")
"""Reasons that recognition gave, and that a better one might not."""


def waits(state: PageState, reason: str | None) -> bool:
    """Return whether recognition may change a page."""
    return state not in SEARCHABLE and reason in _WAITING


def waiting_pages(ledger: Ledger, *, failed_too: bool = False) -> dict[str, list[int]]:
    """Return the pages without usable text by document id, in the order of paths.

    ``failed_too`` takes in pages on which recognition itself failed before.
    """
    rows = ledger.connection.execute(
        "SELECT p.document_id, p.number FROM pages p"
        " JOIN (SELECT document_id, min(path) AS path FROM files GROUP BY document_id) f"
        " ON f.document_id = p.document_id"
        " WHERE p.state IN ('empty', 'garbled') AND p.reason IN (?, ?, ?, ?)"
        " ORDER BY f.path, p.number",
        (*_WAITING[:-1], _WAITING[-1] if failed_too else ""),
    )
    return _by_document(rows)


def _by_document(rows: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for document_id, number in rows:
        found.setdefault(document_id, []).append(int(number))
    return found


def put_recognised(ledger: Ledger, document_id: str, page: RecognisedPage) -> None:
    """Keep what was found on a page, unless the document was forgotten meanwhile."""
    ledger.connection.execute(
        "INSERT OR REPLACE INTO ocr_pages SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
        " WHERE EXISTS (SELECT 1 FROM documents WHERE id = ?1)",
        (
            document_id, page.number, page.engine, page.state, page.reason, page.text,
            pack(page.lines),
        ),
    )  # fmt: skip


def recognised_pages(ledger: Ledger, document_id: str) -> dict[int, RecognisedPage]:
    """Return what is kept of a document, by page number; without places."""
    rows = ledger.connection.execute(
        "SELECT number, state, reason, text, engine FROM ocr_pages WHERE document_id = ?",
        (document_id,),
    )
    return {row[0]: RecognisedPage(row[0], row[1], row[2], row[3], (), row[4]) for row in rows}


def outdated_pages(ledger: Ledger, *, engine: str) -> dict[str, list[int]]:
    """Return the pages that a version other than ``engine`` has read, in the order of paths.

    Without those on which ``engine`` did no better, and blank ones, which need no engine.
    """
    rows = ledger.connection.execute(
        "SELECT o.document_id, o.number FROM ocr_pages o"
        " JOIN pages p ON p.document_id = o.document_id AND p.number = o.number"
        " JOIN (SELECT document_id, min(path) AS path FROM files GROUP BY document_id) f"
        " ON f.document_id = o.document_id"
        " LEFT JOIN ocr_aside a ON a.document_id = o.document_id AND a.number = o.number"
        " AND a.engine = ?1"
        " WHERE o.engine != ?1 AND coalesce(a.better, 1)"
        " AND (p.state = 'ocr' OR p.reason IN (?2, ?3, ?4, ?5)) ORDER BY f.path, o.number",
        (engine, *_RECOGNISED),
    )
    return _by_document(rows)


def put_aside(ledger: Ledger, document_id: str, page: RecognisedPage, *, better: bool) -> None:
    """Keep what a later version found beside what stands; only a ``better`` one is to stand."""
    ledger.connection.execute(
        "INSERT OR REPLACE INTO ocr_aside SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
        " WHERE EXISTS (SELECT 1 FROM documents WHERE id = ?1)",
        (
            document_id, page.number, page.engine, better, page.state, page.reason,
            page.text if better else "", pack(page.lines if better else ()),
        ),
    )  # fmt: skip


def pages_aside(ledger: Ledger, document_id: str, *, engine: str) -> dict[int, RecognisedPage]:
    """Return what ``engine`` read better and the document does not show yet; without places."""
    rows = ledger.connection.execute(
        "SELECT number, state, reason, text, engine FROM ocr_aside"
        " WHERE document_id = ? AND engine = ? AND better",
        (document_id, engine),
    )
    return {row[0]: RecognisedPage(row[0], row[1], row[2], row[3], (), row[4]) for row in rows}


def take_over(ledger: Ledger, document_id: str, numbers: Iterable[int]) -> None:
    """Let what lies aside of these pages stand."""
    pages = [(document_id, number) for number in numbers]
    with ledger.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO ocr_pages"
            " SELECT document_id, number, engine, state, reason, text, lines FROM ocr_aside"
            " WHERE document_id = ? AND number = ? AND better",
            pages,
        )
        connection.executemany(
            "DELETE FROM ocr_aside WHERE document_id = ? AND number = ? AND better", pages
        )


def recognised_lines(
    ledger: Ledger, document_id: str, page: int
) -> tuple[RecognisedLine, ...] | None:
    """Return where the text of a page stands; ``None`` if it is not from text recognition."""
    row = ledger.connection.execute(
        "SELECT o.lines FROM ocr_pages o JOIN pages p"
        " ON p.document_id = o.document_id AND p.number = o.number"
        " WHERE o.document_id = ? AND o.number = ? AND p.state = 'ocr' AND p.text = o.text",
        (document_id, page),
    ).fetchone()
    return None if row is None else unpack(row[0])


def passage_count(ledger: Ledger, document_id: str) -> int:
    """Return how many passages a document has in the active index version."""
    version = ledger.active_version()
    row = ledger.connection.execute(
        "SELECT count(*) FROM chunks WHERE document_id = ? AND space_id = ?",
        (document_id, version.id if version else 0),
    ).fetchone()
    return int(row[0])
