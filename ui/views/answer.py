"""An answer as HTML: its little markup, and each sentence tied to what supports it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from rag.types.answers import Sentence
from ui.markup import Block, InlineRun, blocks

TAGS = {"bold": "strong", "code": "code"}
ITEMS = {"bullet": "ul", "number": "ol"}

Opening = Callable[[int], str]
"""Gives the opening tag of a sentence, by its index."""
Marks = Callable[[int], str]
"""Gives the superscripts that follow a sentence, by its index."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run, or the part of one that lies in one sentence."""

    run: InlineRun
    sentence: int | None


@dataclass(frozen=True, slots=True)
class _Drawing:
    text: str
    sentences: Sequence[Sentence]
    starts: tuple[int, ...]
    last: dict[int, int]  # sentence -> end of its last visible character
    opening: Opening
    marks: Marks


def answer_html(
    text: str,
    sentences: Sequence[Sentence] = (),
    *,
    opening: Opening = lambda _: '<span class="s">',
    marks: Marks = lambda _: "",
) -> str:
    """Return ``text`` as HTML, all of it escaped, its sentences wrapped and marked.

    ``sentences`` must be in order and must not overlap; words outside of all of them are
    shown plainly.
    """
    parsed = list(blocks(text))
    starts = tuple(sentence.start for sentence in sentences)
    drawing = _Drawing(text, sentences, starts, {}, opening, marks)
    for block in parsed:
        for cell in block.cells:
            for piece in _pieces(drawing, cell):
                if piece.sentence is not None and text[piece.run.start : piece.run.end].strip():
                    drawing.last[piece.sentence] = piece.run.end
    return "".join(_blocks_html(drawing, parsed))


def _blocks_html(drawing: _Drawing, parsed: Sequence[Block]) -> Iterator[str]:
    for kind, group in groupby(parsed, key=lambda block: block.kind):
        members = list(group)
        inner = [[_cell_html(drawing, cell) for cell in block.cells] for block in members]
        if kind in ITEMS:
            yield f"<{ITEMS[kind]}>"
            for block, cells in zip(members, inner, strict=True):
                value = f' value="{block.number}"' if kind == "number" else ""
                yield f"<li{value}>{cells[0]}</li>"
            yield f"</{ITEMS[kind]}>"
        elif kind == "row":
            head, *rows = ("".join(f"<td>{cell}</td>" for cell in cells) for cells in inner)
            body = "".join(f"<tr>{row}</tr>" for row in rows)
            head = head.replace("<td>", "<th>").replace("</td>", "</th>")
            yield f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'
        else:
            tag = {"code": "pre", "heading": "h4"}.get(kind, "p")
            yield from (f"<{tag}>{cells[0]}</{tag}>" for cells in inner)


def _cell_html(drawing: _Drawing, cell: Sequence[InlineRun]) -> str:
    parts = []
    for sentence, group in groupby(_pieces(drawing, cell), key=lambda piece: piece.sentence):
        pieces = list(group)
        words = "".join(_piece_html(drawing, piece) for piece in pieces)
        if sentence is None or not words.strip():
            parts.append(words)
            continue
        parts.append(f"{drawing.opening(sentence)}{words}</span>")
        if drawing.last.get(sentence) in {piece.run.end for piece in pieces}:
            parts.append(drawing.marks(sentence))
    return "".join(parts)


def _piece_html(drawing: _Drawing, piece: _Piece) -> str:
    run = piece.run
    if run.style == "break":
        return "<br>"
    words = escape(drawing.text[run.start : run.end], quote=True)
    tag = TAGS.get(run.style)
    return f"<{tag}>{words}</{tag}>" if tag else words


def _pieces(drawing: _Drawing, cell: Sequence[InlineRun]) -> Iterator[_Piece]:
    """Cut runs where a sentence begins or ends."""
    for run in cell:
        if run.style == "break":
            yield _Piece(run, _sentence_at(drawing, run.start))
            continue
        here = run.start
        while here < run.end:
            sentence = _sentence_at(drawing, here)
            until = min(run.end, _until(drawing, here, sentence))
            yield _Piece(InlineRun(here, until, run.style), sentence)
            here = until


def _sentence_at(drawing: _Drawing, offset: int) -> int | None:
    index = bisect_right(drawing.starts, offset) - 1
    return index if index >= 0 and offset < drawing.sentences[index].end else None


def _until(drawing: _Drawing, offset: int, sentence: int | None) -> int:
    """Return where the sentence, or the gap between two of them, ends."""
    if sentence is not None:
        return drawing.sentences[sentence].end
    following = bisect_right(drawing.starts, offset)
    return drawing.starts[following] if following < len(drawing.starts) else len(drawing.text)
