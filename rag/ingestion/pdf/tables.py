"""Finds tables in a page's text by the look of their lines.

PDFium gives a table as lines: a label, then its cells. Once a table is cut into passages, a
row alone says neither which year its cells are of nor what is counted; so its caption and
header row go with every passage that begins inside the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Whatever a cell is, it can be read in one way only, and begins and ends without white space:
# a row that could be cut in two ways at each cell takes longer than anybody waits to be refused.
_BEFORE_DIGITS = (  # $ (1; -$1; ( $1
    r"(?:[$€£¥]\s{0,2}(?:[-–—(]\s?(?:[$€£¥]\s?)?)?|[-–—](?:[$€£¥]\s?)?|\(\s?(?:[$€£¥]\s?)?)?"
)
_CELL = rf"{_BEFORE_DIGITS}\d[\d,]*(?:\.\d+)?(?:\s?(?:%\)?|\)%?))?|[-–—]|[Nn]/[AaMm]"
_NUMERIC_ROW = re.compile(rf"(?:^|\s)(?:{_CELL})\s+(?:{_CELL})$")  # the last two cells
_ONE_CELL = re.compile(rf"\S.*\s(?:{_CELL})$")
_YEAR = (  # a column's date: 2018, FY2018, Q2 2018, June 30, 2018, 2018年12月31日
    r"(?:(?:FY|Q[1-4]|[A-Z][a-z]+\.?\s+\d{1,2},?)\s?)?(?:19|20)\d\d"
    r"(?:[AE]|年(?:度|\d{1,2}月(?:\d{1,2}日)?)?|财年)?"
)
_YEARS = re.compile(rf"(?:^|\s)(?:{_YEAR}[,\s]*){{2,}}$")
_RULE = re.compile(r"[\s|:+=-]*\Z")  # ---|---|--- under a header, if it holds three in a row
_SENTENCE_END = re.compile(r"[.。！？!?；;]$")
_LONGEST_HEADER = 1000  # characters of a line that may be a row of years
_SHORT = 110  # characters of a line that may be a label or a caption
_CAPTION_LINES = 2
_LABELS_ABOVE = 3  # between the header row and the first row: "Assets", "Current assets"
_GAP = 3  # lines without cells in a row that end a table
_LEAST_ROWS = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Offsets of one table: header from ``start``, rows from ``body`` to ``end``."""

    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str

    @property
    def pipes(self) -> int:
        return self.text.count("|")

    @property
    def years(self) -> bool:
        return len(self.text) <= _LONGEST_HEADER and bool(_YEARS.search(self.text))

    @property
    def row(self) -> bool:
        if self.pipes >= 2:  # noqa: PLR2004 - two borders make three cells
            return True
        return bool(_NUMERIC_ROW.search(self.text)) and not self.years

    @property
    def weak(self) -> bool:
        """A row with one cell: it goes on with a table, but begins none."""
        return len(self.text) <= _SHORT and bool(_ONE_CELL.match(self.text))

    @property
    def label(self) -> bool:
        return len(self.text) <= _SHORT and not _SENTENCE_END.search(self.text)


def find_tables(text: str) -> list[Table]:
    """Return the tables of ``text`` in order; they do not overlap."""
    lines = list(_lines(text))
    found: list[Table] = []
    at = floor = 0
    while at < len(lines):
        if not lines[at].row:
            at += 1
            continue
        end, rows = _run(lines, at)
        first = _header(lines, at, floor)
        body = at + _pipe_header(lines, at)
        if rows >= _LEAST_ROWS and body < end and first < body:
            found.append(Table(lines[first].start, lines[body].start, lines[end - 1].end))
        at = floor = end
    return found


def _lines(text: str) -> Iterator[_Line]:
    at = 0
    for line in text.split("\n"):
        if line.strip():
            yield _Line(at, at + len(line), line.strip())
        at += len(line) + 1


def _run(lines: Sequence[_Line], at: int) -> tuple[int, int]:
    """Return the line after a table that begins at ``at``, and its number of rows."""
    end, rows, gap = at, 0, 0
    for index in range(at, len(lines)):
        line = lines[index]
        if line.row:
            rows += 1
        elif line.years and rows:
            break  # the header of the next table
        elif not line.weak:
            gap += 1
            if gap >= _GAP or not line.label:
                break
            continue
        end, gap = index + 1, 0
    return end, rows


def _header(lines: Sequence[_Line], at: int, floor: int) -> int:
    """Return the first of the short lines above ``at`` that name the table and its columns."""
    row = at  # of the years or dates over the columns, if there is one
    for index in range(at - 1, max(floor, at - 1 - _LABELS_ABOVE) - 1, -1):
        if lines[index].years:
            row = index
            break
    first = row
    while first > max(floor, row - _CAPTION_LINES - (row < at)) and _captions(lines[first - 1]):
        first -= 1
    return first


def _captions(line: _Line) -> bool:
    return line.label or (len(line.text) <= _SHORT and line.text.endswith((":", "：")))


def _pipe_header(lines: Sequence[_Line], at: int) -> int:
    """Return how many of a table's own first lines are its header."""
    if not lines[at].pipes:
        return 0
    below = lines[at + 1].text if at + 1 < len(lines) else ""
    return 2 if "---" in below and _RULE.match(below) else 1
