"""The numbered places of documents as they are kept; see ``rag.text.anchors``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.types.documents import PAGE_JOIN

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.text.anchors import AnchorKind
    from rag.types.answers import Passage


VERSION = 1
"""Counted up when the rules of ``rag.text.anchors`` find other places; documents are then looked
through anew."""


@dataclass(frozen=True, slots=True)
class KeptAnchor:
    """A numbered place of a document: ``text[start:end]``."""

    document_id: str
    word: str  # what it is called there; "" for a bare number
    start: int
    end: int


def keep_anchors(ledger: Ledger) -> int:
    """Look through the documents whose places are not kept yet; return how many those were.

    One document a transaction, so that whoever else writes waits for no more than one.
    """
    rows = ledger.connection.execute(
        "SELECT id FROM documents WHERE id NOT IN"
        " (SELECT document_id FROM anchored WHERE version = ?)",
        (VERSION,),
    ).fetchall()
    for (document_id,) in rows:
        _keep(ledger, document_id)
    return len(rows)


def _keep(ledger: Ledger, document_id: str) -> None:
    from rag.text.anchors import find_anchors  # a sync without anything new needs none of it

    pages = ledger.connection.execute(
        "SELECT start, text FROM pages WHERE document_id = ? ORDER BY number", (document_id,)
    ).fetchall()
    found = find_anchors(PAGE_JOIN.join(text for _, text in pages), [start for start, _ in pages])
    with ledger.transaction() as connection:
        if not connection.execute(
            "SELECT 1 FROM documents WHERE id = ?", (document_id,)
        ).fetchone():
            return  # it was forgotten meanwhile
        connection.execute("DELETE FROM anchors WHERE document_id = ?", (document_id,))
        connection.executemany(
            "INSERT INTO anchors VALUES (?, ?, ?, ?, ?, ?)",
            [(document_id, a.kind, a.word, a.number, a.start, a.end) for a in found],
        )
        connection.execute("INSERT OR REPLACE INTO anchored VALUES (?, ?)", (document_id, VERSION))


class StoredPlaces:
    """Finds numbered places, and the passages over them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(
        self, kind: AnchorKind, word: str, number: str, documents: Collection[str] | None = None
    ) -> list[KeptAnchor]:
        """Return the places with that number, one a document, by path.

        Those called ``word``, or by their number alone; where no document has such a one, those
        that are called otherwise. ``documents`` limits to these ids.
        """
        rows = self._ledger.connection.execute(
            "SELECT a.document_id, a.word, a.start, a.end FROM anchors a WHERE a.kind = ?"
            " AND a.number = ? ORDER BY (SELECT min(f.path) FROM files f"
            " WHERE f.document_id = a.document_id), a.word != ?, a.word != '', a.start",
            (kind, number, word),
        )
        found: dict[str, KeptAnchor] = {}
        for row in rows:
            if documents is None or row[0] in documents:
                found.setdefault(row[0], KeptAnchor(*row))
        called = [one for one in found.values() if one.word in {word, ""}]
        return called or list(found.values())

    def numbers(
        self, kind: AnchorKind, below: str, documents: Collection[str] | None = None
    ) -> list[str]:
        """Return the numbers that go on from one: 3.1 and 3.2 of 3, each once, in order."""
        rows = self._ledger.connection.execute(
            "SELECT DISTINCT number, document_id FROM anchors WHERE kind = ? AND number GLOB ?"
            " ORDER BY start",
            (kind, f"{below}.*"),
        )
        return list(
            dict.fromkeys(str(n) for n, where in rows if documents is None or where in documents)
        )

    def over(self, anchor: KeptAnchor) -> list[Passage]:
        """Return the passages of the active index version that a place touches, in order."""
        from rag.storage.passages import LedgerPassages  # it brings numpy; a sync may not need it

        version = self._ledger.active_version()
        if version is None:
            return []
        rows = self._ledger.connection.execute(
            "SELECT id FROM chunks WHERE space_id = ? AND document_id = ? AND start < ?"
            " AND end > ? ORDER BY start",
            (version.id, anchor.document_id, anchor.end, anchor.start),
        )
        ids = [int(row[0]) for row in rows]
        found = LedgerPassages(self._ledger, version).passages(ids)
        return [found[chunk_id] for chunk_id in ids if chunk_id in found]
