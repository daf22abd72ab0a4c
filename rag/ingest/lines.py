"""The lines of a page as PDFium gives them: which characters, where, how large.

Knows geometry only; what a line means is decided elsewhere. Two boxes a line are asked for,
of its first and its last character, because asking costs time.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from itertools import accumulate

import pypdfium2.raw as pdfium

from rag.ingest.fast_pdfium import char_index, loose_box

# PDFium puts a mark for a hyphen that it takes for a break, and no line end after it
_LINE = re.compile("[^\r\n\ufffe\x02]*[\ufffe\x02]|[^\r\n\ufffe\x02]+")


@dataclass(frozen=True, slots=True)
class Line:
    """``raw[start:end]``; the box is in points from the top left of the page as seen."""

    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def size(self) -> float:
        """Height of the line's box, in points: the size of its type."""
        return self.y1 - self.y0

    @property
    def upright(self) -> bool:
        """Whether the text runs from left to right."""
        return self.x1 - self.x0 >= self.size / 3 or self.end - self.start < 3  # noqa: PLR2004


class CharIndex:
    """Turns an index into what PDFium returned into PDFium's own number of the character."""

    def __init__(self, text_page: int, raw: str, *, count: int) -> None:
        """``count`` is PDFium's number of characters; most often the two agree throughout."""
        self._page = text_page
        wide = not raw.isascii() and max(raw) > "\uffff"
        self._units = (
            list(accumulate((2 if c > "\uffff" else 1 for c in raw), initial=0)) if wide else None
        )
        self._same = not wide and count == len(raw)

    def __call__(self, index: int) -> int:
        """Return the number of the character at ``index``."""
        if self._same:
            return index
        return int(char_index(self._page, self._units[index] if self._units else index))


@dataclass(frozen=True, slots=True)
class Frame:
    """The page's own box and turn: from PDF coordinates to the page as seen."""

    left: float
    bottom: float
    width: float  # as seen
    height: float
    turns: int  # quarter turns clockwise

    def seen(self, x: float, y: float) -> tuple[float, float]:
        """Return the point in points from the top left of the page as seen."""
        x, y = x - self.left, y - self.bottom
        return (
            (x, self.height - y),
            (y, x),
            (self.width - x, y),
            (self.width - y, self.height - x),
        )[self.turns]


def find_lines(text_page: int, raw: str, index: CharIndex, frame: Frame) -> list[Line]:
    """Return the page's lines in PDFium's order, without those that are blank."""
    lines: list[Line] = []
    first, last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    at_first, at_last = ctypes.addressof(first), ctypes.addressof(last)
    for match in _LINE.finditer(raw):
        text = match[0]
        start = match.start() + len(text) - len(text.lstrip())
        end = match.start() + len(text.rstrip())
        if start >= end:
            continue
        loose_box(text_page, index(start), at_first)
        loose_box(text_page, index(end - 1), at_last)
        a = frame.seen(min(first.left, last.left), min(first.bottom, last.bottom))
        b = frame.seen(max(first.right, last.right), max(first.top, last.top))
        lines.append(
            Line(start, end, min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
        )
    return lines
