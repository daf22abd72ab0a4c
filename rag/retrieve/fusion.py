"""Merging what the two legs found into one ranking.

Each leg's list is put on its own scale, from 0 to 1, so that neither BM25 scores nor
cosines of any particular model are compared with each other; then the lists are added with
weights. Plain reciprocal rank fusion treats both legs alike and loses up to a third of the
hits where one of them is poor; docs/decisions.md, "Fusion", has the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from rag.types.answers import Ranks

Found = Sequence[tuple[int, float]]
"""``(chunk id, score)`` pairs of one leg, best first."""

# Weight of words when the best passages hold few or most of the question's words, and from
# which shares of the words, by rarity. Measured: docs/decisions.md, "Fusion".
_IN_LANGUAGE = (0.5, 0.8, 0.3, 0.6)
_ACROSS_LANGUAGES = (0.2, 0.8, 0.4, 0.7)


SAME_PAGE = 0.85
"""Measured: docs/decisions.md, "Pages spread"."""


def lexical_weight(*, coverage: float, across_languages: bool, meaning: float = 1.0) -> float:
    """Return how far to trust the lexical leg for a question, 0 to 1; meaning gets the rest.

    ``coverage`` is the largest share of the question's words, by rarity, in one of the best
    passages of that leg. ``across_languages`` says that the passages nearest in meaning are
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
    """Return every chunk of either leg once, best first, ties by id.

    A lexical score counts as its share of the best one; a cosine by its place between the
    last and the best candidate, because cosines of unrelated texts are far from 0. A chunk
    that a leg did not find gets nothing from that leg.
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
