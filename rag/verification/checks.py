"""What of a sentence has to stand word for word in its evidence: does it?

Quantities, names and negations. Everything here compares two texts; which place of a passage
is the evidence was decided before, by ``rag.verification.linker``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag.text.quantities import Gap, Place, Quantity, gaps, quantities
from rag.verification.spans import Terms, stands_beside
from rag.verification.wording import (
    Name,
    exchanged,
    exchanged_names,
    is_common,
    names,
    negations,
    opposites,
    plain_marks,
    squeezed,
)

_CLAUSE = re.compile(r"[,;:，；：。、\n]|[.!?](?=\s)")
_SAME_CLAUSE = 0.5  # of its words that a clause shares with another of which it speaks as well
_SHORT_WORD = 4
_NEARLY = 0.8  # of the best clause's share: it may be that one
_PROSE = re.compile(r"(?:\b[a-z]+\b[ ,]+){4}|[\u4e00-\u9fff，]{12}")  # no table's row
_BETWEEN = 20  # characters between two words of a name: "Jensen (Jen-Hsun) Huang"
_COUNTED = 10  # "three reasons" is counted by whoever answers, and may stand nowhere
_NUMBERED_NAME = re.compile(r"[A-Z][A-Za-z0-9]*[ -]?\Z")  # RTX 4090, Item 7, Note 12


@dataclass(frozen=True)  # no slots: what is worked out on demand is kept
class Claim:
    """One sentence of an answer, read for comparison."""

    text: str
    terms: frozenset[str]

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Its quantities, without numbers that belong to a name."""
        return tuple(q for q in self._found if not self.is_named(q))

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """Its names, those of numbered things as one: RTX 4090."""
        numbered = [self._numbered(q) for q in self._found if self.is_named(q)]
        dated = [(q.start, q.end) for q in self.quantities]
        plain = [
            name
            for name in names(self.text)
            if name.quoted or not any(a <= name.start < b or a < name.end <= b for a, b in dated)
        ]
        return (*plain, *numbered)

    def said(self, quantity: Quantity) -> str:
        """Return a quantity as the sentence writes it."""
        return " ".join(self.text[quantity.start : quantity.end].split())

    @property
    def numbers(self) -> tuple[Quantity, ...]:
        """All its quantities, those of names such as Item 7 as well."""
        return self._found

    @cached_property
    def _found(self) -> tuple[Quantity, ...]:
        return quantities(self.text)

    def _numbered(self, quantity: Quantity) -> Name:
        """Return the name that a number is part of; it must stand as it is: Windows 7."""
        match = _NUMBERED_NAME.search(self.text, 0, quantity.start)
        start = match.start() if match else quantity.start
        return Name(start, quantity.end, (self.text[start : quantity.end],), quoted=True)

    def is_named(self, quantity: Quantity) -> bool:
        """Say whether a number belongs to a name: RTX 4090, Item 7."""
        plain = not (quantity.unit or quantity.scaled or quantity.date or quantity.code)
        name = _NUMBERED_NAME.search(self.text, 0, quantity.start) if plain else None
        return name is not None and not is_common(name[0].strip(" -"))


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """Why a sentence is not called supported."""

    reason: str  # see rag.verification.reasons
    grave: bool = False  # what it says stands in no passage: unsupported, however alike the rest


class EvidenceSource:
    """A passage with what stands above it: the texts that names and units are looked up in."""

    def __init__(self, text: str, *, above: str, terms: Terms) -> None:
        self.whole = f"{above}\n{text}"
        self.terms = frozenset(terms(self.whole))
        self.above = above
        self.analyse = terms
        self._places: dict[str, Place] = {}

    def place(self, text: str) -> Place:
        """Return a span of the passage as a place for quantities.

        What a table's row is about, its years above all, stands in other lines; prose takes
        its year from the heading only where it names none.
        """
        if text not in self._places:
            header = self.whole
            if _PROSE.search(text):
                header = "" if Place(text).years else self.above
            self._places[text] = Place(text, header, self.whole)
        return self._places[text]

    @cached_property
    def anywhere(self) -> Place:
        """The whole passage as such a place."""
        return Place(self.whole)

    @cached_property
    def letters(self) -> str:
        """All its letters and digits, for what must stand word for word."""
        return squeezed(self.whole)

    def knows(self, word: str) -> bool:
        """Say whether a word of a name stands here, in any spelling or as initials."""
        wanted = self.analyse(word)
        if not wanted or any(term in self.terms for term in wanted[:1]):
            return True
        if squeezed(word) in self.letters:
            return True
        return word.isupper() and word.casefold() in self._initials

    def together(self, one: str, two: str) -> bool:
        """Say whether two words of a name stand side by side here, a word or two between them."""
        one, two = plain_marks(one).casefold(), plain_marks(two).casefold()
        places = (match.end() for match in re.finditer(re.escape(one), self._folded))
        return any(two in self._folded[end : end + len(two) + _BETWEEN] for end in places)

    @cached_property
    def _folded(self) -> str:
        return plain_marks(" ".join(self.whole.split())).casefold()

    @cached_property
    def _initials(self) -> str:
        return "".join(word[0] for word in re.findall(r"\b[A-Z]\w+", self.whole)).casefold()


def failed_checks(
    claim: Claim,
    span: str,
    source: EvidenceSource,
    others: Sequence[EvidenceSource],
    *,
    foreign: bool,
    calculated: Collection[Quantity] = (),
) -> Iterator[FailedCheck]:
    """Yield what of a claim does not stand in its evidence, the gravest kind first.

    ``others`` are the remaining passages. With ``foreign``, evidence and claim are in
    different languages, and only what survives translation is compared. What is
    ``calculated`` is accounted for otherwise.
    """
    place = source.place(span)
    missing = gaps([q for q in claim.quantities if q not in calculated], place)
    for gap in missing:
        yield _quantity_doubt(claim, gap, source, others)
    if not foreign and not missing and not calculated:
        yield from _displaced(claim, place, source)
    for name in claim.names:
        if doubt := _name_doubt(claim, name, source, foreign=foreign):
            yield doubt
        elif not foreign and _PROSE.search(span) and _is_another_number(claim, name, span, source):
            yield FailedCheck(f"elsewhere:{claim.text[name.start : name.end]}")
    if not foreign:
        for quantity in exchanged(claim.text, claim.numbers, span):
            yield FailedCheck(f"elsewhere:{claim.said(quantity)}")
        if "|" not in span:  # a row's names stand in its header
            for word in exchanged_names(claim.text, claim.names, span):
                yield FailedCheck(f"elsewhere:{word}")
        yield from _contrary(claim, span, source)


def _quantity_doubt(
    claim: Claim, gap: Gap, source: EvidenceSource, others: Sequence[EvidenceSource]
) -> FailedCheck:
    said = claim.said(gap.quantity)
    alone = [gap.quantity]
    if any(not gaps(alone, one.anywhere) for one in (source, *others)):
        return FailedCheck(f"elsewhere:{said}")
    if gap.difference != "absent":
        return FailedCheck(f"{gap.difference}:{said}")
    value = gap.quantity.value
    counted = value is not None and not gap.quantity.unit and abs(value) <= _COUNTED
    kind = "date" if gap.quantity.date else "number"
    return FailedCheck(f"{kind}:{said}", grave=not counted)


def _displaced(claim: Claim, place: Place, source: EvidenceSource) -> Iterator[FailedCheck]:
    """Yield figures that stand there, but for something else or not as often."""
    said = Counter(map(_same, claim.quantities))
    there = Counter(map(_same, place.quantities))
    text = " ".join(place.text.split())
    prose = bool(_PROSE.search(text))
    for quantity in claim.quantities:
        repeated = said[_same(quantity)] > max(1, there[_same(quantity)]) and prose
        bare = not (quantity.unit or quantity.scaled or quantity.date or quantity.code)
        if repeated or (
            bare
            and prose
            and not stands_beside(claim.text, quantity, text, place.quantities, source.analyse)
        ):
            yield FailedCheck(f"elsewhere:{claim.said(quantity)}")


def _same(quantity: Quantity) -> tuple[object, ...]:
    """Return what is alike in two mentions of one quantity; a year counts in every date."""
    date = quantity.date
    return (quantity.code, (date.year or date[:4]) if date else quantity.value)


def _is_another_number(claim: Claim, name: Name, span: str, source: EvidenceSource) -> bool:
    """Say whether a numbered name, Auction 107, stands in the passage but not where it is said."""
    written = claim.text[name.start : name.end]
    if not name.quoted or written != name.words[0] or not written[-1:].isdigit():
        return False
    return squeezed(written) not in squeezed(f"{source.above}\n{span}")


def _name_doubt(
    claim: Claim, name: Name, source: EvidenceSource, *, foreign: bool
) -> FailedCheck | None:
    shown = claim.text[name.start : name.end]
    if name.quoted:
        if foreign or squeezed(name.words[0]) in source.letters:
            return None
        marked = claim.text[name.start : name.end] != name.words[0]
        return FailedCheck(f"{'quote' if marked else 'name'}:{name.words[0]}")
    missing = [word for word in name.words if not source.knows(word)]
    apart = [two for one, two in pairwise(name.words) if not source.together(one, two)]
    missing = missing or ([] if foreign else apart)
    if foreign:  # a translated name has no spelling in common, a code has
        missing = [word for word in missing if any(char.isdigit() for char in word)]
    return FailedCheck(f"name:{shown}") if missing else None


def _contrary(claim: Claim, span: str, source: EvidenceSource) -> Iterator[FailedCheck]:
    """Compare clause by clause: a long sentence may deny one thing and state another."""
    if squeezed(claim.text) in squeezed(span):
        return
    clauses = [clause for clause in _CLAUSE.split(" ".join(span.split())) if clause.strip()]
    spoken = [frozenset(source.analyse(clause)) for clause in clauses]
    for said in _CLAUSE.split(claim.text):
        words = frozenset(term for term in source.analyse(said) if _tells(term))
        if not words:
            continue
        shares = [len(words & other) / len(words) for other in spoken]
        best = max(shares, default=0.0)
        alike = [c for c, share in zip(clauses, shares, strict=True) if share >= _NEARLY * best]
        denied = negations(said)
        if best < _SAME_CLAUSE:
            contrary = denied > 0 and not negations(span)
        elif best < _NEARLY:
            contrary = all((negations(clause) > 0) != (denied > 0) for clause in alike)
        else:  # word for word, so that two denials are not one
            contrary = all(negations(clause) != denied for clause in alike)
        if contrary:
            yield FailedCheck("negation")
            break
    for word in opposites(claim.text, span):
        yield FailedCheck(f"opposite:{word}")


def _tells(term: str) -> bool:
    """Say whether a term is more than an article or a preposition; Chinese pairs are."""
    return len(term) >= _SHORT_WORD or not term.isascii()


def gravest(found: Iterable[FailedCheck]) -> FailedCheck | None:
    """Return the doubt to show: the first grave one, else the first."""
    every = list(found)
    return next((doubt for doubt in every if doubt.grave), every[0] if every else None)
