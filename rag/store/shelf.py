"""Whole documents, as they are read from the first passage to the last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rag.store.passages import LedgerPassages
from rag.types.answers import Readable

if TYPE_CHECKING:
    from rag.store.ledger import Ledger
    from rag.types.answers import Passage
    from rag.types.documents import Space


class LedgerShelf:
    """The documents of one space. Satisfies ``Shelf``."""

    def __init__(self, ledger: Ledger, space: Space) -> None:
        self._ledger = ledger
        self._space = space
        self._passages = LedgerPassages(ledger, space)

    def names(self) -> dict[str, tuple[str, str]]:
        rows = self._ledger.connection.execute(
            "SELECT d.id, (SELECT min(f.path) FROM files f WHERE f.document_id = d.id), d.title"
            " FROM space_documents s JOIN documents d ON d.id = s.document_id WHERE s.space_id = ?",
            (self._space.id,),
        )
        return {row[0]: (PurePosixPath(row[1]).name, row[2]) for row in rows if row[1] is not None}

    def documents(self) -> list[Readable]:
        rows = self._ledger.connection.execute(
            "SELECT d.id, (SELECT min(f.path) FROM files f WHERE f.document_id = d.id), d.title,"
            " (SELECT count(*) FROM pages p WHERE p.document_id = d.id),"
            " count(c.id), sum(c.tokens)"
            " FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.space_id = ?"
            " GROUP BY d.id ORDER BY 2",
            (self._space.id,),
        )
        return [
            Readable(row[0], PurePosixPath(row[1]).name, row[2], *map(int, row[3:]))
            for row in rows
            if row[1] is not None  # it is being forgotten this moment
        ]

    def passages(self, documents: Sequence[str]) -> list[Passage]:
        ids: list[int] = []
        for document in documents:
            rows = self._ledger.connection.execute(
                "SELECT id FROM chunks WHERE space_id = ? AND document_id = ? ORDER BY start",
                (self._space.id, document),
            )
            ids.extend(int(row[0]) for row in rows)
        found = self._passages.passages(ids)
        return [found[chunk_id] for chunk_id in ids if chunk_id in found]
