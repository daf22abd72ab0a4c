"""Merging what the dense and the lexical retriever found into one ranking.

Each leg's list is put on its own scale, from 0 to 1, so that neither BM25 scores nor
cosines of any particular model are compared with each other; then the lists are added with
weights. Plain reciprocal rank fusion treats both legs alike and loses up to a third of the
hits where one of them is poor; docs/decisions.md, "Fusion", has the figures.

What stands there goes before what only speaks of the same thing elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from rag.retrieval.query.named_places import named_pages
from rag.retrieval.query.numbered_places import numbered_places
from rag.types.answers import AlsoSearched, Ranks, SearchTimes

if TYPE_CHECKING:
    from rag.protocols import PassageStore
    from rag.retrieval.query.follow_ups import Readings


Found = Sequence[tuple[int, float]]
"""``(chunk id, score)`` pairs of one retriever, best first."""

# Weight of words when the best passages hold few or most of the question's words, and from
# which shares of the words, by rarity. Measured: docs/decisions.md, "Fusion".
_IN_LANGUAGE = (0.5, 0.8, 0.3, 0.6)
_ACROSS_LANGUAGES = (0.2, 0.8, 0.4, 0.7)


SAME_PAGE = 0.85
"""Measured: docs/decisions.md, "Pages spread"."""


def lexical_weight(*, coverage: float, across_languages: bool, meaning: float = 1.0) -> float:
    """Return how far to trust the lexical retriever for a question, 0 to 1; meaning gets the rest.

    ``coverage`` is the largest share of the question's words, by rarity, in one of the best
    passages of that retriever. ``across_languages`` says that the passages nearest in meaning are
    in another language than the question; then words are names, numbers and codes, and
    count only if they are most of the question. ``meaning`` is how far the embedder is
    trusted with this language at all; words get what it does not.
    """
    low, high, few, most = _ACROSS_LANGUAGES if across_languages else _IN_LANGUAGE
    trust = min(1.0, max(0.0, (coverage - few) / (most - few)))
    weight = low + trust * (high - low)
    return weight if across_languages else 1 - meaning * (1 - weight)


@dataclass(frozen=True, slots=True)
class Fused:
    """One chunk in the merged ranking. ``score`` lies between 0 and 1."""

    id: int
    score: float
    ranks: Ranks


def fuse(lexical: Found, dense: Found, *, lexical_weight: float) -> list[Fused]:
    """Return every chunk of either retriever once, best first, ties by id.

    A lexical score counts as its share of the best one; a cosine by its place between the
    last and the best candidate, because cosines of unrelated texts are far from 0. A chunk
    that a retriever did not find gets nothing from that retriever.
    """
    scores: dict[int, float] = {}
    for weight, shares in (
        (lexical_weight, _shares(lexical, floor=0.0)),
        (1 - lexical_weight, _shares(dense, floor=dense[-1][1] if dense else 0.0)),
    ):
        for chunk_id, share in shares.items():
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight * share
    lexical_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(lexical, start=1)}
    dense_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(dense, start=1)}
    fused = [
        Fused(i, score, Ranks(dense=dense_ranks.get(i), lexical=lexical_ranks.get(i)))
        for i, score in scores.items()
    ]
    return sorted(fused, key=lambda item: (-item.score, item.id))


def spread(found: Sequence[tuple[Fused, Hashable]]) -> list[Fused]:
    """Order anew so that passages of one page do not crowd out the other pages.

    ``found`` pairs each item, best first, with its page. The second passage of a page counts
    ``SAME_PAGE`` of its score, the third that share of it again, and so on.
    """
    seen: Counter[Hashable] = Counter()
    scored = []
    for item, page in found:
        scored.append(replace(item, score=item.score * SAME_PAGE ** seen[page]))
        seen[page] += 1
    return sorted(scored, key=lambda item: -item.score)


def _shares(found: Found, *, floor: float) -> dict[int, float]:
    """Return each score's place between ``floor`` (0) and the best one (1)."""
    if not found:
        return {}
    span = found[0][1] - floor
    if span <= 0:  # all alike
        return {chunk_id: 1.0 for chunk_id, _ in found}
    return {chunk_id: (score - floor) / span for chunk_id, score in found}


@dataclass(frozen=True, slots=True)
class BothRankings:
    """What each retriever found, best first."""

    lexical: Found
    dense: Found
    seconds: SearchTimes
    nearest: float = 0.0  # the question's cosine with the passage nearest to it
    across_languages: bool = False  # most of the nearest are in another language


@dataclass(frozen=True, slots=True)
class Ranking:
    """One search stage by stage, before anything is cut off at ``k``."""

    rankings: BothRankings
    lexical_weight: float
    fused: Sequence[Fused]  # everything that either retriever found
    spread: Sequence[Fused]  # as many of the first as are looked at, pages spread
    places: Mapping[int, tuple[str, int]]  # document id and first page of each of these
    relevance: float
    searched: str = ""  # what was searched for, where it is more than the question
    also: AlsoSearched | None = None
    coverage: float = 1.0  # share of the question's words, by rarity, in one of the best passages
    reread: Sequence[Fused] | None = None  # as a reranker ordered them; ``None`` without one

    @property
    def final(self) -> Sequence[Fused]:
        """What a search returns the first of."""
        return self.spread if self.reread is None else self.reread


def together(alone: Ranking, completed: Ranking, readings: Readings, *, trust: float) -> Ranking:
    """Return the ranking of a question that can be read in two ways.

    A passage's scores are added, weighted by the ``trust`` in each reading. Whether an answer is
    there is told by the completed reading only where the question says that it is a
    follow-up: the words of the question before would cover any change of topic.
    """
    return Ranking(
        replace(
            completed.rankings, seconds=_both(alone.rankings.seconds, completed.rankings.seconds)
        ),
        completed.lexical_weight,
        _added((completed.fused, trust), (alone.fused, 1 - trust)),
        _added((completed.spread, trust), (alone.spread, 1 - trust)),
        {**alone.places, **completed.places},
        completed.relevance if readings.says_so else alone.relevance,
        searched=readings.completed or "",
        also=completed.also or alone.also,
    )


def with_second_reading(
    asked: Ranking, second: Ranking, also: AlsoSearched, *, trust: float
) -> Ranking:
    """Return the ranking of a question that was ``also`` searched for in other words.

    Words that no document has cannot say that an answer is missing: the likelier reading counts.
    """
    return replace(
        asked,
        fused=_added((asked.fused, 1 - trust), (second.fused, trust)),
        spread=_added((asked.spread, 1 - trust), (second.spread, trust)),
        places={**asked.places, **second.places},
        rankings=replace(
            asked.rankings, seconds=_both(asked.rankings.seconds, second.rankings.seconds)
        ),
        relevance=max(asked.relevance, second.relevance),
        also=also,
    )


def _added(*rankings: tuple[Sequence[Fused], float]) -> list[Fused]:
    total: dict[int, Fused] = {}
    for ranked, weight in rankings:
        for item in ranked:
            known = total.get(item.id, replace(item, score=0.0))
            total[item.id] = replace(known, score=known.score + weight * item.score)
    return sorted(total.values(), key=lambda item: (-item.score, item.id))


def _both(first: SearchTimes, second: SearchTimes) -> SearchTimes:
    return SearchTimes(*(a + b for a, b in zip(astuple(first), astuple(second), strict=True)))


# Measured: docs/decisions.md, "Pages that a question names".
_IN_ONE = 0.6  # of the score: being on the page, where one document is asked; it always leads
_AMONG_MANY = 0.3  # where the page of any document may be meant
_A_FEW = 3  # documents that have the numbered place
_THERE = 0.5  # probability that a page which is named, and exists, is what is asked for


def places_first(
    question: str, ranking: Ranking, store: PassageStore, documents: Collection[str] | None
) -> Ranking:
    """Return the ranking with what stands at a place that the question names before the rest.

    A place is a page, or a numbered clause, figure and so on. Where one document is asked, or a
    few have that clause, all of what stands there is in the ranking; else what either retriever
    has found of it.
    """
    one, there = _named(question, ranking, store, documents)
    if not there:
        return ranking
    weight = _IN_ONE if one else _AMONG_MANY
    return replace(
        ranking,
        fused=_ordered(ranking.fused, there, weight),
        spread=_ordered(ranking.spread, there, weight),
        places={**ranking.places, **store.places(there)},
        relevance=max(ranking.relevance, _THERE) if one else ranking.relevance,
    )


def _named(
    question: str, ranking: Ranking, store: PassageStore, documents: Collection[str] | None
) -> tuple[bool, list[int]]:
    """Return the passages that stand where the question says, and whether nobody doubts where."""
    if places := numbered_places(question).places:
        holding = store.on_places([(place.kind, place.number) for place in places], documents)
        there = [chunk_id for ids in holding.values() for chunk_id in ids]
        if there and len(holding) <= _A_FEW:
            return True, there
        return False, [chunk_id for chunk_id in there if chunk_id in ranking.places]
    if not (pages := named_pages(question)):
        return False, []
    asked = {place[0] for place in ranking.places.values()} if documents is None else documents
    there = store.on_pages(pages, asked)
    if len(asked) == 1:
        return True, there
    return False, [chunk_id for chunk_id in there if chunk_id in ranking.places]


def _ordered(items: Sequence[Fused], there: Sequence[int], weight: float) -> list[Fused]:
    on_page, known = set(there), {item.id for item in items}
    unknown = [Fused(chunk_id, 0.0, Ranks()) for chunk_id in there if chunk_id not in known]
    scored = [
        replace(item, score=(1 - weight) * item.score + weight * (item.id in on_page))
        for item in (*items, *unknown)
    ]
    return sorted(scored, key=lambda item: -item.score)
