"""A question in, ranked passages out: two retrievers, one ranking, one estimate of relevance."""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.fusion import (
    BothRankings,
    Found,
    Fused,
    Ranking,
    fuse,
    lexical_weight,
    places_first,
    spread,
    together,
    with_second_reading,
)
from rag.retrieval.query.content_words import content_terms, model_numbers, weighed_terms
from rag.retrieval.query.follow_ups import Readings, readings
from rag.retrieval.query.spelling import corrected
from rag.retrieval.relevance import (
    PROBES,
    UNKNOWN,
    Calibration,
    Calibrations,
    Signs,
    coverage,
    floor_of,
    headroom,
    relevance,
)
from rag.retrieval.terms.second_reading import Terms, shipped_terms, trust_in
from rag.text.language import detect_language, reads_as
from rag.text.messages import Language
from rag.text.parse_errors import attempt
from rag.types.answers import AlsoSearched, Message, Passage, SearchResult, SearchTimes

if TYPE_CHECKING:
    from rag.protocols import (
        Analyser,
        Embedder,
        LexicalIndex,
        PassageStore,
        Reranker,
        Vector,
        VectorIndex,
    )


@dataclass(frozen=True, slots=True)
class Baseline:
    """What questions of one language show that have nothing to do with the library."""

    floor: float  # the cosine that they reach
    centre: Vector  # the mean of their vectors


Baselines = MutableMapping[tuple[Language, int], Baseline]
"""By language and order of the library's size."""
OF_LANGUAGE = 0.5
"""How much of the centre is taken out of a question across languages. Measured:
docs/decisions.md, "Questions in another language than the documents"."""
_SPREAD = 4  # times k: as many passages are looked at before pages are spread
_REMEMBERED = 16  # questions whose vectors are kept
_JUDGED = 5  # best passages whose words and language are looked at
_EMBEDDING = ThreadPoolExecutor(2, "question")
"""Embeds questions while their words are looked up: one core does each."""

T = TypeVar("T")


class HybridRetriever:
    """Searches by words and by meaning, and trusts each retriever as far as the question allows."""

    def __init__(  # noqa: PLR0913 - each is one part of retrieval
        self,
        store: PassageStore,
        lexical: LexicalIndex,
        index: VectorIndex,
        embedder: Embedder,
        *,
        candidates: int,
        analyser: Analyser | None = None,
        reranker: Reranker | None = None,
        reread: int = 30,
        baselines: Baselines | None = None,
        calibrations: Callable[[], Calibrations] = dict,
        terms: Terms | None = None,
    ) -> None:
        """Each retriever contributes ``candidates`` passages; ``analyser`` is the index's own.

        A ``reranker`` orders the first ``reread`` passages anew.

        ``baselines`` keeps what unrelated questions find for retrievers to come over the same
        index: asking them costs as much as many searches. ``calibrations`` is what the
        library's own questions say, by now. ``terms`` of a trade are the shipped ones if ``None``.
        """
        self._store = store
        self._lexical = lexical
        self._index = index
        self._embedder = embedder
        self._embedded = lru_cache(_REMEMBERED)(self._embed)
        self._candidates = candidates
        self._analyser = analyser or BilingualAnalyser()
        self._reranker = reranker
        self._reread = reread
        self._baselines: Baselines = {} if baselines is None else baselines
        self._calibrations = calibrations
        self._terms = shipped_terms() if terms is None else terms

    def embed_query(self, question: str) -> Vector:
        """Return a question's vector, of the last ones without embedding them again."""
        return self._embedded(question)

    def _embed(self, question: str) -> Vector:
        return self._embedder.embed_query(question)

    def search(
        self,
        question: str,
        *,
        k: int,
        documents: Collection[str] | None = None,
        history: Sequence[Message] = (),
    ) -> SearchResult:
        """Return at most ``k`` passages, best first; ``documents`` limits to these ids.

        A follow-up is searched with what it refers to in ``history``, the turns before. A
        blank question finds nothing.
        """
        if not question.strip():
            return SearchResult(question, (), relevance=0.0)
        ranking = self.rank(question, k=k, documents=documents, history=history)
        return self.result(question, ranking, k=k)

    def result(self, question: str, ranking: Ranking, *, k: int) -> SearchResult:
        """Return what a search shows of its ranking."""
        began = perf_counter()
        shown = ranking.final[:k]
        known = self._store.passages([item.id for item in shown])
        passages = tuple(_placed(known[item.id], item) for item in shown if item.id in known)
        times = ranking.rankings.seconds
        times = replace(times, fuse=times.fuse + perf_counter() - began)
        return SearchResult(
            question, passages, ranking.relevance, times, ranking.searched, ranking.also
        )

    def rank(
        self,
        question: str,
        *,
        k: int,
        documents: Collection[str] | None = None,
        history: Sequence[Message] = (),
    ) -> Ranking:
        """Return every stage of ``search``."""
        read = attempt(
            lambda: readings(question, history),
            instead=Readings(question),
            what="what a question refers to",
        )
        ranking = self._read(question, k=k, documents=documents)
        if read.completed is not None:
            completed = self._read(read.completed, k=k, documents=documents)
            trust = attempt(
                partial(self._trust, read, ranking, completed),
                instead=0.0,
                what="how far a question is a follow-up",
            )
            if trust:
                ranking = together(ranking, completed, read, trust=trust)
        if self._reranker is None:
            return ranking
        return self._reordered(self._reranker, ranking.searched or question, ranking)

    def _trust(self, read: Readings, alone: Ranking, completed: Ranking) -> float:
        none: list[str] = []
        words = attempt(
            lambda: content_terms(read.alone, self._analyser),
            instead=none,
            what="the words of a question",
        )
        return read.trust(
            words=len(words),
            coverage=alone.coverage,
            relevance=alone.relevance,
            completed=completed.coverage,
            best=alone.spread[0].score if alone.spread else 0.0,
        )

    def _reordered(self, reranker: Reranker, question: str, ranking: Ranking) -> Ranking:
        """Let the reranker order the first passages; those behind them stay behind."""
        began = perf_counter()
        first = ranking.spread[: self._reread]
        known = self._store.passages([item.id for item in first])
        ordered = reranker.rerank(
            question, [_placed(known[item.id], item) for item in first if item.id in known]
        )
        again = [Fused(passage.id, passage.score, passage.ranks) for passage in ordered]
        spread_again = spread([(item, ranking.places[item.id]) for item in again])
        least = spread_again[-1].score if spread_again else 0.0
        rest = [
            replace(item, score=min(item.score, least)) for item in ranking.spread[self._reread :]
        ]
        seconds = replace(ranking.rankings.seconds, rerank=perf_counter() - began)
        rankings = replace(ranking.rankings, seconds=seconds)
        return replace(ranking, rankings=rankings, reread=[*spread_again, *rest])

    def _read(self, question: str, *, k: int, documents: Collection[str] | None) -> Ranking:
        """Rank a question by itself, by its second reading and by the pages it names."""
        ranking = self._with_second_reading(question, k=k, documents=documents)
        return attempt(
            lambda: places_first(question, ranking, self._store, documents),
            instead=ranking,
            what="the places that a question names",
        )

    def _with_second_reading(
        self, question: str, *, k: int, documents: Collection[str] | None
    ) -> Ranking:
        spelled = attempt(
            lambda: self._spelled(question), instead=question, what="the spelling of a question"
        )
        ranking = self._rank(question, k=k, documents=documents, spelled=spelled)
        if not trust_in(ranking.coverage):
            return ranking
        language = detect_language(question)
        if ranking.rankings.across_languages:
            language = "en" if language == "zh" else "zh"
        among_many = documents is None or len(documents) > 1
        also = attempt(
            lambda: self._terms.second_reading(question, language, among_many=among_many),
            instead=None,
            what="the terms that a question names",
        )
        if also is None:
            return ranking
        found = self._rank(also.text, k=k, documents=documents)
        trust = trust_in(ranking.coverage, found.coverage)
        return with_second_reading(ranking, found, also, trust=trust) if trust else ranking

    def _spelled(self, question: str) -> str:
        """Return the question with words that no document has as the documents spell them."""
        return corrected(
            question,
            terms=self._analyser.terms,
            frequency=lambda terms: self._store.document_frequency(terms)[0],
            beginning=self._store.beginning,
            holding=self._texts_with,
        )

    def _texts_with(self, term: str) -> list[str]:
        """Return the texts of some passages that hold an index term."""
        ids = [chunk_id for chunk_id, _ in self._store.match([term], k=_JUDGED, documents=None)]
        chunks = [passage.chunk for passage in self._store.passages(ids).values()]
        return [f"{chunk.heading} {chunk.context} {chunk.text}" for chunk in chunks]

    def _rank(
        self,
        question: str,
        *,
        k: int,
        documents: Collection[str] | None,
        spelled: str = "",
    ) -> Ranking:
        """Rank by meaning what was asked, and by words how the documents spell it."""
        words = spelled or question
        rankings = self.rankings(
            question, k=max(k, self._candidates), documents=documents, words=words
        )
        began = perf_counter()
        signs = self.judge(words, rankings)
        calibration = self._calibration(question)
        weight = lexical_weight(
            coverage=signs.coverage,
            across_languages=signs.across_languages,
            meaning=calibration.meaning,
        )
        fused = fuse(rankings.lexical, rankings.dense, lexical_weight=weight)
        looked_at = fused[: max(_SPREAD * k, self._candidates)]
        # the index may lag behind the ledger: what is gone from that has no place
        places = self._store.places([item.id for item in looked_at])
        ranked = spread([(item, places[item.id]) for item in looked_at if item.id in places])
        rankings = replace(rankings, seconds=replace(rankings.seconds, fuse=perf_counter() - began))
        likely = relevance(signs, calibration) if ranked else 0.0
        also = AlsoSearched("spelled", words) if words != question else None
        return Ranking(
            rankings, weight, fused, ranked, places, likely, coverage=signs.coverage, also=also
        )

    def signs(self, question: str, *, documents: Collection[str] | None = None) -> Signs:
        """Return what a search shows about whether an answer is there."""
        rankings = self.rankings(question, k=self._candidates, documents=documents)
        return self.judge(question, rankings)

    def rankings(
        self, question: str, *, k: int, documents: Collection[str] | None, words: str = ""
    ) -> BothRankings:
        """Return at most ``k`` candidates of each retriever; ``words`` are the question's own."""
        embedding = _EMBEDDING.submit(_timed, self.embed_query, question)
        words = words or question
        lexical, lexical_s = _timed(self._lexical.search, words, k=k, documents=documents)
        query, embed_s = embedding.result()
        found, dense_s = _timed(self._by_meaning, question, query, k=k, documents=documents)
        times = SearchTimes(embed=embed_s, dense=dense_s, lexical=lexical_s)
        return replace(found, lexical=lexical, seconds=times)

    def _by_meaning(
        self, question: str, query: Vector, *, k: int, documents: Collection[str] | None
    ) -> BothRankings:
        """Search by meaning; where that leads to another language, less the question's own.

        Vectors also tell the language of a text. What a question shares with any other of its
        language tells passages of another language apart by how near they are to that.
        """
        dense = self._search_vectors(query, k=k, documents=documents)
        nearest = dense[0][1] if dense else 0.0
        across = self._across(question, dense)
        if across:
            centre = self._baseline(detect_language(question)).centre
            turned = query - OF_LANGUAGE * centre
            turned /= np.linalg.norm(turned)
            dense = self._search_vectors(turned, k=k, documents=documents)
        return BothRankings((), dense, SearchTimes(), nearest, across_languages=across)

    def _calibration(self, question: str) -> Calibration:
        return self._calibrations().get(detect_language(question), UNKNOWN)

    def _across(self, question: str, dense: Found) -> bool:
        """Return whether most of the nearest passages are in another language.

        What an embedder finds near that does not know the question's language proves nothing.
        """
        if not self._calibration(question).knows_the_language:
            return False
        nearest = self._store.passages([chunk_id for chunk_id, _ in dense[:_JUDGED]])
        language = detect_language(question)
        other = sum(not reads_as(language, passage.chunk.text) for passage in nearest.values())
        return 2 * other > len(nearest)

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

    def judge(self, question: str, rankings: BothRankings) -> Signs:
        """Return what the retrievers show about whether an answer is there."""
        none: tuple[list[str], list[list[str]]] = ([], [])
        terms, named = attempt(
            lambda: (
                content_terms(question, self._analyser),
                model_numbers(question, self._analyser),
            ),
            instead=none,
            what="the words of a question",
        )
        frequency, total = self._store.document_frequency([*terms, *chain(*named)])
        best = [chunk_id for chunk_id, _ in rankings.lexical[:_JUDGED]]
        held = [text.split() for text in self._store.analysed(best).values()]
        floor = self._baseline(detect_language(question)).floor
        weighed = attempt(
            lambda: weighed_terms(question, terms, frequency),
            instead=terms,
            what="the quantities of a question",
        )
        return Signs(
            coverage=coverage(weighed, held, frequency=frequency, total=total),
            headroom=headroom(rankings.nearest, floor=floor),
            across_languages=rankings.across_languages,
            unheard_of=any(not any(frequency[term] for term in number) for number in named),
        )

    def _baseline(self, language: Language) -> Baseline:
        """Return what unrelated questions show; asked anew as the library grows."""
        _, total = self._store.document_frequency([])
        key = (language, total.bit_length())
        if key not in self._baselines:
            rows = np.stack([self._embedder.embed_query(probe) for probe in PROBES[language]])
            found = [self._index.search(row, k=1) for row in rows]
            floor = floor_of([hits[0][1] if hits else 0.0 for hits in found])
            self._baselines[key] = Baseline(floor, rows.mean(axis=0))
        return self._baselines[key]


def _timed(call: Callable[..., T], *values: Any, **options: Any) -> tuple[T, float]:
    began = perf_counter()
    result = call(*values, **options)
    return result, perf_counter() - began


def _placed(passage: Passage, item: Fused) -> Passage:
    return replace(passage, score=item.score, ranks=item.ranks)
