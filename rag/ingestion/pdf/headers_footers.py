"""Running headers, footers and page numbers: what a document repeats on page after page.

A line is furniture only if it comes back: at the same height, near the edge, set apart from
the text. Nothing is taken from a page for being at its edge alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from rag.ingestion.pdf.page import DraftPage

_ZONE = 0.1  # of the page's height, from the top and from the bottom
_INNER_ZONE = 0.16  # what stands between the two must be on nearly every page nearby
_NEARLY_EVERY = 0.8
_OUTER = 4  # lines of either edge that are looked at
_SAME_HEIGHT_PT = 4.0
_FEWEST_PAGES = 5  # or half of a document that is shorter than ten
_WINDOW = 11  # pages nearby; odd and even ones may differ
_LONGEST = 160
_APART = 0.5  # of the line's own size: the white between it and the text
_LARGE = 1.4  # times the common size of type: a heading at the top of its page
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"(?<![\d.,])\d{1,4}(?![\d,]|\.\d)")
_ROMAN = re.compile(r"\W*([ivxlc]{1,8})\W*", re.IGNORECASE)
_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True, slots=True)
class _Candidate:
    page: int
    line: int
    y: float
    numbers: frozenset[int]  # what the line may say the page's number is, less the page
    outer: bool  # in the outer zone


def headers_and_footers(pages: Sequence[DraftPage]) -> list[frozenset[int]]:
    """Return for each page the places of the lines that are repeated; never all of a page's."""
    groups: dict[tuple[bool, str], list[_Candidate]] = defaultdict(list)
    for number, page in enumerate(pages):
        for at_top in (True, False):
            for index in _edge(page, at_top=at_top):
                key, candidate = _candidate(page, number, index)
                groups[at_top, key].append(candidate)
    found: list[set[int]] = [set() for _ in pages]
    fewest = max(3, min(_FEWEST_PAGES, (len(pages) + 1) // 2))
    for (_, key), candidates in groups.items():
        nearby = _Nearby(len(pages), fewest, counts=not _LETTERS.search(key))
        for candidate in nearby.repeated(candidates):
            found[candidate.page].add(candidate.line)
    return [_from_the_edge(page, places) for page, places in zip(pages, found, strict=True)]


def _edge(page: DraftPage, *, at_top: bool) -> list[int]:
    """Return the outermost lines of one edge, the outermost first."""
    zone = _INNER_ZONE * page.height
    lines = page.lines
    if not lines:
        return []
    large = _LARGE * median(line.size for line in lines)
    near = [
        i
        for i, line in enumerate(lines)
        if line.upright
        and line.size < large
        and len(page.text(i)) <= _LONGEST
        and (line.y1 <= zone if at_top else line.y0 >= page.height - zone)
    ]
    return sorted(near, key=lambda i: lines[i].y0 if at_top else -lines[i].y1)[:_OUTER]


def _candidate(page: DraftPage, number: int, index: int) -> tuple[str, _Candidate]:
    text = " ".join(page.text(index).casefold().split())
    numbers = {int(n) - number for n in _NUMBER.findall(text)}
    key = _DIGITS.sub("#", text)
    if roman := _ROMAN.fullmatch(text):
        numbers, key = {_roman(roman[1]) - number}, "#"
    line = page.lines[index]
    outer = line.y1 <= _ZONE * page.height or line.y0 >= (1 - _ZONE) * page.height
    # further in, only what is the same to the letter: numbered headings are not furniture
    return key if outer else text, _Candidate(number, index, line.y0, frozenset(numbers), outer)


def _roman(numeral: str) -> int:
    values = [_VALUES[letter] for letter in numeral.lower()]
    return sum(-value if value < max(values[i:]) else value for i, value in enumerate(values))


def _page(candidate: _Candidate) -> int:
    return candidate.page


@dataclass(frozen=True, slots=True)
class _Nearby:
    """Looks for a line on the pages around it."""

    pages: int  # of the document
    fewest: int
    counts: bool  # whether the line says nothing but a number, which must count the pages

    def repeated(self, candidates: Sequence[_Candidate]) -> list[_Candidate]:
        """Return those that come back nearby. Candidates stand in the order of their pages."""
        found: list[_Candidate] = []
        at = 0
        for one in candidates:
            first = max(0, min(one.page - _WINDOW // 2, self.pages - _WINDOW))
            while candidates[at].page < first:
                at += 1
            stop = bisect_left(candidates, first + _WINDOW, lo=at, key=_page)
            if self._comes_back(one, candidates[at:stop]):
                found.append(one)
        return found

    def _comes_back(self, one: _Candidate, around: Sequence[_Candidate]) -> bool:
        alike = [other for other in around if abs(one.y - other.y) <= _SAME_HEIGHT_PT]
        fewest = self.fewest
        if not one.outer:
            fewest = max(fewest, ceil(_NEARLY_EVERY * min(self.pages, _WINDOW)))
        if not self.counts:
            return len({other.page for other in alike}) >= fewest
        return any(
            len({other.page for other in alike if number in other.numbers}) >= fewest
            for number in one.numbers
        )


def _from_the_edge(page: DraftPage, places: set[int]) -> frozenset[int]:
    """Keep what is followed by white, or by nothing; a table's head stays with its table."""
    lines = page.lines
    kept: set[int] = set()
    rest = [line for i, line in enumerate(lines) if i not in places and line.upright]
    # from the text outwards: what is close to a line that stays, stays as well
    for i in sorted(places, key=lambda i: -abs(lines[i].y0 - page.height / 2), reverse=True):
        line = lines[i]
        if line.y1 < page.height / 2:
            gaps = [other.y0 - line.y1 for other in rest if other.y1 > line.y1]
        else:
            gaps = [line.y0 - other.y1 for other in rest if other.y0 < line.y0]
        if gaps and min(gaps) < _APART * line.size:
            rest.append(line)
        else:
            kept.add(i)
    return frozenset(kept) if len(kept) < len(lines) else frozenset()
