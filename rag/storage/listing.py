"""The library as a list of documents, to answer questions about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rag.storage.passages import LedgerPassages
from rag.types.documents import FORGOTTEN, NOTHING_TO_READ

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.text.messages import Language
    from rag.types.answers import Passage

GUIDES: Mapping[Language, str] = {"en": "RAG Desk guide.pdf", "zh": "RAG Desk 使用指南.pdf"}
"""The user guide that comes with the app, by language."""
_LOOKED_AT = 2_000  # passages that hold a word of a topic


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One document, or one file that could not be read at all (``id`` and pages are empty)."""

    id: str
    path: str
    title: str
    language: str
    pages: int
    unread: tuple[tuple[str, int], ...]  # reasons of pages that cannot be searched, and how many
    reason: str | None  # why the file cannot be read; ``None`` where it has pages
    added_at: float  # seconds since 1970; 0 where it could not be read
    size: int  # bytes
    repeated: bool = False  # another document's file has the same name, in another folder

    @property
    def name(self) -> str:
        """File name."""
        return PurePosixPath(self.path).name

    @property
    def shown(self) -> str:
        """What tells it from all others: its name, with the folder where names repeat."""
        return self.path if self.repeated else self.name


class LibraryList:
    """Reads the list; cheap enough for a question."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def documents(self) -> list[ListedDocument]:
        """Return all documents and unread files by path, without what was forgotten."""
        connection = self._ledger.connection
        pages: dict[str, int] = {}
        unread: dict[str, list[tuple[str, int]]] = {}
        for identity, state, reason, count in connection.execute(
            "SELECT document_id, state, reason, count(*) FROM pages"
            " GROUP BY document_id, state, reason"
        ):
            pages[identity] = pages.get(identity, 0) + count
            if state not in {"text", "ocr"} and reason not in NOTHING_TO_READ:
                unread.setdefault(identity, []).append((reason or state, count))
        rows = connection.execute(
            "SELECT f.document_id, min(f.path), d.title, d.language, f.reason, d.reason,"
            " d.added_at, max(f.size) FROM files f LEFT JOIN documents d ON d.id = f.document_id"
            " GROUP BY coalesce(f.document_id, f.path) ORDER BY 2"
        )
        listed = [
            ListedDocument(
                identity or "",
                path,
                title or "",
                language or "",
                pages.get(identity, 0),
                tuple(unread.get(identity, ())),
                None if pages.get(identity) else reason or why or "unreadable",
                added_at or 0.0,
                size or 0,
            )
            for identity, path, title, language, reason, why, added_at, size in rows
            if reason != FORGOTTEN
        ]
        names = Counter(one.name for one in listed)
        return [replace(one, repeated=True) if names[one.name] > 1 else one for one in listed]

    def beginnings(self, documents: Sequence[str]) -> dict[str, Passage]:
        """Return the first passage of each of these documents that has one."""
        version = self._ledger.active_version()
        if version is None:
            return {}
        store = LedgerPassages(self._ledger, version)
        ids = [
            int(row[0])
            for document in documents
            for row in self._ledger.connection.execute(
                "SELECT id FROM chunks WHERE space_id = ? AND document_id = ?"
                " ORDER BY start LIMIT 1",
                (version.id, document),
            )
        ]
        return {found.chunk.document_id: found for found in store.passages(ids).values()}

    def of_guide(self, terms: Sequence[str], language: Language) -> Passage | None:
        """Return the passage of the app's own guide that holds most of ``terms``, if it is here."""
        version = self._ledger.active_version()
        guides = [one.id for one in self.documents() if one.name == GUIDES[language]]
        if version is None or not guides:
            return None
        store = LedgerPassages(self._ledger, version)
        best = [chunk_id for chunk_id, _ in store.match(terms, k=1, documents=guides)]
        return next(iter(store.passages(best).values()), None)

    def holding(self, terms: Collection[str]) -> list[Passage]:
        """Return of each document the best passage that holds all ``terms``, the best first."""
        version = self._ledger.active_version()
        if version is None or not terms:
            return []
        store = LedgerPassages(self._ledger, version)
        ranked = [
            chunk_id for chunk_id, _ in store.match(list(terms), k=_LOOKED_AT, documents=None)
        ]
        held = store.analysed(ranked)
        whole = [i for i in ranked if set(terms) <= set(held.get(i, "").split())]
        places = store.places(whole)
        first = {places[i][0]: i for i in reversed(whole) if i in places}
        found = store.passages(list(first.values()))
        return [found[i] for i in whole if i in found]
