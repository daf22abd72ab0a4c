"""From recognised lines to a page's text, and back to where each word stands."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rag.ingestion.ocr.reading_order import Placed, reading_order
from rag.ingestion.pdf.text_quality import garbled_share
from rag.types.recognised_text import RecognisedLine, RecognisedWord

_LEAST_LETTERS = 0.25
"""Letters and digits of a page's lines for each time that a line is longer than high. Pages of
prose, tables and contents, Chinese and English, have 1.2 to 2.4; what cannot be read leaves a
stop here and there, below .05 (docs/decisions.md)."""
_LONG = 2.0  # shorter lines say little
_POOR_SCRIPT = ("GREEK",)
"""In the model's list of characters, and yet mostly misread (docs/decisions.md)."""
_MOST_POOR = 0.3  # of the letters; formulas have fewer

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
