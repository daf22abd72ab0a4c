"""The order in which a person reads the lines of a page, one column or two.

PDF files mostly list their text in reading order already, and PDFium keeps it. The order is
changed only where geometry says plainly that it is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np

from rag.ingestion.pdf.lines import TextLine

_GUTTER_PT = 6
_COLUMN_LINES = 6  # fewest lines of a column
_COLUMN_CHARS = 12  # mean characters of a column's line: less is a table
_COLUMN_SHARE = 0.6  # of a column's lines begin at its edge, and as many nearly reach the other
_FULL_LINE = 0.8  # of the column's width
_EDGE_PT = 3
_COLUMN_INK = 0.5  # of the column's height: the cells of a table leave more white
_SMALL = 0.8  # of the page's common size of type: superscripts, which belong to no line
_SHORT = 8  # characters; less is a label or a cell, and stays where it is
_CROSSING = 0.25  # most lines that may cross the gutter, of all
_MOST_LINES = 600  # of a page; a table of tiny print is left as it is


def reading_order(lines: Sequence[TextLine]) -> list[int]:
    """Return the places of ``lines`` in the order in which they are read."""
    if not 2 <= len(lines) <= _MOST_LINES:  # noqa: PLR2004
        return list(range(len(lines)))
    boxes = np.array([(line.x0, line.y0, line.x1, line.y1) for line in lines])
    lengths = np.array([line.end - line.start for line in lines])
    upright = np.array([line.upright for line in lines])
    gutter = _gutter(boxes[upright], lengths[upright])
    if gutter is not None:
        order = _by_columns(boxes, gutter)
        if order is not None:
            return order
    sizes = boxes[:, 3] - boxes[:, 1]
    settled = upright & (lengths >= _SHORT) & (sizes >= _SMALL * np.median(sizes))
    return _from_above(boxes, settled)


def _gutter(boxes: np.ndarray, lengths: np.ndarray) -> float | None:
    """Return where the white between two columns of prose stands, if there are two."""
    if len(boxes) < 2 * _COLUMN_LINES:
        return None
    left, right = boxes[:, 0].min(), boxes[:, 2].max()
    starts = np.sort(np.unique(np.round(boxes[:, 0])))
    for x in starts[
        (starts > left + 0.35 * (right - left)) & (starts < left + 0.65 * (right - left))
    ]:
        gutter = float(x) - _GUTTER_PT / 2 - 1
        before = boxes[:, 2] <= gutter
        after = boxes[:, 0] >= gutter
        if (~(before | after)).sum() > _CROSSING * len(boxes):
            continue
        if _is_column(boxes[before], lengths[before]) and _is_column(boxes[after], lengths[after]):
            return gutter
    return None


def _is_column(boxes: np.ndarray, lengths: np.ndarray) -> bool:
    """Tell whether these lines are prose, set one below the other to a common width."""
    if len(boxes) < _COLUMN_LINES or lengths.mean() < _COLUMN_CHARS:
        return False
    x0, y0, x1, y1 = boxes.T
    left = np.median(x0)
    width = np.quantile(x1, 0.9) - left
    at_edge = np.abs(x0 - left) <= _EDGE_PT
    full = x1 - x0 >= _FULL_LINE * width
    ink = (y1 - y0).sum() / max(y1.max() - y0.min(), 1.0)
    return bool(min(at_edge.mean(), full.mean()) >= _COLUMN_SHARE and ink >= _COLUMN_INK)


def _by_columns(boxes: np.ndarray, gutter: float) -> list[int] | None:
    """Return left column before right column between lines that cross; None if it is so."""
    sides = np.where(boxes[:, 2] <= gutter, 0, np.where(boxes[:, 0] >= gutter, 1, -1))
    crossing = np.sort(boxes[sides == -1, 1])
    bands = np.searchsorted(crossing, boxes[:, 1], side="right")
    switches = sum(a != b for a, b in pairwise(s for s in sides.tolist() if s >= 0))
    if switches <= 2 * (len(set(bands.tolist())) + 1):
        return None
    # a crossing line opens its band: it stands before the columns below it
    keys = zip(
        bands.tolist(), (sides >= 0).tolist(), sides.tolist(), boxes[:, 1].tolist(), strict=True
    )
    return [index for index, _ in sorted(enumerate(keys), key=lambda item: item[1])]


def _from_above(boxes: np.ndarray, settled: np.ndarray) -> list[int]:
    """Return the given order, save that what stands above another line comes before it."""
    x0, y0, x1, y1 = boxes.T
    slack = 0.3 * np.minimum((y1 - y0)[:, None], (y1 - y0)[None, :])
    above = y1[:, None] <= y0[None, :] + slack
    overlap = np.minimum(x1[:, None], x1[None, :]) - np.maximum(x0[:, None], x0[None, :])
    shared = overlap > 0.2 * np.minimum((x1 - x0)[:, None], (x1 - x0)[None, :])
    before = above & shared & settled[:, None] & settled[None, :] & (y1 > y0)[:, None]
    if not np.tril(before, -1).any():  # nobody comes after one that it should precede
        return list(range(len(boxes)))
    np.fill_diagonal(before, val=False)
    return _stable(before & ~before.T)


def _stable(before: np.ndarray) -> list[int]:
    """Sort so that ``before`` holds, keeping the given order where it says nothing."""
    waiting = before.sum(axis=0)
    ready = [int(i) for i in np.flatnonzero(waiting == 0)]
    heapify(ready)
    order: list[int] = []
    while ready:
        index = heappop(ready)
        order.append(index)
        waiting[before[index]] -= 1
        for follower in np.flatnonzero(before[index]):
            if waiting[follower] == 0:
                heappush(ready, int(follower))
    return order if len(order) == len(before) else list(range(len(before)))
