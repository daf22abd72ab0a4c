"""From recognised lines to a page's text, in the order in which a person reads it, and back.

Text recognition gives lines from top to bottom, straight across columns. Here the page is
cut at gutters: a gutter is a strip that next to no line crosses, with text that fills its
column on both sides. Lines that cross it (titles, wide figures) part the page into bands. A
table has gaps as well, but short entries beside them: its rows stay rows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rag.ingestion.pdf.text_quality import garbled_share
from rag.types.recognised_text import RecognisedLine, RecognisedWord

_FEWEST = 3  # lines a column has at least
_CROSSING = 0.2  # of the lines may cross a gutter
_FILLED = 0.55  # of its width a column's median row fills; the cells of a table do not
_NARROWEST = 0.2  # of the text's width a column takes at least; one of figures does not
_SAME_ROW = 0.5  # of the lower one's height two lines of one row share
_PARAGRAPH = 0.9  # of a line's height left blank ends a paragraph
_LEAST_LETTERS = 0.25
"""Letters and digits of a page's lines for each time that a line is longer than high. Pages of
prose, tables and contents, Chinese and English, have 1.2 to 2.4; what cannot be read leaves a
stop here and there, below .05 (docs/decisions.md)."""
_LONG = 2.0  # shorter lines say little
_POOR_SCRIPT = ("GREEK",)
"""In the model's list of characters, and yet mostly misread (docs/decisions.md)."""
_MOST_POOR = 0.3  # of the letters; formulas have fewer


@dataclass(frozen=True, slots=True)
class Placed:
    """A rectangle that holds text."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


Row = list[int]
"""Indices of what stands side by side, from left to right."""

Piece = tuple[Placed, Sequence[tuple[str, tuple[float, float]]]]
"""A line, and its words with their left and right ends; all in points."""


def page_of(pieces: Sequence[Piece]) -> tuple[str, tuple[RecognisedLine, ...]]:
    """Return the page's text in reading order, and its lines with their offsets."""
    places = [place for place, _ in pieces]
    parts: list[str] = []
    lines: list[RecognisedLine] = []
    at = 0
    for block in reading_order(places):
        for row in block:
            for i in row:
                place = places[i]
                lines.append(
                    RecognisedLine(
                        at, at + len(place.text), place.x0, place.y0, place.x1, place.y1,
                        _words(place.text, pieces[i][1], at),
                    )
                )  # fmt: skip
                border = " " if i != row[-1] else "\n" if row is not block[-1] else "\n\n"
                parts.append(place.text + border)
                at += len(parts[-1])
    return "".join(parts).rstrip(), tuple(lines)


def _words(
    text: str, found: Sequence[tuple[str, tuple[float, float]]], offset: int
) -> tuple[RecognisedWord, ...]:
    words = []
    at = 0
    for word, (x0, x1) in found:
        start = text.find(word, at)
        if start < 0 or not word:
            continue
        at = start + len(word)
        words.append(RecognisedWord(offset + start, offset + at, x0, x1))
    return tuple(words)


def plausible(text: str) -> float:
    """Return about how many letters and digits of the text can be believed."""
    return sum(map(str.isalnum, text)) * (1 - garbled_share(text))


def knows_script(lines: Sequence[tuple[str, float]]) -> bool:
    """Tell whether recognition knows the letters of a page.

    ``lines`` holds what was read in each line that was found, and the line's length in
    heights. A script that it does not know gives no text, or a stop here and there.

    >>> knows_script([("", 30.0), (".   .", 28.0)]), knows_script([("The rent is 950", 9.0)])
    (False, True)
    """
    long = [(text, length) for text, length in lines if length >= _LONG]
    letters = [char for text, _ in lines for char in text if char.isalpha()]
    poor = sum(unicodedata.name(char, "").startswith(_POOR_SCRIPT) for char in letters)
    if poor > _MOST_POOR * len(letters):
        return False
    read = sum(char.isalnum() for text, _ in long for char in text)
    return read >= _LEAST_LETTERS * sum(length for _, length in long)


def reading_order(lines: Sequence[Placed]) -> list[list[Row]]:
    """Return blocks of rows: the page's lines, by index, as they are read."""
    return _blocks(lines, list(range(len(lines))))


def _blocks(lines: Sequence[Placed], chosen: list[int]) -> list[list[Row]]:
    gutter = _gutter(lines, chosen)
    if gutter is None:
        return _paragraphs(lines, _rows(lines, chosen))
    blocks: list[list[Row]] = []
    left: list[int] = []
    right: list[int] = []

    def columns() -> None:
        for column in (left, right):
            if column:
                blocks.extend(_blocks(lines, list(column)))
                column.clear()

    for i in sorted(chosen, key=lambda i: lines[i].y0):
        if lines[i].x1 <= gutter:
            left.append(i)
        elif lines[i].x0 >= gutter:
            right.append(i)
        else:
            columns()
            blocks.append([[i]])
    columns()
    return blocks


def _gutter(lines: Sequence[Placed], chosen: Sequence[int]) -> float | None:
    """Return the middle of the best gutter; ``None`` if the lines are one column."""
    if len(chosen) < 2 * _FEWEST:
        return None
    left, right = min(lines[i].x0 for i in chosen), max(lines[i].x1 for i in chosen)
    best: tuple[int, float, float] | None = None
    edges = sorted({lines[i].x1 for i in chosen})
    for edge in edges:
        if not left + 0.15 * (right - left) < edge < right - 0.15 * (right - left):
            continue
        beyond = [lines[i].x0 for i in chosen if lines[i].x0 >= edge]
        if not beyond:
            continue
        x = (edge + min(beyond)) / 2
        crossing = sum(lines[i].x0 < x < lines[i].x1 for i in chosen)
        score = (-crossing, min(beyond) - edge, x)
        if (best is None or score > best) and _parts(lines, chosen, x, crossing):
            best = score
    return best[2] if best else None


def _parts(lines: Sequence[Placed], chosen: Sequence[int], x: float, crossing: int) -> bool:
    """Return whether there is a column of text on each side of ``x``."""
    if crossing > _CROSSING * len(chosen):
        return False
    sides = [i for i in chosen if lines[i].x1 <= x], [i for i in chosen if lines[i].x0 >= x]
    if min(map(len, sides)) < _FEWEST:
        return False
    left, right = ([lines[i] for i in side] for side in sides)
    if min(_width(left), _width(right)) < _NARROWEST * _width([lines[i] for i in chosen]):
        return False
    shared = min(_bottom(left), _bottom(right)) - max(_top(left), _top(right))
    return shared > 0 and all(_filled(lines, side) for side in sides)


def _filled(lines: Sequence[Placed], side: Sequence[int]) -> bool:
    width = _width([lines[i] for i in side])
    rows = _rows(lines, side)
    return median(sum(lines[i].x1 - lines[i].x0 for i in row) for row in rows) >= _FILLED * width


def _width(column: Sequence[Placed]) -> float:
    return max(line.x1 for line in column) - min(line.x0 for line in column)


def _top(column: Sequence[Placed]) -> float:
    return min(line.y0 for line in column)


def _bottom(column: Sequence[Placed]) -> float:
    return max(line.y1 for line in column)


def _rows(lines: Sequence[Placed], chosen: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for i in sorted(chosen, key=lambda i: lines[i].y0 + lines[i].y1):
        last = lines[rows[-1][-1]] if rows else None
        if last is not None and _beside(last, lines[i]):
            rows[-1].append(i)
        else:
            rows.append([i])
    return [sorted(row, key=lambda i: lines[i].x0) for row in rows]


def _beside(one: Placed, other: Placed) -> bool:
    shared = min(one.y1, other.y1) - max(one.y0, other.y0)
    return shared > _SAME_ROW * min(one.y1 - one.y0, other.y1 - other.y0)


def _paragraphs(lines: Sequence[Placed], rows: Sequence[Row]) -> list[list[Row]]:
    blocks: list[list[Row]] = []
    height = median([line.y1 - line.y0 for line in lines]) if lines else 0.0
    bottom = 0.0
    for row in rows:
        top = min(lines[i].y0 for i in row)
        if blocks and top - bottom < _PARAGRAPH * height:
            blocks[-1].append(row)
        else:
            blocks.append([row])
        bottom = max(lines[i].y1 for i in row)
    return blocks
