"""The places of a passage that can support a sentence: one or two sentences, or table rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.text.parse_errors import attempt
from rag.text.sentences import split_lines, split_prose
from rag.types.answers import Passage

Terms = Callable[[str], list[str]]

MAX_SPAN_CHARS = 400
"""A longer run without an end of sentence is a table or a list: its lines count."""


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate: ``passages[passage].chunk.text[start:end]``."""

    passage: int
    start: int
    end: int
    text: str
    terms: frozenset[str]


def or_none(terms: Terms) -> Terms:
    """Return ``terms`` with no word for a text that it cannot take apart."""
    return lambda text: attempt(lambda: terms(text), instead=[], what="the words of a passage")


def candidate_spans(passages: Sequence[Passage], terms: Terms) -> list[Span]:
    """Return the sentences, long runs' lines and short pairs of neighbours of all passages."""
    return [
        _span(index, passage.chunk.text, start, end, terms)
        for index, passage in enumerate(passages)
        for start, end in _places(passage.chunk.text)
    ]


def _places(text: str) -> Iterable[tuple[int, int]]:
    units: list[tuple[int, int]] = []
    for start, end in split_prose(text):
        lines = [(start + a, start + b) for a, b in split_lines(text[start:end])]
        units.extend(lines if end - start > MAX_SPAN_CHARS else [(start, end)])
        if end - start <= MAX_SPAN_CHARS and len(lines) > 1:
            yield from lines
    yield from units
    for (start, _), (_, end) in pairwise(units):
        if end - start <= MAX_SPAN_CHARS:
            yield start, end


def _span(passage: int, text: str, start: int, end: int, terms: Terms) -> Span:
    quoted = text[start:end]
    return Span(passage, start, end, quoted, frozenset(terms(quoted)))


class Rarity:
    """How much a term says about where a sentence comes from, within the shown passages."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._total = len(spans)
        self._spans = Counter(term for span in spans for term in span.terms)

    def weight(self, term: str) -> float:
        """Return ln(1 + (N - n + .5) / (n + .5)) for a term of n of the N spans.

        A term that stands nowhere weighs like a common one: it tells no span from another.
        """
        count = self._spans[term] or max(1, self._total // 4)
        return math.log(1 + (self._total - count + 0.5) / (count + 0.5))

    def share(self, part: Iterable[str], whole: Iterable[str]) -> float:
        """Return the weight of ``part`` over that of ``whole``; 0 for an empty whole."""
        total = sum(map(self.weight, whole))
        return sum(map(self.weight, part)) / total if total else 0.0
