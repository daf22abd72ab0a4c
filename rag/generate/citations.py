"""Links each sentence of an answer to the place in a shown passage that supports it best.

By code, not by asking the model: a small model invents citations. Words decide, weighted by
how rare they are among the shown passages; where an embedder is given, meaning helps to
choose and stands in for words when answer and passage are in different languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.generate.refusal import is_refusal
from rag.generate.sentences import split_sentences
from rag.generate.spans import Rarity, Span, Terms, candidate_spans, numbers
from rag.types import Evidence, Passage, Sentence, Verdict
from rag.words import detect_language, is_cjk

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors

Embed = Callable[[Sequence[str]], "Vectors"]
PageOf = Callable[[Passage, int], int]

SUPPORTED = 0.5
"""Support from which a sentence counts as supported, if its numbers are there too."""
WEAK = 0.25
"""Support below which nothing is shown as evidence."""
_SHORTLIST = 8  # candidates by words whose meaning is compared as well
_MEANING = 0.3  # what the nearest meaning adds when candidates are ordered
_ACROSS_SUPPORT = 0.3  # support by meaning alone; numbers and names must add the rest
# What a model adds around its claims: list marks, citation marks, emphasis.
_MARKUP = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,2}[.)、])\s+|\[\d{1,3}\]|[*_`#|]+")


@dataclass(frozen=True, slots=True)
class _Claim:
    """One sentence of the answer, read for comparison."""

    text: str
    terms: frozenset[str]
    numbers: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Match:
    span: Span
    support: float  # 0 to 1


def link(
    answer: str,
    passages: Sequence[Passage],
    *,
    terms: Terms,
    page_of: PageOf,
    embed: Embed | None = None,
) -> tuple[Sentence, ...]:
    """Return the answer's sentences in order, each with its verdict and best evidence.

    ``terms`` analyses text as the index does; ``page_of(passage, offset)`` names the page of
    an offset into the passage's document; ``embed`` maps texts to unit rows, and ``None``
    leaves it to words. Pieces without a word, such as rules and brackets, are left out.
    """
    spans = candidate_spans(passages, terms)
    linker = _Linker(spans, embed)
    found: list[Sentence] = []
    for start, end in split_sentences(answer):
        text = _MARKUP.sub(" ", answer[start:end])
        claim = _Claim(text, frozenset(terms(text)), numbers(text))
        if not claim.terms:
            continue
        if is_refusal(text):
            found.append(Sentence(start, end, "not_in_documents"))
            continue
        match = linker.best(claim)
        if match is None or match.support < WEAK:
            found.append(Sentence(start, end, "unsupported"))
            continue
        verdict = _verdict(claim, match, passages)
        evidence = _evidence(match, passages[match.span.passage], page_of)
        shown = () if verdict == "unsupported" else (evidence,)
        found.append(Sentence(start, end, verdict, shown))
    return tuple(found)


class _Linker:
    """Finds the best span for a claim; embeds each span at most once."""

    def __init__(self, spans: Sequence[Span], embed: Embed | None) -> None:
        self._spans = spans
        self._rarity = Rarity(spans)
        self._embed = embed
        self._rows: dict[str, Vector] = {}

    def best(self, claim: _Claim) -> _Match | None:
        """Return the span with the best support; ``None`` when there is no span."""
        if not self._spans:
            return None
        ranked = sorted(self._spans, key=lambda span: -self._overlap(claim, span))
        if self._is_foreign(claim, ranked[0]):
            return self._best_across(claim)
        shortlist = ranked[:_SHORTLIST]
        nearness = self._nearness(claim, shortlist)
        chosen = max(
            range(len(shortlist)),
            key=lambda i: self._overlap(claim, shortlist[i]) + _MEANING * nearness[i],
        )
        return _Match(shortlist[chosen], self._coverage(claim, shortlist[chosen]))

    def _coverage(self, claim: _Claim, span: Span) -> float:
        return self._rarity.share(claim.terms & span.terms, claim.terms)

    def _overlap(self, claim: _Claim, span: Span) -> float:
        """Return the share of the claim that the span holds, a little less for long spans."""
        shared = claim.terms & span.terms
        precision = self._rarity.share(shared, span.terms)
        return 0.85 * self._rarity.share(shared, claim.terms) + 0.15 * precision

    def _is_foreign(self, claim: _Claim, best: Span) -> bool:
        return self._embed is not None and detect_language(claim.text) != detect_language(best.text)

    def _best_across(self, claim: _Claim) -> _Match:
        """Choose by meaning, and by the names and numbers that survive translation."""
        nearness = self._nearness(claim, self._spans)
        fixed = frozenset(term for term in claim.terms if self._survives_translation(term))

        def support(i: int) -> float:
            shared = self._rarity.share(fixed & self._spans[i].terms, fixed)
            return _ACROSS_SUPPORT * nearness[i] + (1 - _ACROSS_SUPPORT) * shared

        chosen = max(range(len(self._spans)), key=support)
        return _Match(self._spans[chosen], support(chosen))

    def _survives_translation(self, term: str) -> bool:
        """Say whether a term is alike in both languages: a number, a code, a name in Latin."""
        return not is_cjk(term[0]) and (term in self._rarity or any(c.isdigit() for c in term))

    def _nearness(self, claim: _Claim, spans: Sequence[Span]) -> list[float]:
        """Return each span's place between the farthest (0) and the nearest (1) in meaning."""
        if self._embed is None:
            return [0.0] * len(spans)
        wanted = dict.fromkeys([claim.text, *(span.text for span in spans)])
        missing = [text for text in wanted if text not in self._rows]
        self._rows.update(zip(missing, self._embed(missing), strict=True))
        asked = self._rows[claim.text]
        cosines = [float(self._rows[span.text] @ asked) for span in spans]
        low, high = min(cosines), max(cosines)
        return [(c - low) / (high - low) if high > low else 0.0 for c in cosines]


def _verdict(claim: _Claim, match: _Match, passages: Sequence[Passage]) -> Verdict:
    """Return supported if support is high and no number of the claim is from elsewhere.

    A number may stand outside the span as long as the same passage holds it, because a
    table's row has its names in the header; but the span must hold one.
    """
    span = match.span
    chunk = passages[span.passage].chunk
    elsewhere = claim.numbers - numbers(f"{chunk.heading}\n{chunk.text}")
    if elsewhere or (claim.numbers and not claim.numbers & span.numbers):
        return "weak" if match.support >= SUPPORTED else "unsupported"
    return "supported" if match.support >= SUPPORTED else "weak"


def _evidence(match: _Match, passage: Passage, page_of: PageOf) -> Evidence:
    span = match.span
    start = passage.chunk.start + span.start
    return Evidence(
        passage=span.passage,
        document=passage.document,
        page=page_of(passage, start),
        quote=span.text,
        start=start,
        end=passage.chunk.start + span.end,
        score=round(min(1.0, match.support), 4),
    )
