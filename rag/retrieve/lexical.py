"""BM25 over the ledger's full-text index.

SQLite's FTS5 ranks, with its fixed k1 = 1.2 and b = 0.75; this module only decides which
terms are looked for.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rag.retrieve.question import content_terms

if TYPE_CHECKING:
    from rag.protocols import Analyser, PassageStore


class BM25Index:
    """Finds passages that hold any of a question's words, rare words first."""

    def __init__(self, store: PassageStore, analyser: Analyser) -> None:
        """``analyser`` must be the one that the passages were indexed with."""
        self._store = store
        self._analyser = analyser

    def search(
        self, question: str, *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        """Return at most ``k`` ``(chunk id, BM25 score)`` pairs, best first."""
        terms = content_terms(question, self._analyser)
        return self._store.match(terms, k=k, documents=documents) if terms else []
