"""Reads the guide's source: a small part of Markdown, into blocks.

Known: ``#`` to ``###`` headings, paragraphs, ``|`` tables (with an optional comment
``<!-- widths 1 2 -->`` before them), fenced ``sh`` commands and fenced ``figure NAME``
drawings whose lines are fields parted by ``|``. Anything else is a paragraph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = "```"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the guide's title, 2 and 3 go into the outline."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text with ``code`` between backticks."""

    text: str


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines to type, one below the other."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; the first row is its head. ``widths`` are shares of the line."""

    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and its words, one tuple of fields a line."""

    name: str
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Commands | Grid | Figure


def read_source(path: Path) -> list[Block]:
    """Return the blocks of a source file in order.

    Raises:
        ValueError: a fence is not closed, or a table's rows differ in length.
    """
    return list(_blocks(path.read_text("utf-8").splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    widths: tuple[float, ...] = ()
    at = 0
    while at < len(lines):
        line = lines[at].rstrip()
        if line.startswith("<!-- widths"):
            widths = tuple(float(number) for number in line.split()[2:-1])
            at += 1
        elif line.startswith(FENCE):
            end = lines.index(FENCE, at + 1)
            yield _fenced(line.removeprefix(FENCE), lines[at + 1 : end])
            at = end + 1
        elif line.startswith("|"):
            end = next(
                (i for i in range(at, len(lines)) if not lines[i].startswith("|")), len(lines)
            )
            yield _grid(lines[at:end], widths=widths)
            widths, at = (), end
        else:
            if line.startswith("#"):
                marks, _, text = line.partition(" ")
                yield Heading(len(marks), text)
            elif line:
                yield Paragraph(line)
            at += 1


def _fenced(kind: str, lines: list[str]) -> Block:
    if kind.startswith("figure "):
        return Figure(kind.removeprefix("figure "), tuple(_fields(line) for line in lines))
    return Commands(tuple(lines))


def _grid(lines: list[str], *, widths: tuple[float, ...]) -> Grid:
    rows = tuple(_fields(line.strip("| ")) for n, line in enumerate(lines) if n != 1)
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"rows of different lengths in the table that begins {lines[0]!r}")
    return Grid(rows, widths or (1.0,) * len(rows[0]))


def _fields(line: str) -> tuple[str, ...]:
    return tuple(field.strip() for field in line.split("|"))
