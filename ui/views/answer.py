"""An answer as HTML: its little markup, and each sentence tied to what supports it.

The markup is paragraphs, line breaks, lists, headings, tables, ``code``, fenced code and
**bold**; nothing else has a meaning, so that a link, an image or a tag stays the text it is.
Every run keeps the place it came from, which is how sentences find their words again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from rag.types.answers import Sentence


@dataclass(frozen=True, slots=True)
class Mark:
    """A superscript after a sentence; ``number`` is that of its passage, 0 where there is none."""

    number: int
    title: str


@dataclass(frozen=True, slots=True)
class DrawnSentence:
    """A sentence, where its evidence stands, and the marks that follow it."""

    sentence: Sentence
    places: Sequence[Mapping[str, object]] = ()
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """What of a cell lies in one sentence, or in none: ``(style, words)``, piece by piece."""

    sentence: int | None
    pieces: Sequence[tuple[str, str]]
    last: bool = False  # the sentence ends here


@dataclass(frozen=True, slots=True)
class DrawnBlock:
    """A block whose cells are cut into parts."""

    number: int
    cells: Sequence[Sequence[DrawnPart]]


Groups = list[tuple[str, list[DrawnBlock]]]
"""Blocks in order, those of one kind together."""


def answer_values(text: str, sentences: Sequence[DrawnSentence] = ()) -> dict[str, object]:
    """Return what the template ``answer.html`` takes.

    ``sentences`` must be in order and must not overlap; words outside of all of them are
    shown plainly.
    """
    return {"groups": _groups(text, [one.sentence for one in sentences]), "sentences": sentences}


def _groups(text: str, sentences: Sequence[Sentence]) -> Groups:
    cut = _Cut(text, sentences)
    drawn = [(block, [list(cut.pieces(cell)) for cell in block.cells]) for block in blocks(text)]
    ends: dict[int, int] = {}  # sentence -> end of its last visible character
    for piece in (piece for _, cells in drawn for cell in cells for piece in cell):
        if piece.sentence is not None and text[piece.run.start : piece.run.end].strip():
            ends[piece.sentence] = piece.run.end
    return [
        (
            kind,
            [
                DrawnBlock(block.number, [list(_parts(text, cell, ends)) for cell in cells])
                for block, cells in members
            ],
        )
        for kind, members in groupby(drawn, key=_kind)
    ]


def _kind(drawn: tuple[Block, object]) -> str:
    return drawn[0].kind


def _parts(text: str, cell: Sequence[_Piece], ends: Mapping[int, int]) -> Iterator[DrawnPart]:
    """Join the pieces of one sentence; white space alone belongs to none."""
    for sentence, group in groupby(cell, key=lambda piece: piece.sentence):
        runs = [piece.run for piece in group]
        pieces = [(run.style, text[run.start : run.end]) for run in runs]
        if all(style == "plain" and not words.strip() for style, words in pieces):
            yield DrawnPart(None, pieces)
        else:
            last = sentence is not None and ends.get(sentence) in {run.end for run in runs}
            yield DrawnPart(sentence, pieces, last)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run, or the part of one that lies in one sentence."""

    run: InlineRun
    sentence: int | None


class _Cut:
    """Cuts runs where a sentence begins or ends."""

    def __init__(self, text: str, sentences: Sequence[Sentence]) -> None:
        self._text = text
        self._sentences = sentences
        self._starts = [sentence.start for sentence in sentences]

    def pieces(self, cell: Sequence[InlineRun]) -> Iterator[_Piece]:
        for run in cell:
            if run.style == "break":
                yield _Piece(run, self._sentence_at(run.start))
                continue
            here = run.start
            while here < run.end:
                sentence = self._sentence_at(here)
                until = min(run.end, self._until(here, sentence))
                yield _Piece(InlineRun(here, until, run.style), sentence)
                here = until

    def _sentence_at(self, offset: int) -> int | None:
        index = bisect_right(self._starts, offset) - 1
        return index if index >= 0 and offset < self._sentences[index].end else None

    def _until(self, offset: int, sentence: int | None) -> int:
        """Return where the sentence, or the gap between two of them, ends."""
        if sentence is not None:
            return self._sentences[sentence].end
        following = bisect_right(self._starts, offset)
        return self._starts[following] if following < len(self._starts) else len(self._text)


Style = Literal["plain", "bold", "code", "break"]
Kind = Literal["paragraph", "heading", "bullet", "number", "code", "row"]

BULLET = re.compile(r"\s{0,8}(?:[-*+•·▪]\s+)")
NUMBER = re.compile(r"\s{0,8}(?P<n>\d{1,3})(?:[.)]\s+|[、．]\s*)")
HEADING = re.compile(r"#{1,6}\s+")
FENCE = re.compile(r"\s{0,3}```")
ROW = re.compile(r"\s*\|(.+)\|\s*$")
RULE = re.compile(r"\s*\|(?:\s*:?-{2,}:?\s*\|)+\s*$")
INLINE = re.compile(r"`(?P<code>[^`\n]+)`|\*\*(?P<bold>[^*\n]+(?:\*[^*\n]+)*)\*\*")


@dataclass(frozen=True, slots=True)
class InlineRun:
    """Characters ``start:end`` of the answer, shown in one style."""

    start: int
    end: int
    style: Style = "plain"


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, list item, heading, code block or table row.

    ``cells`` holds the runs; everything but a table row has exactly one cell. ``number`` is
    that of a numbered item.
    """

    kind: Kind
    cells: Sequence[list[InlineRun]]
    number: int = 0


def _opened(kind: Kind, number: int = 0) -> Block:
    """Return a block whose only cell grows line by line."""
    return Block(kind, ([],), number)


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of ``text`` in order; no visible character is in two runs."""
    lines = _lines(text)
    open_block: Block | None = None
    index = 0
    while index < len(lines):
        whole = _whole(text, lines, index)
        if whole and open_block:
            yield open_block
            open_block = None
        if whole:
            made, index = whole
            yield from made
            continue
        closed, open_block = _feed(open_block, text, *lines[index])
        if closed:
            yield closed
        index += 1
    if open_block:
        yield open_block


def settled(text: str) -> str:
    """Return ``text`` with the bold or code that is still being written closed.

    >>> settled("Drop **any"), settled("Use `rag"), settled("See **")
    ('Drop **any**', 'Use `rag`', 'See ')
    """
    line = text[text.rfind("\n") + 1 :]
    for marker in ("**", "`"):
        if line.count(marker) % 2:
            return text.removesuffix(marker) if text.endswith(marker) else text + marker
    return text


def _feed(
    before: Block | None, text: str, start: int, end: int
) -> tuple[Block | None, Block | None]:
    """Add one line; return the block it closed and the block that is open now."""
    line = text[start:end]
    closed = before
    if not line.strip():
        return closed, None
    begun = _begin(line, start)
    if begun:
        block, start = begun
    elif before is None or before.kind == "heading":
        block = _opened("paragraph")
    else:
        block, closed = before, None
        block.cells[0].append(InlineRun(start, start, "break"))
    start += len(text[start:end]) - len(text[start:end].lstrip())
    block.cells[0].extend(inline(text, start, end))
    return closed, block


def inline(text: str, start: int, end: int) -> list[InlineRun]:
    """Return the runs of one line, markers left out."""
    runs: list[InlineRun] = []
    here = start
    for match in INLINE.finditer(text, start, end):
        style: Style = "code" if match["code"] else "bold"
        runs += _plain(here, match.start())
        runs.append(InlineRun(*match.span(style), style))
        here = match.end()
    return [*runs, *_plain(here, end)]


def _plain(start: int, end: int) -> list[InlineRun]:
    return [InlineRun(start, end)] if start < end else []


def _lines(text: str) -> list[tuple[int, int]]:
    ends = [match.start() for match in re.finditer("\n", text)]
    return [(a + 1, b) for a, b in pairwise([-1, *ends, len(text)])]


def _begin(line: str, start: int) -> tuple[Block, int] | None:
    """Return the block that ``line`` begins and where its words start; else ``None``."""
    if match := BULLET.match(line):
        return _opened("bullet"), start + match.end()
    if match := NUMBER.match(line):
        return _opened("number", int(match["n"])), start + match.end()
    if match := HEADING.match(line):
        return _opened("heading"), start + match.end()
    return None


def _whole(text: str, lines: list[tuple[int, int]], index: int) -> tuple[list[Block], int] | None:
    """Return the code block or table that begins at line ``index``, and the line after it."""
    first = text[slice(*lines[index])]
    if FENCE.match(first):
        return _code(text, lines, index)
    following = text[slice(*lines[index + 1])] if index + 1 < len(lines) else ""
    if ROW.match(first) and RULE.match(following):
        return _table(text, lines, index)
    return None


def _code(text: str, lines: list[tuple[int, int]], index: int) -> tuple[list[Block], int]:
    last = index + 1  # an answer that is still being written may lack the closing fence
    while last < len(lines) and not FENCE.match(text[slice(*lines[last])]):
        last += 1
    inside = lines[index + 1 : last]
    runs = [InlineRun(inside[0][0], inside[-1][1], "code")] if inside else []
    return [Block("code", (runs,))], last + 1


def _table(text: str, lines: list[tuple[int, int]], index: int) -> tuple[list[Block], int]:
    rows = []
    at = index
    while at < len(lines) and (match := ROW.match(text[slice(*lines[at])])):
        if at != index + 1:
            rows.append(Block("row", [*_cells(text, lines[at][0] + match.start(1), match[1])]))
        at += 1
    return rows, at


def _cells(text: str, start: int, inner: str) -> Iterator[list[InlineRun]]:
    for cell in inner.split("|"):
        lead = len(cell) - len(cell.lstrip())
        yield inline(text, start + lead, start + len(cell.rstrip()))
        start += len(cell) + 1
