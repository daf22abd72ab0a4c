"""One search stage by stage, and two searches put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from rag.retrieve.fusion import Found, Fused
from rag.types import Passage, SearchResult, SearchTimes

if TYPE_CHECKING:
    from rag.retrieve.conversation import Readings


@dataclass(frozen=True, slots=True)
class Legs:
    """What each leg found, best first."""

    lexical: Found
    dense: Found
    seconds: SearchTimes


@dataclass(frozen=True, slots=True)
class Ranking:
    """One search stage by stage, before anything is cut off at ``k``."""

    legs: Legs
    lexical_weight: float
    fused: Sequence[Fused]  # everything that either leg found
    passages: tuple[Passage, ...]  # as many of the first as are looked at, pages spread
    relevance: float
    searched: str = ""  # what was searched for, where it is more than the question

    def result(self, question: str, *, k: int) -> SearchResult:
        """Return what a search shows of it."""
        return SearchResult(
            question, self.passages[:k], self.relevance, self.legs.seconds, self.searched
        )


def together(alone: Ranking, completed: Ranking, readings: Readings) -> Ranking:
    """Return the ranking of a question that can be read in two ways.

    A passage's scores are added, weighted by the trust in each reading. Whether an answer is
    there is told by the completed reading only where the question says that it is a
    follow-up: the words of the question before would cover any change of topic.
    """
    trust = readings.trust
    fused: dict[int, Fused] = {}
    passages: dict[int, Passage] = {}
    for weight, ranking in ((trust, completed), (1 - trust, alone)):
        for item in ranking.fused:
            known = fused.get(item.id, replace(item, score=0.0))
            fused[item.id] = replace(known, score=known.score + weight * item.score)
        for passage in ranking.passages:
            first = passages.get(passage.id, replace(passage, score=0.0))
            passages[passage.id] = replace(first, score=first.score + weight * passage.score)
    return Ranking(
        replace(completed.legs, seconds=_both(alone.legs.seconds, completed.legs.seconds)),
        completed.lexical_weight,
        sorted(fused.values(), key=lambda item: (-item.score, item.id)),
        tuple(sorted(passages.values(), key=lambda passage: (-passage.score, passage.id))),
        completed.relevance if readings.says_so else alone.relevance,
        searched=readings.completed or "",
    )


def _both(first: SearchTimes, second: SearchTimes) -> SearchTimes:
    return SearchTimes(*(a + b for a, b in zip(astuple(first), astuple(second), strict=True)))
