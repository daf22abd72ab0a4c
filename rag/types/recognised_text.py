"""What text recognition found on a page: the text, and where each piece of it stands.

Offsets are in characters of the page's own text; positions in points from the top left of
the page as shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rag.types.documents import Box, PageState


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    """``text[start:end]`` stands between ``x0`` and ``x1`` on its line."""

    start: int
    end: int
    x0: float
    x1: float


@dataclass(frozen=True, slots=True)
class RecognisedLine:
    """``text[start:end]`` fills this rectangle."""

    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float
    words: tuple[RecognisedWord, ...] = ()  # single characters in Chinese


@dataclass(frozen=True, slots=True)
class RecognisedPage:
    """One page after text recognition. ``reason`` is a key of ``rag/text/reasons.toml``."""

    number: int
    state: PageState  # "ocr", or what the page stays
    reason: str | None
    text: str = ""
    lines: tuple[RecognisedLine, ...] = ()
    engine: str = ""


def span_boxes(
    lines: Sequence[RecognisedLine], *, page: int, start: int, end: int
) -> tuple[Box, ...]:
    """Return one box for each line that ``text[start:end]`` touches, as wide as the span."""
    boxes = []
    for line in lines:
        if line.end <= start or line.start >= end:
            continue
        x0, x1 = line.x0, line.x1
        if start > line.start or end < line.end:
            inside = [w for w in line.words if w.end > start and w.start < end]
            x0 = min((w.x0 for w in inside), default=x0)
            x1 = max((w.x1 for w in inside), default=x1)
        boxes.append(Box(page, x0, line.y0, x1, line.y1))
    return tuple(boxes)


def pack(lines: Sequence[RecognisedLine]) -> str:
    """Return the lines as JSON, a tenth of a point exact."""
    return json.dumps(
        [
            [
                line.start, line.end, *(round(v, 1) for v in (line.x0, line.y0, line.x1, line.y1)),
                [[w.start, w.end, round(w.x0, 1), round(w.x1, 1)] for w in line.words],
            ]
            for line in lines
        ],
        separators=(",", ":"),
    )  # fmt: skip


@lru_cache(maxsize=64)
def unpack(packed: str) -> tuple[RecognisedLine, ...]:
    """Return what was packed.

    >>> line = RecognisedLine(0, 2, 10.0, 20.0, 30.0, 32.5, (RecognisedWord(0, 2, 10.0, 30.0),))
    >>> unpack(pack([line])) == (line,)
    True
    """
    return tuple(
        RecognisedLine(start, end, x0, y0, x1, y1, tuple(RecognisedWord(*word) for word in words))
        for start, end, x0, y0, x1, y1, words in json.loads(packed)
    )
