"""Headings by their type: larger than the text, or bold and numbered.

Used where a file has no outline. Slow to call a line a heading: a wrong one would stand
over every passage that follows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag.ingestion.pdf.lines import TextLine
from rag.text.language import is_cjk
from rag.types.documents import Heading

_LARGER = 1.15  # times the size of the text
_TITLE = 1.3
_LONGEST = 120
_LEVELS = 3
_MOST_LINES = 3  # of one heading
_MOST_SHARE = 0.1  # of all lines; more are no headings
_FEWEST_LINES = 20  # less cannot tell what the size of the text is
_LETTERS = re.compile(r"[^\W\d_]")
_NUMBERED = re.compile(
    r"(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?|[A-Z]\.|第[\d一二三四五六七八九十百]+[章节篇部条]"
    r"|(?i:chapter|part|item|article|section|appendix|annex)\s+[\dIVXA-Z]+[.:]?)\s*[^\W\d_]"
)
_ENDS_A_SENTENCE = re.compile(r"[.,;:。，；：、-]$")


@dataclass(frozen=True, slots=True)
class SetLine:
    """A line as it is set; ``text`` with single spaces."""

    page: int
    text: str
    line: TextLine
    bold: bool


def headings_by_type(lines: Sequence[SetLine]) -> tuple[Heading, ...]:
    """Return the headings among a document's lines, in reading order."""
    body = _body_size(lines)
    if body is None:
        return ()
    found = [line for line in lines if _is_heading(line, body)]
    if not found or len(found) > _MOST_SHARE * len(lines):
        return ()
    sizes = sorted({_step(line.line.size) for line in found}, reverse=True)
    levels = {size: min(level, _LEVELS - 1) for level, size in enumerate(sizes)}
    groups: list[list[SetLine]] = []
    for line in found:
        if groups and _goes_on(groups[-1][-1], line):
            groups[-1].append(line)
        else:
            groups.append([line])
    return tuple(
        Heading(levels[_step(group[0].line.size)], _joined(group), group[0].page)
        for group in groups
        if len(group) <= _MOST_LINES and len(_joined(group)) <= _LONGEST
    )


def largest_text(lines: Sequence[SetLine]) -> str:
    """Return what is set largest on the first page, if it stands out; else ""."""
    first = [line for line in lines if line.page == 1 and line.line.upright]
    named = [line for line in first if len(_LETTERS.findall(line.text)) >= 2]  # noqa: PLR2004
    body = _body_size(lines, fewest=1)
    if not named or body is None:
        return ""
    largest = max(line.line.size for line in named)
    if largest < _TITLE * body:
        return ""
    title: list[SetLine] = []
    for line in named:
        if line.line.size >= 0.95 * largest and (not title or _goes_on(title[-1], line)):
            title.append(line)
    text = _joined(title)
    return text if len(text) <= _LONGEST else ""


def _joined(lines: Sequence[SetLine]) -> str:
    """Return a heading's lines as one; between Chinese characters stands no space."""
    text = lines[0].text
    for line in lines[1:]:
        tight = is_cjk(text[-1]) and is_cjk(line.text[0])
        text += line.text if tight else f" {line.text}"
    return text


def _body_size(lines: Sequence[SetLine], *, fewest: int = _FEWEST_LINES) -> float | None:
    """Return the size in which most characters are set."""
    if len(lines) < fewest:
        return None
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[_step(line.line.size)] += len(line.text)
    return sizes.most_common(1)[0][0] or None


def _step(size: float) -> float:
    return round(size * 2) / 2


def _is_heading(line: SetLine, body: float) -> bool:
    text = line.text
    if not 2 <= len(text) <= _LONGEST or not line.line.upright:  # noqa: PLR2004
        return False
    letters = len(_LETTERS.findall(text))
    if letters < 2 or letters < len(text) / 3 or _ENDS_A_SENTENCE.search(text):  # noqa: PLR2004
        return False
    size = line.line.size
    if size >= _LARGER * body:
        return True
    return line.bold and size >= 0.97 * body and bool(_NUMBERED.match(text))


def _goes_on(before: SetLine, after: SetLine) -> bool:
    """Tell whether ``after`` is the next line of the same heading."""
    size = before.line.size
    return (
        before.page == after.page
        and abs(size - after.line.size) < 0.1 * size
        and -0.5 * size <= after.line.y0 - before.line.y1 <= size
        and not _NUMBERED.match(after.text)
    )
