"""Links each sentence of an answer to the place in a shown passage that supports it best.

By code, not by asking the model: a small model invents citations. Words decide, weighted by
how rare they are among the shown passages; where an embedder is given, meaning helps to
choose and stands in for words when answer and passage are in different languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.generate.refusal import is_refusal
from rag.generate.sentences import split_sentences
from rag.generate.spans import Rarity, Span, Terms, candidate_spans, numbers
from rag.types import Chunk, Evidence, Passage, Sentence, Verdict
from rag.words import Language, detect_language, is_cjk

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
_CHINESE_LETTERS = 0.15  # share of the letters from which a passage counts as Chinese
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
    linker = _Linker(passages, terms, embed)
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

    def __init__(self, passages: Sequence[Passage], terms: Terms, embed: Embed | None) -> None:
        self._spans = spans = candidate_spans(passages, terms)
        self._around = [
            frozenset(terms(f"{p.document}\n{_named(p.chunk)}\n{p.chunk.text}")) for p in passages
        ]
        self._languages = [_language(passage.chunk.text) for passage in passages]
        self._rarity = Rarity(spans)
        self._embed = embed
        self._rows: dict[str, Vector] = {}

    def best(self, claim: _Claim) -> _Match | None:
        """Return the span with the best support; ``None`` when there is no span."""
        if not self._spans:
            return None
        ranked = sorted(self._spans, key=lambda span: -self._overlap(claim, span))
        asked = detect_language(claim.text)
        if self._embed is not None and self._languages[ranked[0].passage] != asked:
            foreign = [span for span in ranked if self._languages[span.passage] != asked]
            return self._best_across(foreign, claim)
        shortlist = ranked[:_SHORTLIST]
        nearness = self._nearness(claim, shortlist)
        chosen = max(
            range(len(shortlist)),
            key=lambda i: self._overlap(claim, shortlist[i]) + _MEANING * nearness[i],
        )
        return _Match(shortlist[chosen], self._held(claim.terms, shortlist[chosen]))

    def _overlap(self, claim: _Claim, span: Span) -> float:
        """Return the share of the claim that the span holds, a little less for long spans."""
        shared = claim.terms & span.terms
        precision = self._rarity.share(shared, span.terms)
        return 0.85 * self._rarity.share(shared, claim.terms) + 0.15 * precision

    def _held(self, wanted: frozenset[str], span: Span) -> float:
        """Return the share of the terms that the span holds; the rest of its passage counts half.

        What a table's row is about stands in its header, what a sentence is about in its title.
        """
        inside = self._rarity.share(wanted & span.terms, wanted)
        around = self._rarity.share(wanted & (span.terms | self._around[span.passage]), wanted)
        return (inside + around) / 2

    def _best_across(self, spans: Sequence[Span], claim: _Claim) -> _Match:
        """Choose by meaning, and by the names and numbers that survive translation."""
        nearness = self._nearness(claim, spans)
        known = frozenset().union(*(span.terms for span in spans))
        fixed = frozenset(term for term in claim.terms if _survives(term, known))
        support = [
            _ACROSS_SUPPORT * near + (1 - _ACROSS_SUPPORT) * self._held(fixed, span)
            for near, span in zip(nearness, spans, strict=True)
        ]
        chosen = max(range(len(spans)), key=support.__getitem__)
        return _Match(spans[chosen], support[chosen])

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


def _language(passage: str) -> Language:
    """Return the language of a passage, which may be a table: units and codes are no words."""
    chinese = sum(map(is_cjk, passage))
    letters = sum(letter.isalpha() for letter in passage)
    return "zh" if chinese and chinese >= _CHINESE_LETTERS * letters else "en"


def _named(chunk: Chunk) -> str:
    """Return what stands above a passage: its headings, and the header of its table."""
    return f"{chunk.heading}\n{chunk.context}"


def _survives(term: str, known: Collection[str]) -> bool:
    """Say whether a term is alike in both languages: a number, a code, a name in Latin."""
    return not is_cjk(term[0]) and (term in known or any(letter.isdigit() for letter in term))


def _verdict(claim: _Claim, match: _Match, passages: Sequence[Passage]) -> Verdict:
    """Return supported if support is high and no number of the claim is from elsewhere.

    A number may stand outside the span as long as the same passage holds it, because a
    table's row has its names in the header; but the span must hold one.
    """
    span = match.span
    chunk = passages[span.passage].chunk
    elsewhere = claim.numbers - numbers(f"{_named(chunk)}\n{chunk.text}")
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
