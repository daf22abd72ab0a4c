"""BM25 over the ledger's full-text index.

SQLite's FTS5 ranks, with its fixed k1 = 1.2 and b = 0.75; this module decides which terms are
looked for. FTS5 scores every passage that holds any of them, which takes long where words like
"company" stand in a hundred thousand passages. There the rare words alone choose candidates, and
the common ones only help to order them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from rag.retrieval.query.content_words import content_terms
from rag.text.parse_errors import attempt

if TYPE_CHECKING:
    from rag.protocols import Analyser, PassageStore


MOST_SCORED = 15_000
"""Occurrences that FTS5 may have to look at for one question. Measured: docs/decisions.md,
"Search in large libraries"."""
_K1, _B = 1.2, 0.75  # of FTS5's bm25()
_DEEPER = 4  # times k: candidates that the common words put in order


class BM25Index:
    """Finds passages that hold any of a question's words, rare words first."""

    def __init__(
        self, store: PassageStore, analyser: Analyser, *, most_scored: int = MOST_SCORED
    ) -> None:
        """``analyser`` must be the one that the passages were indexed with."""
        self._store = store
        self._analyser = analyser
        self._most_scored = most_scored

    def search(
        self, question: str, *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        """Return at most ``k`` ``(chunk id, BM25 score)`` pairs, best first."""
        none: list[str] = []
        terms = attempt(
            lambda: content_terms(question, self._analyser),
            instead=none,
            what="the words of a question",
        )
        if not terms:
            return []
        frequency, total = self._store.document_frequency(terms)
        rare, common = _divided(terms, frequency, most=self._most_scored)
        if not common:
            return self._store.match(terms, k=k, documents=documents)
        found = self._store.match(rare, k=_DEEPER * k, documents=documents)
        added = self._of_common([chunk_id for chunk_id, _ in found], common, frequency, total)
        scored = [(chunk_id, score + added.get(chunk_id, 0.0)) for chunk_id, score in found]
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]

    def _of_common(
        self, ids: Sequence[int], common: Sequence[str], frequency: Mapping[str, int], total: int
    ) -> dict[int, float]:
        """Return what the common terms add to each candidate's BM25 score.

        The mean length is that of the candidates; that of all passages FTS5 keeps to itself.
        """
        held = {i: Counter(text.split()) for i, text in self._store.analysed(ids).items()}
        lengths = {chunk_id: counts.total() for chunk_id, counts in held.items()}
        mean = sum(lengths.values()) / max(1, len(lengths))
        weights = {term: _rarity(frequency[term], total) for term in common}
        return {
            chunk_id: sum(
                weight * _saturated(counts[term], lengths[chunk_id] / mean)
                for term, weight in weights.items()
            )
            for chunk_id, counts in held.items()
        }


def _rarity(frequency: int, total: int) -> float:
    """Return a term's weight as FTS5's bm25() has it: next to nothing from half the passages on."""
    return max(1e-6, math.log((total - frequency + 0.5) / (frequency + 0.5)))


def _saturated(count: int, length: float) -> float:
    """Return BM25's share of a term that occurs ``count`` times; ``length`` is 1 on average."""
    return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length))


def _divided(
    terms: Sequence[str], frequency: Mapping[str, int], *, most: int
) -> tuple[list[str], list[str]]:
    """Return the rarest terms, as many as may be scored but one at least, and the others."""
    known = sorted((term for term in terms if frequency[term]), key=lambda term: frequency[term])
    scored, kept = 0, 0
    for term in known:
        scored += frequency[term]
        if kept and scored > most:
            break
        kept += 1
    return known[:kept], known[kept:]
