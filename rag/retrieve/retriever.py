"""A question in, ranked passages out: two legs, one ranking, one estimate of relevance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from rag.retrieve.analyser import BilingualAnalyser
from rag.retrieve.fusion import Found, Fused, fuse, lexical_weight
from rag.retrieve.question import content_terms
from rag.retrieve.relevance import Signs, coverage, margin, relevance
from rag.types import Passage, SearchResult, SearchTimes
from rag.words import detect_language

if TYPE_CHECKING:
    from rag.protocols import (
        Analyser,
        Embedder,
        LexicalIndex,
        PassageStore,
        Vector,
        VectorIndex,
    )

_JUDGED = 5  # best passages whose words and language are looked at


@dataclass(frozen=True, slots=True)
class _Legs:
    """What each leg found, best first."""

    lexical: Found
    dense: Found
    seconds: SearchTimes


class HybridRetriever:
    """Searches by words and by meaning, and trusts each leg as far as the question allows."""

    def __init__(
        self,
        store: PassageStore,
        lexical: LexicalIndex,
        index: VectorIndex,
        embedder: Embedder,
        *,
        candidates: int,
        analyser: Analyser | None = None,
    ) -> None:
        """Each leg contributes ``candidates`` passages; ``analyser`` is the index's own."""
        self._store = store
        self._lexical = lexical
        self._index = index
        self._embedder = embedder
        self._candidates = candidates
        self._analyser = analyser or BilingualAnalyser()

    def search(
        self, question: str, *, k: int, documents: Collection[str] | None = None
    ) -> SearchResult:
        """Return at most ``k`` passages, best first; ``documents`` limits to these ids.

        A blank question finds nothing.
        """
        if not question.strip():
            return SearchResult(question, (), relevance=0.0)
        legs = self._search_legs(question, k=max(k, self._candidates), documents=documents)
        began = perf_counter()
        signs = self._judge(question, legs)
        weight = lexical_weight(coverage=signs.coverage, across_languages=signs.across_languages)
        passages = self._first(fuse(legs.lexical, legs.dense, lexical_weight=weight), k=k)
        seconds = replace(legs.seconds, fuse=perf_counter() - began)
        return SearchResult(question, passages, relevance(signs) if passages else 0.0, seconds)

    def signs(self, question: str, *, documents: Collection[str] | None = None) -> Signs:
        """Return what a search shows about whether an answer is there."""
        legs = self._search_legs(question, k=self._candidates, documents=documents)
        return self._judge(question, legs)

    def _search_legs(self, question: str, *, k: int, documents: Collection[str] | None) -> _Legs:
        began = perf_counter()
        query = self._embedder.embed_query(question)
        embedded = perf_counter()
        dense = self._search_vectors(query, k=k, documents=documents)
        searched = perf_counter()
        lexical = self._lexical.search(question, k=k, documents=documents)
        times = SearchTimes(
            embed=embedded - began,
            dense=searched - embedded,
            lexical=perf_counter() - searched,
        )
        return _Legs(lexical, dense, times)

    def _search_vectors(
        self, query: Vector, *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        """Search the index; within chosen documents score every one of their vectors."""
        if documents is None:
            return self._index.search(query, k=k)
        ids, rows = self._store.vectors(documents)
        if not ids:
            return []
        cosines = rows @ query  # (len(ids),)
        best = np.argsort(-cosines, kind="stable")[:k]
        return [(ids[i], float(cosines[i])) for i in best]

    def _judge(self, question: str, legs: _Legs) -> Signs:
        nearest = self._store.passages([chunk_id for chunk_id, _ in legs.dense[:_JUDGED]])
        return Signs(
            coverage=self._coverage(question, [chunk_id for chunk_id, _ in legs.lexical[:_JUDGED]]),
            margin=margin([score for _, score in legs.dense]),
            across_languages=_across_languages(question, nearest.values()),
        )

    def _first(self, fused: Sequence[Fused], *, k: int) -> tuple[Passage, ...]:
        """Return the first ``k`` that still exist; the index may lag behind the ledger."""
        found: list[Passage] = []
        for start in range(0, len(fused), k):
            batch = fused[start : start + k]
            known = self._store.passages([item.id for item in batch])
            found.extend(_placed(known[item.id], item) for item in batch if item.id in known)
            if len(found) >= k:
                break
        return tuple(found[:k])

    def _coverage(self, question: str, ids: Sequence[int]) -> float:
        terms = content_terms(question, self._analyser)
        frequency, total = self._store.document_frequency(terms)
        held = [text.split() for text in self._store.analysed(ids).values()]
        return coverage(terms, held, frequency=frequency, total=total)


def _across_languages(question: str, passages: Collection[Passage]) -> bool:
    """Say whether most of the passages nearest in meaning are in the other language."""
    asked = detect_language(question)
    other = sum(detect_language(passage.chunk.text) != asked for passage in passages)
    return 2 * other > len(passages)


def _placed(passage: Passage, item: Fused) -> Passage:
    return replace(passage, score=item.score, ranks=item.ranks)
