"""How likely it is that the best passages hold an answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signs:
    """What a search shows about whether it found anything.

    ``coverage`` is the share of the question's words, weighted by rarity, that the best
    passage holds; ``margin`` is how far the best cosine stands above the candidates' median,
    in their standard deviations. Neither depends on the scale of a model's cosines.
    """

    coverage: float
    margin: float
    across_languages: bool


def relevance(signs: Signs) -> float:
    """Return a probability from 0 to 1, by logistic regression.

    The coefficients were fitted by tests/eval/fit_relevance.py.
    """
    logit = 1.0 + 4.0 * signs.coverage + 0.5 * signs.margin
    return 1 / (1 + math.exp(-logit))


def coverage(
    terms: Sequence[str],
    passages: Collection[Collection[str]],
    *,
    frequency: Mapping[str, int],
    total: int,
) -> float:
    """Return the largest share of the terms' rarity that one passage holds, 0 to 1.

    ``frequency`` says in how many of the ``total`` chunks a term occurs. A term that occurs
    nowhere is the rarest of all and counts as missing.
    """
    weights = {term: rarity(frequency.get(term, 0), total) for term in terms}
    whole = sum(weights.values())
    if whole <= 0:
        return 0.0
    return (
        max((sum(weights[t] for t in weights.keys() & set(held)) for held in passages), default=0.0)
        / whole
    )


def rarity(frequency: int, total: int) -> float:
    """Return BM25's inverse document frequency, ln(1 + (N - n + .5) / (n + .5))."""
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))


def margin(cosines: Sequence[float]) -> float:
    """Return how many standard deviations the best lies above the median; 0 for one or none."""
    if not cosines:
        return 0.0
    ordered = sorted(cosines, reverse=True)
    mean = sum(ordered) / len(ordered)
    spread = math.sqrt(sum((c - mean) ** 2 for c in ordered) / len(ordered))
    return (ordered[0] - ordered[len(ordered) // 2]) / spread if spread > 0 else 0.0
