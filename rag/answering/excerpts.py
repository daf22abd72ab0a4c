"""What of the passages found a model reads: the sentences and rows that bear on the question.

On a processor reading is what a person waits for. Of each passage its places are kept whole that
share rare words with the question, with their neighbours, until a budget is spent; a table's
header stays with its rows. The passages that are shown, and checked against, stay as they are.
How large the budget is: docs/decisions.md, "Less to read".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.text.language import detect_language, is_cjk
from rag.text.parse_errors import attempt
from rag.types.answers import Passage

if TYPE_CHECKING:
    from rag.verification.spans import Span, Terms

_NEIGHBOUR, _NEXT = 0.35, 0.18  # of what the place beside says, and of the one beside that
_PASSAGE = 0.1  # of what the best place of its passage says
_LATER = 0.12  # off for each passage before
OMITTED = " … "
"""Stands where something of a passage is left out."""
_HEADER = re.compile(
    r"(?:(?<!\d)(?:19|20)\d\d(?!\d).*){2}|\b(?:thousand|million|billion)s?\b|百万|亿元|万元",
    re.IGNORECASE,
)
_HEADER_TOKENS = 40  # a longer line is no header
_LATIN_CHARS, _CJK_TOKENS = 3.6, 0.7  # characters a token, tokens a character; of Qwen2.5


@dataclass(frozen=True, slots=True)
class Excerpts:
    """Cuts passages down to ``tokens`` for one index's words; 0 leaves them whole."""

    words: Callable[[str], Collection[str]]  # the terms of a question that carry weight
    terms: Terms
    tokens: int

    def of(self, question: str, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Return the passages, best first, with what is left of their texts.

        One of which nothing is left is not among them.
        """
        if not self.tokens or sum(tokens_in(p.chunk.text) for p in passages) <= self.tokens:
            return tuple(passages)
        whole = tuple(passages)
        return attempt(
            lambda: self._cut(question, whole), instead=whole, what="the places of a passage"
        )

    def _cut(self, question: str, passages: tuple[Passage, ...]) -> tuple[Passage, ...]:
        from rag.verification.spans import (  # nowhere else: a sync has no use for it
            or_none,
            units_of,
        )

        language = detect_language(question)
        units = units_of(passages, or_none(self.terms))
        foreign = {i for i, p in enumerate(passages) if detect_language(p.chunk.text) != language}
        told = _told(units, set(self.words(question)))
        kept: set[int] = set()
        left = float(self.tokens)
        for index in sorted(range(len(units)), key=lambda i: -told[i]):
            if units[index].passage in foreign:
                continue  # words of another language say nothing of what bears on the question
            cost = tokens_in(units[index].text)
            if cost <= left:
                kept.add(index)
                left -= cost
        if not kept and not foreign:
            return passages  # one place alone is more than all that may be read
        kept |= set(_headers(units, kept))
        return tuple(
            replace(passage, chunk=replace(passage.chunk, text=text))
            for number, passage in enumerate(passages)
            if (
                text := passage.chunk.text
                if number in foreign
                else _joined(passage, number, units, kept)
            )
        )


WHOLE = Excerpts(tuple, list, 0)
"""Leaves every passage as it is."""


def tokens_in(text: str) -> float:
    """Return about how many tokens a text has for the models here, which read digit by digit."""
    chinese = sum(map(is_cjk, text))
    digits = sum(map(str.isdigit, text))
    return chinese * _CJK_TOKENS + digits + (len(text) - chinese - digits) / _LATIN_CHARS


def _told(units: Sequence[Span], asked: set[str]) -> list[float]:
    """Return for each place what it and what stands beside it share with the question."""
    from rag.verification.spans import Rarity

    rarity = Rarity(units)
    shares = [rarity.share(asked & unit.terms, asked) for unit in units]
    best: dict[int, float] = {}
    for unit, share in zip(units, shares, strict=True):
        best[unit.passage] = max(share, best.get(unit.passage, 0.0))

    def beside(index: int, distance: int) -> float:
        around = (index - distance, index + distance)
        inside = [i for i in around if 0 <= i < len(units)]
        return max(
            (shares[i] for i in inside if units[i].passage == units[index].passage), default=0.0
        )

    return [
        shares[i]
        + _NEIGHBOUR * beside(i, 1)
        + _NEXT * beside(i, 2)
        + _PASSAGE * best[unit.passage]
        - _LATER * unit.passage
        for i, unit in enumerate(units)
    ]


def _headers(units: Sequence[Span], kept: Collection[int]) -> list[int]:
    """Return the lines that name the years and the scale of rows that are kept."""
    lowest = {units[i].passage: i for i in sorted(kept)}  # the last row, of which all are above
    return [
        i
        for i, unit in enumerate(units)
        if i < lowest.get(unit.passage, -1)
        and tokens_in(unit.text) < _HEADER_TOKENS
        and _HEADER.search(unit.text)
    ]


def _joined(passage: Passage, number: int, units: Sequence[Span], kept: Collection[int]) -> str:
    """Return what is kept of a passage; where something is left out stands an ellipsis."""
    text, pieces = passage.chunk.text, ""
    last: int | None = None
    for index in sorted(i for i in kept if units[i].passage == number):
        unit = units[index]
        if last is not None:
            beside = last == index - 1
            pieces += text[units[last].end : unit.start] if beside else OMITTED
        pieces += unit.text
        last = index
    return pieces
