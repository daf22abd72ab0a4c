"""One search stage by stage, and two searches put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from rag.retrieve.fusion import Found, Fused
from rag.types.answers import SearchTimes

if TYPE_CHECKING:
    from rag.retrieve.conversation import Readings


@dataclass(frozen=True, slots=True)
class Legs:
    """What each leg found, best first."""

    lexical: Found
    dense: Found
    seconds: SearchTimes
    nearest: float = 0.0  # the question's cosine with the passage nearest to it
    across_languages: bool = False  # most of the nearest are in another language


@dataclass(frozen=True, slots=True)
class Ranking:
    """One search stage by stage, before anything is cut off at ``k``."""

    legs: Legs
    lexical_weight: float
    fused: Sequence[Fused]  # everything that either leg found
    spread: Sequence[Fused]  # as many of the first as are looked at, pages spread
    places: Mapping[int, tuple[str, int]]  # document id and first page of each of these
    relevance: float
    searched: str = ""  # what was searched for, where it is more than the question
    lines: str = ""  # of financial statements, that were searched for as well
    coverage: float = 1.0  # share of the question's words, by rarity, in one of the best passages
    reread: Sequence[Fused] | None = None  # as a reranker ordered them; ``None`` without one

    @property
    def final(self) -> Sequence[Fused]:
        """What a search returns the first of."""
        return self.spread if self.reread is None else self.reread


def together(alone: Ranking, completed: Ranking, readings: Readings) -> Ranking:
    """Return the ranking of a question that can be read in two ways.

    A passage's scores are added, weighted by the trust in each reading. Whether an answer is
    there is told by the completed reading only where the question says that it is a
    follow-up: the words of the question before would cover any change of topic.
    """
    trust = readings.trust
    return Ranking(
        replace(completed.legs, seconds=_both(alone.legs.seconds, completed.legs.seconds)),
        completed.lexical_weight,
        _added((completed.fused, trust), (alone.fused, 1 - trust)),
        _added((completed.spread, trust), (alone.spread, 1 - trust)),
        {**alone.places, **completed.places},
        completed.relevance if readings.says_so else alone.relevance,
        searched=readings.completed or "",
        lines=completed.lines or alone.lines,
    )


def with_lines(asked: Ranking, lines: Ranking, text: str, *, trust: float) -> Ranking:
    """Return the ranking of a question that was also searched by lines of statements, ``text``.

    Words that no report has cannot say that an answer is missing: the likelier reading counts.
    """
    return replace(
        asked,
        fused=_added((asked.fused, 1 - trust), (lines.fused, trust)),
        spread=_added((asked.spread, 1 - trust), (lines.spread, trust)),
        places={**asked.places, **lines.places},
        legs=replace(asked.legs, seconds=_both(asked.legs.seconds, lines.legs.seconds)),
        relevance=max(asked.relevance, lines.relevance),
        lines=text,
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
