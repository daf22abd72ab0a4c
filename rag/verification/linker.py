"""Links each sentence of an answer to the place in a shown passage that supports it best.

By code, not by asking the model: a small model invents citations. Words decide, weighted by
how rare they are among the shown passages; where an embedder is given, meaning helps where
words are not enough, above all when answer and passage are in different languages. Quantities,
names and negations are then checked one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from rag.text.language import detect_language, is_cjk
from rag.text.messages import Language
from rag.text.parse_errors import attempt
from rag.text.quantities import Place, gaps
from rag.text.sentences import split_sentences
from rag.types.answers import Evidence, Passage, Sentence, Verdict
from rag.types.documents import Chunk
from rag.verification.arithmetic import Calculated, check_calculations
from rag.verification.checks import Claim, EvidenceSource, FailedCheck, failed_checks, gravest
from rag.verification.columns import displaced, figures_apart
from rag.verification.spans import Rarity, Span, Terms, candidate_spans, is_row, or_none
from rag.verification.subject import Subject
from rag.verification.wording import (
    bare,
    is_refusal,
    only_repeats,
    squeezed,
    without_pages,
    without_possessive,
)
from rag.verification.yes_no import answered, denies

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors


Embed = Callable[[Sequence[str]], "Vectors"]
PageOf = Callable[[Passage, int], int]

SUPPORTED = 0.55
"""Support from which a sentence counts as supported, if nothing in it is in doubt."""
WEAK = 0.25
"""Support below which nothing is shown as evidence."""
_SHORTLIST = 8  # candidates by words whose meaning is compared as well
_MEANING = 0.3  # what the nearest meaning adds when candidates are ordered
_NAMES = 0.5  # what holding all of its names adds
_QUANTITIES = 0.9  # what holding all of a claim's quantities adds
_VERBATIM = 0.85  # of a claim's words, its quantities aside: such a place is what it was taken from
_AS_NEAR = 0.15  # the same sentence stands in the report of every year, with other figures
_TELLING_DIGITS = 4  # a figure with as many is found by them: $490,481
_FEW_WORDS = 4  # with fewer, such a place may be anywhere
_DATED = 0.3  # of a figure's weight: a year stands on every other line of a report
_QUESTION = 0.3  # what the question's words add: a bare "$1,577" says little of its place
_QUESTION_BARE = 0.6  # and to a sentence with few words of its own
_CHINESE_LETTERS = 0.15  # share of the letters from which a passage counts as Chinese
_BARE = 3  # words of its own: such a sentence takes its subject from the question
_ABOUT = 0.3  # share of the question that stands around a place that is about it
_LABELLED = 0.1  # of it beside a figure alone: its row is labelled, its sentence names something
_KNOWN = 0.6  # of it in the document of a sentence that names its own subject
_ASIDE = 0.2  # more of the question in the clause of another figure: that one was asked for
_ANSWERED = 0.4  # share of the question that stands in a place that answers yes or no
_ACROSS_SUPPORT = 0.3  # support by meaning alone; numbers and names must add the rest


@dataclass(frozen=True, slots=True)
class _Match:
    span: Span
    support: float  # 0 to 1
    foreign: bool = False  # passage and claim are in different languages


def link(
    answer: str,
    passages: Sequence[Passage],
    *,
    terms: Terms,
    page_of: PageOf,
    embed: Embed | None = None,
    question: str = "",
) -> tuple[Sentence, ...]:
    """Return the answer's sentences in order, each with its verdict and best evidence.

    ``terms`` analyses text as the index does; ``page_of(passage, offset)`` names the page of
    an offset into the passage's document; ``embed`` maps texts to unit rows, and ``None``
    leaves it to words; ``question`` helps to choose between places that say the same. Pieces
    without a word, such as rules and brackets, are left out.
    """
    linker = Linker(passages, terms=terms, page_of=page_of, embed=embed, question=question)
    judged = (linker.judge(answer, start, end) for start, end in split_sentences(answer))
    return tuple(sentence for sentence in judged if sentence is not None)


class Linker:
    """Finds evidence for one answer, sentence by sentence; embeds each span at most once."""

    def __init__(
        self,
        passages: Sequence[Passage],
        *,
        terms: Terms,
        page_of: PageOf = lambda passage, _: passage.chunk.first_page,
        embed: Embed | None = None,
        question: str = "",
        subject: Subject | None = None,
    ) -> None:
        """See ``link``; without ``page_of`` evidence names the first page of its passage.

        Without a ``subject`` a place may be about anything.
        """
        self._subject = subject or Subject()
        self._passages = passages
        self._terms = terms
        self._question = question
        self._page_of = page_of
        held = or_none(terms)  # what cannot be taken apart supports nothing
        self._spans = spans = candidate_spans(passages, held)
        self._sources = [
            EvidenceSource(p.chunk.text, above=f"{p.document}\n{_named(p.chunk)}", terms=held)
            for p in passages
        ]
        self._languages = [_language(passage.chunk.text) for passage in passages]
        self._rarity = Rarity(spans)
        self._asked = [self._asked_for(frozenset(held(question)), span) for span in spans]
        self._embed = embed
        self._rows: dict[str, Vector] = {}

    def judge(self, answer: str, start: int, end: int) -> Sentence | None:
        """Return the sentence ``answer[start:end]``, judged; ``None`` for one without words.

        One that cannot be checked is not supported.
        """
        unchecked: Sentence | None = Sentence(start, end, "unsupported", reason="unchecked")
        return attempt(
            lambda: self._judged(answer, start, end),
            instead=unchecked,
            what="the check of a sentence",
        )

    def _judged(self, answer: str, start: int, end: int) -> Sentence | None:
        text = bare(answer[start:end])
        claim = Claim(text, frozenset(self._terms(text)))
        if not claim.terms:
            return None
        if found := self._told_by_words(text, start, end):
            return found
        match = self._best(claim)
        if match is not None:
            claim, match = self._without_page(claim, match)
        calculated = check_calculations(claim, self._sources)
        if match is None or (match.support < WEAK and not calculated.doubt):
            return Sentence(start, end, "unsupported", reason="nowhere")
        verdict, reason = self._verdict(claim, match, calculated)
        if verdict == "unsupported" and match.support < SUPPORTED:
            return Sentence(start, end, verdict, reason=reason)
        return Sentence(start, end, verdict, (self._evidence(match),), reason)

    def _told_by_words(self, text: str, start: int, end: int) -> Sentence | None:
        """Judge a sentence that claims nothing of its own; ``None`` for any other."""
        if is_refusal(text):
            return Sentence(start, end, "not_in_documents")
        if (yes := answered(self._question, text, self._terms)) is not None:
            return self._yes_or_no(start, end, yes=yes)
        if only_repeats(self._question, text, self._terms):
            return Sentence(start, end, "unsupported", reason="echo")
        return None

    def _without_page(self, claim: Claim, match: _Match) -> tuple[Claim, _Match]:
        """Leave out "on page 14" where the passage stands on that page: no text says so."""
        shown = self._passages[match.span.passage]
        known = {*map(str, range(shown.chunk.first_page, shown.chunk.last_page + 1)), shown.label}
        text = without_pages(claim.text, known)
        if text == claim.text:
            return claim, match
        placed = Claim(text, frozenset(self._terms(text)))
        return placed, replace(match, support=self._held(placed, placed.terms, match.span))

    def _verdict(self, claim: Claim, match: _Match, sums: Calculated) -> tuple[Verdict, str]:
        """Return supported if the place says enough of it and nothing in it is in doubt."""
        sources = self._sources
        others = [source for i, source in enumerate(sources) if i != match.span.passage]
        source = sources[match.span.passage]
        found = failed_checks(
            claim, match.span.text, source, others, foreign=match.foreign,
            calculated=sums.quantities,
        )  # fmt: skip
        every = [*found, *self._said_of_another(claim, match, sums)]
        doubt = gravest([*every, sums.doubt] if sums.doubt else every)
        if doubt is not None and doubt is sums.doubt and not doubt.grave:
            return "weak", doubt.reason
        if doubt is not None:
            grave = doubt.grave or match.support < SUPPORTED
            return ("unsupported" if grave else "weak"), doubt.reason
        return ("supported", "") if match.support >= SUPPORTED else ("weak", "wording")

    def _said_of_another(
        self, claim: Claim, match: _Match, sums: Calculated
    ) -> Iterator[FailedCheck]:
        """Yield what is true of another column, or of something else than was asked."""
        passage = self._passages[match.span.passage]
        figures = [q for q in claim.quantities if q not in sums.quantities]
        above = f"{_named(passage.chunk)}\n{passage.chunk.text[: match.span.start]}"
        for row in match.span.text.splitlines():
            for figure in displaced(claim.text, figures, row, above, question=self._question):
                yield FailedCheck(f"column:{claim.said(figure)}")
            above = f"{above}\n{row}"
        yield from self._about_another(claim, match)

    def _about_another(self, claim: Claim, match: _Match) -> Iterator[FailedCheck]:
        """Yield why a place may be about something else than was asked."""
        source, passage = self._sources[match.span.passage], self._passages[match.span.passage]
        added = self._subject.added(claim.text)
        if not match.foreign:
            yield from self._in_another_row(claim, match)
            yield from self._in_another_year(claim, match)
        held = source.terms | match.span.terms
        for name in self._subject.foreign(passage.chunk.document_id, held, across=match.foreign):
            yield FailedCheck(f"about:{name}", grave=added <= _BARE or not claim.names)
        around, inside = self._subject.share(held), self._subject.share(match.span.terms)
        if added <= _BARE:
            is_aside = (around + inside) / 2 < _ABOUT or (not added and inside < _LABELLED)
        else:
            known = self._subject.known
            is_aside = around < _ABOUT and known(passage.chunk.document_id) < _KNOWN
        if is_aside and not match.foreign:
            yield FailedCheck("subject")
        if not match.foreign and not added:
            yield from self._beside(claim, match.span)

    def _in_another_row(self, claim: Claim, match: _Match) -> Iterator[FailedCheck]:
        """Yield figures of a row of which another row says more of what was asked and answered."""
        figures = [q for q in claim.quantities if not q.date]
        row = match.span.text.strip().splitlines()[-1:]  # below its header, perhaps
        if not figures or not row or not is_row(row[0]):
            return
        said = frozenset(self._terms(" ".join(claim.said(q) for q in figures)))
        wanted = (claim.terms | self._subject.weights.keys()) - said
        mine = wanted & self._held_terms(row[0])
        rows = [s for s in self._spans if s.passage == match.span.passage and is_row(s.text)]
        wanted &= frozenset().union(mine, *(other.terms for other in rows))
        told = self._rarity.share(mine, wanted)
        # one that lacks a word of this row is another kind of row, such as the total
        rivals = [wanted & other.terms for other in rows if mine <= other.terms]
        if any(self._rarity.share(rival, wanted) > told + _ASIDE for rival in rivals):
            yield FailedCheck(f"elsewhere:{claim.said(figures[0])}")

    def _in_another_year(self, claim: Claim, match: _Match) -> Iterator[FailedCheck]:
        """Yield the year of a question where a claim without one comes from a place of another."""
        asked = self._asked_years
        if len(asked) != 1 or Place(claim.text).years:
            return
        source = self._sources[match.span.passage]
        known = source.place(match.span.text).years | Place(source.above).years
        there = Place(match.span.text).years
        if there and not asked & known:
            yield FailedCheck(f"date:{next(iter(asked))}")

    def _beside(self, claim: Claim, span: Span) -> Iterator[FailedCheck]:
        """Yield figures in whose clause less of the question stands than in another's."""
        if detect_language(span.text) == "zh":
            return  # its clauses share one subject, which the first one names
        for figure, clause, others in figures_apart(claim.quantities, span.text):
            told = self._subject.share(self._held_terms(clause))
            if any(self._subject.share(self._held_terms(o)) > told + _ASIDE for o in others):
                yield FailedCheck(f"elsewhere:{claim.said(figure)}")

    def _held_terms(self, text: str) -> frozenset[str]:
        return frozenset(self._terms(text))

    def _yes_or_no(self, start: int, end: int, *, yes: bool) -> Sentence:
        """Judge a bare yes or no by the place that says most of the question."""
        shares = [self._subject.share(s.terms) for s in self._spans if self._subject.weights]
        best = max(range(len(shares)), key=lambda i: shares[i], default=None)
        if best is None or shares[best] < _ANSWERED:
            return Sentence(start, end, "unsupported", reason="nowhere")
        span = self._spans[best]
        agrees = denies(self._question, span.text) != yes
        evidence = (self._evidence(_Match(span, shares[best])),)
        return Sentence(start, end, "weak", evidence, "answered" if agrees else "negation")

    def _best(self, claim: Claim) -> _Match | None:
        """Return the span with the best support; ``None`` when there is no span."""
        if not self._spans:
            return None
        held, named = self._quantities_held(claim), self._names_held(claim)
        asked = _QUESTION_BARE if self._subject.added(claim.text) <= _BARE else _QUESTION
        words = [
            self._overlap(claim, span)
            + _QUANTITIES * held[i]
            + _NAMES * named[i]
            + asked * self._asked[i]
            for i, span in enumerate(self._spans)
        ]
        verbatim = frozenset() if _is_told_by_figures(claim, held) else self._verbatim(claim)
        ranked = sorted(range(len(self._spans)), key=lambda i: (i not in verbatim, -words[i]))
        language = detect_language(claim.text)
        if self._embed is not None and self._language_of(ranked[0]) != language:
            foreign = [i for i in ranked if self._language_of(i) != language]
            return self._best_across(foreign, claim, held)
        match = self._match(claim, ranked[0], language)
        if self._embed is None or verbatim or match.support >= SUPPORTED:
            return match  # words are enough; embedding would hold the next tokens up
        shortlist = ranked[:_SHORTLIST]
        nearness = self._nearness(claim, [self._spans[i] for i in shortlist])
        chosen, _ = max(
            zip(shortlist, nearness, strict=True),
            key=lambda pair: words[pair[0]] + _MEANING * pair[1],
        )
        return self._match(claim, chosen, language)

    def _match(self, claim: Claim, index: int, language: Language) -> _Match:
        span = self._spans[index]
        foreign = language not in {self._language_of(index), detect_language(span.text)}
        return _Match(span, self._held(claim, claim.terms, span), foreign)

    def _verbatim(self, claim: Claim) -> frozenset[int]:
        """Return the spans that hold nearly every word of a claim beside its quantities."""
        said = " ".join(claim.said(quantity) for quantity in claim.quantities)
        plain = claim.terms - frozenset(self._terms(said))
        if len(plain) < _FEW_WORDS:
            return frozenset()
        share = self._rarity.share
        near = {
            i: share(plain & span.terms, plain | span.terms)
            for i, span in enumerate(self._spans)
            if share(plain & span.terms, plain) >= _VERBATIM
        }
        nearest = max(near.values(), default=0.0)
        chosen = {i for i, alike in near.items() if alike >= nearest - _AS_NEAR}
        return frozenset(i for i in near if i in chosen or self._holds_one(i, chosen))

    def _holds_one(self, index: int, chosen: Collection[int]) -> bool:
        """Say whether a span holds one of the chosen whole: a line, and its sentence."""
        span = self._spans[index]
        return any(
            span.passage == inner.passage and span.start <= inner.start and inner.end <= span.end
            for inner in (self._spans[i] for i in chosen)
        )

    def _asked_for(self, wanted: frozenset[str], span: Span) -> float:
        """Return the share of the question that the span and, half of it, its passage hold."""
        around = self._sources[span.passage].terms
        inside = self._rarity.share(wanted & span.terms, wanted)
        return (inside + self._rarity.share(wanted & (span.terms | around), wanted)) / 2

    def _language_of(self, index: int) -> Language:
        return self._languages[self._spans[index].passage]

    def _quantities_held(self, claim: Claim) -> list[float]:
        """Return the share of the claim's quantities that stand in each span."""
        wanted = claim.quantities
        if not wanted:
            return [0.0] * len(self._spans)
        weights = [_DATED if quantity.date else 1.0 for quantity in wanted]
        weight = dict(zip(wanted, weights, strict=True))
        places = (self._sources[span.passage].place(span.text) for span in self._spans)
        missing = (sum(weight[gap.quantity] for gap in gaps(wanted, place)) for place in places)
        return [1 - lacking / sum(weights) for lacking in missing]

    def _names_held(self, claim: Claim) -> list[float]:
        """Return the share of the claim's names that stand in each span."""
        wanted = {
            squeezed(word): self._rarity.weight(next(iter(self._terms(word)), ""))
            for name in claim.names
            for word in map(without_possessive, name.words)
        }
        total = sum(wanted.values())
        if not total:
            return [0.0] * len(self._spans)
        return [
            sum(weight for word, weight in wanted.items() if word in there) / total
            for there in self._letters
        ]

    @cached_property
    def _letters(self) -> list[str]:
        return [squeezed(span.text) for span in self._spans]

    @cached_property
    def _asked_years(self) -> frozenset[int]:
        return Place(self._question).years

    def _overlap(self, claim: Claim, span: Span) -> float:
        """Return the share of the claim that the span holds, a little less for long spans."""
        shared = claim.terms & span.terms
        precision = self._rarity.share(shared, span.terms)
        return 0.85 * self._rarity.share(shared, claim.terms) + 0.15 * precision

    def _held(self, claim: Claim, wanted: frozenset[str], span: Span) -> float:
        """Return the share of the terms that the span holds; the rest of its passage counts half.

        What a table's row is about stands in its header, what a sentence is about in its title.
        A quantity counts however it is written.
        """
        source = self._sources[span.passage]
        place = source.place(span.text)
        missing = {gap.quantity for gap in gaps(claim.quantities, place)}
        standing = [claim.said(q) for q in claim.quantities if q not in missing]
        here = span.terms | frozenset(self._terms(" ".join(standing)))
        inside = self._rarity.share(wanted & here, wanted)
        around = self._rarity.share(wanted & (here | source.terms), wanted)
        return (inside + around) / 2

    def _best_across(self, among: Sequence[int], claim: Claim, held: Sequence[float]) -> _Match:
        """Choose by meaning, and by the names and numbers that survive translation."""
        spans = [self._spans[i] for i in among]
        nearness = self._nearness(claim, spans)
        known = frozenset().union(*(span.terms for span in spans))
        fixed = frozenset(term for term in claim.terms if _survives(term, known))
        support = [
            _ACROSS_SUPPORT * near + (1 - _ACROSS_SUPPORT) * self._held(claim, fixed, span)
            for near, span in zip(nearness, spans, strict=True)
        ]
        chosen = max(range(len(spans)), key=lambda i: support[i] + _QUANTITIES * held[among[i]])
        return _Match(spans[chosen], support[chosen], foreign=True)

    def _nearness(self, claim: Claim, spans: Sequence[Span]) -> list[float]:
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

    def _evidence(self, match: _Match) -> Evidence:
        span = match.span
        passage = self._passages[span.passage]
        start = passage.chunk.start + span.start
        return Evidence(
            passage=span.passage,
            document=passage.document,
            page=self._page_of(passage, start),
            quote=span.text,
            start=start,
            end=passage.chunk.start + span.end,
            score=round(min(1.0, match.support), 4),
        )


def _is_told_by_figures(claim: Claim, held: Sequence[float]) -> bool:
    """Say whether a place holds all of a claim's figures, one of them with many digits."""
    digits = [
        q.value.normalize().as_tuple().digits for q in claim.quantities if q.value and not q.date
    ]
    return any(len(each) >= _TELLING_DIGITS for each in digits) and max(held, default=0.0) >= 1


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
