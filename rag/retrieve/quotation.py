"""Where a quoted sentence stands in a text, however it was copied.

White space, line breaks, hyphens, full and half width, quotation marks and case do not
count. A small difference is forgiven, a different number never: the same sentence about
another year is another sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

ALIKE = 0.85
"""Likeness from which on a text is taken for the sentence; below it is only the nearest."""
_FAR = 0.5  # below it, nothing is near
_DASHES = dict.fromkeys("-\u00ad\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d\ufffe\x02")
_MARKS = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "`": "'", **_DASHES})
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Match:
    """``text[start:end]`` is the sentence, or what comes nearest to it.

    ``likeness`` is 1 where nothing differs that counts. ``same_numbers`` says that both hold
    the same ones.
    """

    start: int
    end: int
    likeness: float
    same_numbers: bool = True

    @property
    def found(self) -> bool:
        """Whether this is the sentence itself."""
        return self.likeness >= ALIKE and self.same_numbers


class Quotation:
    """A sentence to be looked for in many texts."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        self.bare = bare(sentence)
        self._numbers = Counter(_numbers(sentence))

    def places(self, text: str, *, nearer_than: float = 0.0) -> list[Match]:
        """Return every place where the sentence stands; else the one nearest text, if any.

        A text that is only near, and not nearer than ``nearer_than``, is left out.
        """
        folded = bare(text)
        if not self.bare or not folded:
            return []
        if self.bare in folded:
            letters, offsets = _letters(text)
            exact = [
                Match(offsets[at], offsets[at + len(self.bare) - 1] + 1, 1.0)
                for at in _all(letters, self.bare)
            ]
            if exact:  # letter by letter, marks that combine with others may differ
                return exact
        if self._likeness(folded) <= min(nearer_than, ALIKE):
            return []
        near = self._near(text)
        return [near] if near else []

    def _likeness(self, letters: str) -> float:
        """Return how like the sentence a part of a text is; 0 below what counts as near."""
        compare = fuzz.ratio if len(letters) <= len(self.bare) else fuzz.partial_ratio
        return compare(self.bare, letters, score_cutoff=100 * _FAR) / 100

    def _near(self, text: str) -> Match | None:
        letters, offsets = _letters(text)
        likeness, start, end = self._likeness(letters), 0, len(letters)
        if end > len(self.bare):
            found = fuzz.partial_ratio_alignment(self.bare, letters)
            start, end = (found.dest_start, found.dest_end) if found else (0, 0)
        if not likeness or start >= end:
            return None
        first, last = _whole_words(text, offsets[start], offsets[end - 1] + 1)
        same = Counter(_numbers(text[first:last])) == self._numbers
        return Match(first, last, likeness, same)


def bare(text: str) -> str:
    r"""Return ``text`` without all that does not count.

    >>> bare("ＲＴＸ 4090 has “1,008 GB/s” of band-\nwidth.")
    'rtx4090has"1,008gb/s"ofbandwidth.'
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_MARKS)
    return "".join(folded.split())


def _letters(text: str) -> tuple[str, list[int]]:
    """Return ``bare(text)`` and where in ``text`` each of its characters stands."""
    letters: list[str] = []
    offsets: list[int] = []
    for place, char in enumerate(text):
        for letter in _folded(char):
            letters.append(letter)
            offsets.append(place)
    return "".join(letters), offsets


@lru_cache(maxsize=1 << 14)
def _folded(char: str) -> str:
    return bare(char)


def _all(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _numbers(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text)
    return [number.replace(",", "") for number in _NUMBER.findall(folded)]


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a span to the ends of the words and numbers it cuts; Chinese has none to cut."""
    while start > 0 and _joined(text[start - 1], text[start]):
        start -= 1
    while end < len(text) and _joined(text[end - 1], text[end]):
        end += 1
    return start, end


def _joined(left: str, right: str) -> bool:
    if left.isdigit() or right.isdigit():
        return (left.isdigit() or left in ".,") and (right.isdigit() or right in ".,")
    return left.isascii() and left.isalpha() and right.isascii() and right.isalpha()
