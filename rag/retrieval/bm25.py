"""BM25 over the ledger's full-text index.

SQLite's FTS5 finds candidates, ranked with its fixed k1 and b; this module decides which terms
are looked for, and orders what was found. FTS5 scores every passage that holds any of them, which
takes long where words like "company" stand in a hundred thousand passages. There the rare words
alone choose candidates, and the common ones only help to order them.

Where documents are chosen a word also counts by how rare it is within them: in a bank's report
the bank's name tells no passage from another, however rare it is in the library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from rag.retrieval.query.content_words import content_terms
from rag.retrieval.relevance import rarity
from rag.text.parse_errors import attempt

if TYPE_CHECKING:
    from rag.protocols import Analyser, PassageStore


MOST_SCORED = 15_000
"""Occurrences that FTS5 may have to look at for one question. Measured: docs/decisions.md,
"Search in large libraries"."""
_K1, _B = 0.7, 0.75
"""Measured, with the next: docs/decisions.md, "Words within a document". What a word says that
occurs again grows less than with FTS5's k1 of 1.2: passages are short."""
_OF_LIBRARY = 100
"""Passages: the rarity in chosen documents counts by their number, that in the library as these."""
MOST_WITHIN = 4_000
"""Passages of chosen documents within which words are counted: a few long reports, some 15 ms."""
_DEEPER = 4  # times k: candidates that are put in order


class BM25Index:
    """Finds passages that hold any of a question's words, rare words first."""

    def __init__(
        self,
        store: PassageStore,
        analyser: Analyser,
        *,
        most_scored: int = MOST_SCORED,
        most_within: int = MOST_WITHIN,
    ) -> None:
        """``analyser`` must be the one that the passages were indexed with."""
        self._store = store
        self._analyser = analyser
        self._most_scored = most_scored
        self._most_within = most_within

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
        weights = {term: rarity(frequency[term], total) for term in terms if frequency[term]}
        finding = list(weights)
        if documents is not None and weights and self._few(documents):
            own, count = self._store.document_frequency(finding, documents)
            weights = _within(weights, own, count)
            if count > _DEEPER * k:  # else every passage may be a candidate
                finding = _telling(own, count)
        rare = _rarest(finding, frequency, most=self._most_scored)
        found = self._store.match(rare, k=_DEEPER * k, documents=documents)
        scored = self._scored([chunk_id for chunk_id, _ in found], weights)
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]

    def _few(self, documents: Collection[str]) -> bool:
        """Return whether words may be counted within these documents."""
        return 0 < self._store.document_frequency([], documents)[1] <= self._most_within

    def _scored(self, ids: Sequence[int], weights: Mapping[str, float]) -> list[tuple[int, float]]:
        """Return each candidate with its BM25 score.

        The mean length is that of the candidates; that of all passages FTS5 keeps to itself.
        """
        held = {i: Counter(text.split()) for i, text in self._store.analysed(ids).items()}
        lengths = {chunk_id: counts.total() for chunk_id, counts in held.items()}
        mean = sum(lengths.values()) / max(1, len(lengths))
        return [
            (
                chunk_id,
                sum(
                    weight * _saturated(counts[term], lengths[chunk_id] / mean)
                    for term, weight in weights.items()
                    if term in counts
                ),
            )
            for chunk_id, counts in held.items()
        ]


def _within(
    weights: Mapping[str, float], frequency: Mapping[str, int], count: int
) -> dict[str, float]:
    """Return each term's weight between its rarity in the library and in ``count`` passages.

    ``frequency`` says in how many of these a term occurs.
    """
    own = count / (count + _OF_LIBRARY)
    return {
        term: own * rarity(frequency[term], count) + (1 - own) * weight
        for term, weight in weights.items()
    }


def _telling(frequency: Mapping[str, int], count: int) -> list[str]:
    """Return the terms that occur in at most half of ``count`` passages; if none does, all."""
    held = [term for term, occurs in frequency.items() if occurs]
    return [term for term in held if 2 * frequency[term] <= count] or held


def _saturated(count: int, length: float) -> float:
    """Return BM25's share of a term that occurs ``count`` times; ``length`` is 1 on average."""
    return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length))


def _rarest(terms: Sequence[str], frequency: Mapping[str, int], *, most: int) -> list[str]:
    """Return the rarest terms that occur, as many as may be scored but one at least."""
    known = sorted((term for term in terms if frequency[term]), key=lambda term: frequency[term])
    scored, kept = 0, 0
    for term in known:
        scored += frequency[term]
        if kept and scored > most:
            break
        kept += 1
    return known[:kept]
