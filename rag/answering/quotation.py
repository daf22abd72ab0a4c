"""The place that best answers a question, quoted before a model has read anything.

Chosen by the question's words that it holds, by meaning, and by whether it has a number where one
is asked for. How often it holds the answer, and when it is better left out:
docs/decisions.md, "The quotation before the answer".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rag.text.parse_errors import attempt
from rag.text.quantities import Quantity, quantities
from rag.types.answers import Evidence, Passage, Sentence
from rag.verification.spans import Rarity, Span, candidate_spans, or_none

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors

_READ = 3  # best passages that are looked through
_EMBEDDED = 5  # places of them, the best by the rest, whose meaning is compared
_LEAST_WORDS = 0.5  # share of the question's words, by rarity, that is worth a quotation
_MEANING, _LATER, _NUMBER, _LONG = 2.0, 0.2, 0.4, 0.0005
"""Weights beside that share: of the cosine, off for each passage before, for a number that is
asked for, off for each character over ``_SHORT``."""
_SHORT = 160
_ASKS_A_NUMBER = re.compile(
    r"\bhow (?:much|many|long|old|large|high|often|far|soon)\b|\bwhen\b"
    r"|\b(?:what|which) (?:year|date|percentage|share|time|age|number|amount|day|month)\b"
    r"|\bwhat (?:is|was|were|are) the (?:[\w-]+ ){0,4}?(?:amount|number|percentage|rate|price|fee|"
    r"cost|date|year|total|value|ratio|period|term|duration|deadline)\b"
    r"|多少|几[年月天个位次名人]|何时|什么时候|哪一?年|哪天|多[久长大高]|比例|日期|时间|金额|费用",
    re.IGNORECASE,
)


class Quoter:
    """Finds quotations with an index's own words and vectors."""

    def __init__(
        self,
        words: Callable[[str], Sequence[str]],
        terms: Callable[[str], list[str]],
        *,
        embed_query: Callable[[str], Vector],
        embed: Callable[[Sequence[str]], Vectors],
    ) -> None:
        """``words`` gives the terms of a question that carry weight, ``terms`` those of a text."""
        self._words = words
        self._terms = or_none(terms)
        self._embed_query = embed_query
        self._embed = embed

    def best(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        about: Callable[[Passage], bool] = lambda _: True,
    ) -> Sentence | None:
        """Return the best place as evidence without boxes; ``None`` where none is good enough.

        The passages are those of the answer, best first. Of those that are not ``about`` what
        was asked nothing is quoted.
        """
        no_words: Sequence[str] = ()
        asked = set(
            attempt(lambda: self._words(question), instead=no_words, what="the words of a question")
        )
        read = passages[:_READ]
        quotable = {i for i, passage in enumerate(read) if about(passage)}
        spans = [s for s in candidate_spans(read, self._terms) if s.passage in quotable]
        rarity = Rarity(spans)
        numbered, known = bool(_ASKS_A_NUMBER.search(question)), _values(question)

        def told(span: Span) -> float:
            """Return what its words say for a place; nothing where too few of them stand there."""
            share = rarity.share(asked & span.terms, asked)
            if share < _LEAST_WORDS:
                return 0.0
            long = max(0, len(span.text) - _SHORT)
            number = numbered and bool(_values(span.text) - known)
            return share - _LATER * span.passage + _NUMBER * number - _LONG * long

        scores = {span: told(span) for span in spans}
        likely = sorted((s for s in scores if scores[s]), key=lambda s: -scores[s])[:_EMBEDDED]
        if not likely:
            return None
        cosines = self._embed([span.text for span in likely]) @ self._embed_query(question)
        best = max(range(len(likely)), key=lambda i: scores[likely[i]] + _MEANING * cosines[i])
        return _quoted(likely[best], passages)


def _values(text: str) -> set[object]:
    none: Sequence[Quantity] = ()
    found = attempt(lambda: quantities(text), instead=none, what="the quantities of a place")
    return {one.date or abs(one.value or 0) for one in found}


def _quoted(span: Span, passages: Sequence[Passage]) -> Sentence:
    passage = passages[span.passage]
    start = passage.chunk.start + span.start
    evidence = Evidence(
        passage=span.passage,
        document=passage.document,
        page=passage.chunk.first_page,
        quote=" ".join(span.text.split()),
        start=start,
        end=passage.chunk.start + span.end,
        score=1.0,
    )
    return Sentence(0, 0, "supported", (evidence,))
