"""The order in which a person reads what stands on a page.

Text recognition gives lines from top to bottom, straight across columns. Here the page is
cut at gutters: a gutter is a strip that next to no line crosses, with text that fills its
column on both sides. Lines that cross it (titles, wide figures) part the page into bands. A
table has gaps as well, but short entries beside them: its rows stay rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_FEWEST = 3  # lines a column has at least
_CROSSING = 0.2  # of the lines may cross a gutter
_FILLED = 0.55  # of its width a column's median row fills; the cells of a table do not
_NARROWEST = 0.2  # of the text's width a column takes at least; one of figures does not
_SAME_ROW = 0.5  # of the lower one's height two lines of one row share
_PARAGRAPH = 0.9  # of a line's height left blank ends a paragraph


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
