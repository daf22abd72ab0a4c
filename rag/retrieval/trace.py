"""What becomes of chosen passages in a search, stage by stage.

It looks into the retriever's own ranking, so that what it tells is what happened. Only the
ranks of passages that no retriever proposed are computed beside it, over every passage in scope.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from rag.retrieval.query.content_words import content_terms
from rag.types.answers import Message, SearchResult

if TYPE_CHECKING:
    from rag.protocols import Analyser, PassageStore
    from rag.retrieval.fusion import Found, Ranking
    from rag.retrieval.retriever import HybridRetriever


@dataclass(frozen=True, slots=True)
class RetrieverTrace:
    """A passage in one retriever. ``rank`` is among all in scope, ``None`` without a match.

    ``last`` is the score of the last candidate; a passage below it was not proposed.
    """

    rank: int | None
    score: float | None
    best: float | None
    last: float | None
    candidates: int

    @property
    def proposed(self) -> bool:
        """Whether the retriever handed the passage on."""
        return self.rank is not None and self.rank <= self.candidates


@dataclass(frozen=True, slots=True)
class PassageTrace:
    """One passage through all stages; ranks are 1-based, ``None`` where it was not there."""

    id: int
    words: RetrieverTrace
    meaning: RetrieverTrace
    fused: int | None
    fused_score: float | None
    spread: int | None  # after pages are spread
    reread: int | None  # by the reranker alone, where there is one
    place: int | None  # in the end
    score: float | None
    before_on_page: int  # better passages of the same page
    shared: tuple[str, ...]  # terms of the question that the passage holds
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchTrace:
    """One search as it was for some passages."""

    passages: dict[int, PassageTrace]
    found: SearchResult  # what the search itself returns
    lexical_weight: float
    looked_at: int

    @property
    def last_score(self) -> float:
        """The score of the last passage within ``k``."""
        return self.found.passages[-1].score if self.found.passages else 0.0


class Tracer:
    """Searches as the retriever does, and tells where chosen passages stand."""

    def __init__(self, retriever: HybridRetriever, store: PassageStore, analyser: Analyser) -> None:
        self._retriever = retriever
        self._store = store
        self._analyser = analyser

    def trace(
        self,
        question: str,
        ids: Collection[int],
        *,
        k: int,
        documents: Collection[str] | None,
        everything: Collection[str],
        history: Sequence[Message] = (),
    ) -> SearchTrace:
        """Follow the passages ``ids`` through a search.

        ``documents`` limits the search as in ``search``; ``everything`` names all documents,
        for the ranks of passages that were not proposed. A follow-up is followed as what was
        searched for after the turns of ``history``.
        """
        ranking = self._retriever.rank(question, k=k, documents=documents, history=history)
        searched = ranking.searched or question
        deep = self._deep(searched, ids, ranking, everything if documents is None else documents)
        terms = content_terms(searched, self._analyser)
        held = {i: set(text.split()) for i, text in self._store.analysed(list(ids)).items()}
        return SearchTrace(
            {i: _passage(i, ranking, deep, terms, held.get(i, set())) for i in ids},
            self._retriever.result(question, ranking, k=k),
            ranking.lexical_weight,
            len(ranking.spread),
        )

    def telling_words(self, question: str, sentence: str) -> list[str]:
        """Return words of the sentence that would find it, the rarest first.

        Words that the question has already are left out, and those of every other passage.
        """
        asked = set(self._analyser.terms(question))
        telling = set(content_terms(sentence, self._analyser))
        rare: dict[str, float] = {}
        words = dict.fromkeys(_WORDS.findall(sentence))
        terms = {word: self._analyser.terms(word) for word in words}
        frequency, total = self._store.document_frequency(list(chain(*terms.values())))
        for word, held in terms.items():
            known = [frequency[term] for term in held if frequency[term]]
            new = asked.isdisjoint(held) and not telling.isdisjoint(held)
            if new and known and min(known) <= _RARE * total + 1:
                rare[word] = min(known)
        return sorted(rare, key=lambda word: (rare[word], -len(word)))

    def _deep(
        self, question: str, ids: Collection[int], ranking: Ranking, scope: Collection[str]
    ) -> tuple[Found, Found]:
        """Return both retrievers, as far as the last of ``ids`` where they did not reach it."""
        rankings = ranking.rankings
        found = {i for i, _ in rankings.lexical}, {i for i, _ in rankings.dense}
        if all(i in found_by for i in ids for found_by in found):
            return rankings.lexical, rankings.dense
        whole = self._retriever.rankings(question, k=_EVERYTHING, documents=scope)
        return whole.lexical, whole.dense


_RARE = 0.2  # of all passages
# a word or number; in Chinese what stands between the commonest particles
_WORDS = re.compile(
    r"[^\W\d_\u3400-\u9fff]{3,}|\d[\d,.]*\d|(?:(?![的了是在和与及为有于由被把])[\u3400-\u9fff]){2,6}"
)
_EVERYTHING = 10_000_000  # more passages than a library has


def _passage(
    chunk_id: int,
    ranking: Ranking,
    deep: tuple[Found, Found],
    terms: Sequence[str],
    held: Collection[str],
) -> PassageTrace:
    fused = _place([item.id for item in ranking.fused], chunk_id)
    spread = _place([item.id for item in ranking.spread], chunk_id)
    place = _place([item.id for item in ranking.final], chunk_id)
    before = 0
    if spread is not None:
        keys = [ranking.places[item.id] for item in ranking.spread[:spread]]
        before = keys.count(keys[-1]) - 1
    return PassageTrace(
        chunk_id,
        _retriever_trace(chunk_id, ranking.rankings.lexical, deep[0]),
        _retriever_trace(chunk_id, ranking.rankings.dense, deep[1]),
        fused,
        ranking.fused[fused - 1].score if fused else None,
        spread,
        ranking.final[place - 1].ranks.rerank if place else None,
        place,
        ranking.final[place - 1].score if place else None,
        before,
        tuple(term for term in terms if term in held),
        tuple(term for term in terms if term not in held),
    )


def _retriever_trace(chunk_id: int, proposed: Found, deep: Found) -> RetrieverTrace:
    rank = _place([i for i, _ in proposed], chunk_id)
    score = proposed[rank - 1][1] if rank else None
    if rank is None:
        rank = _place([i for i, _ in deep], chunk_id)
        score = deep[rank - 1][1] if rank else None
        # passages of equal score may stand in another order in the index
        rank = max(rank, len(proposed) + 1) if rank else None
    best, last = (proposed[0][1], proposed[-1][1]) if proposed else (None, None)
    return RetrieverTrace(rank, score, best, last, len(proposed))


def _place(ids: Sequence[int], chunk_id: int) -> int | None:
    return next((rank for rank, found in enumerate(ids, start=1) if found == chunk_id), None)
