"""An answer as HTML: its little markup, and each sentence tied to what supports it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.types.answers import Sentence
from ui.markup import Block, InlineRun, blocks
from ui.render import render


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


def answer_html(text: str, sentences: Sequence[DrawnSentence] = ()) -> str:
    """Return ``text`` as HTML, all of it escaped, its sentences wrapped and marked."""
    return render("answer", "en", **answer_values(text, sentences))


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
