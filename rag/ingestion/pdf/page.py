"""One page through PDFium: its characters, its lines in reading order, and the verdict.

What depends on the whole document, such as running headers, comes later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from rag.ingestion.pdf import pdfium as fast
from rag.ingestion.pdf.lines import (
    CharIndex,
    Frame,
    Piece,
    PieceReader,
    TextLine,
    find_lines,
    hidden_pieces,
    is_bold,
)
from rag.ingestion.pdf.reading_order import reading_order
from rag.ingestion.pdf.text_quality import verdict
from rag.types.documents import PageState


@dataclass(frozen=True, slots=True)
class DraftPage:
    """A page as PDFium gave it, before the document as a whole is known."""

    number: int
    label: str
    width: float
    height: float
    state: PageState
    reason: str | None
    raw: str
    lines: Sequence[TextLine] = ()
    order: Sequence[int] = ()  # of the lines, as they are read
    hidden: frozenset[int] = frozenset()  # places in ``raw`` that nobody sees
    bold: tuple[bool, ...] = ()  # for each line

    def text(self, index: int) -> str:
        """Return what a line says."""
        return self.raw[self.lines[index].start : self.lines[index].end]


def read_page(page: pypdfium2.PdfPage, number: int, *, label: str) -> DraftPage:
    """Return what PDFium says of an open page.

    Raises:
        PdfiumError: the page has no text that can be loaded.
    """
    width, height = page.get_size()
    with closing(page.get_textpage()) as text_page:
        raw = text_page.get_text_range()
        if not raw.strip():
            reason = "no_text" if pdfium.FPDFPage_CountObjects(page) else "blank"
            return DraftPage(number, label, width, height, "empty", reason, raw)
        return _with_text(page, text_page, raw, number, label)


def _with_text(
    page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage, raw: str, number: int, label: str
) -> DraftPage:
    frame = Frame.of(page)
    handle = fast.handle(text_page)
    index = CharIndex(handle, raw, count=text_page.count_chars())
    lines = find_lines(handle, raw, index, frame)
    pieces = PieceReader(handle, raw, index).pieces(lines)
    unseen = hidden_pieces(page, pieces, lines, frame)
    hidden = frozenset(place for piece in unseen for place in range(piece.start, piece.end))
    state, reason = _judge(raw, pieces, hidden)
    if state == "text" and hidden:
        reason = f"hidden:{len(hidden)}"
    return DraftPage(
        number, label, frame.width, frame.height, state, reason,
        raw, lines, reading_order(lines), hidden, _bold(lines, pieces),
    )  # fmt: skip


def _judge(
    raw: str, pieces: Sequence[Piece], hidden: frozenset[int]
) -> tuple[PageState, str | None]:
    seen = [piece for piece in pieces if piece.start not in hidden]
    if not seen:
        return "empty", "only_hidden"
    fonts: dict[int, list[str]] = defaultdict(list)
    for piece in seen:
        fonts[piece.style.font].append(raw[piece.start : piece.end])
    parts = [hyphens(" ".join(words)) for words in fonts.values()]
    return verdict(" ".join(parts), parts=parts)


def hyphens(raw: str) -> str:
    """Return what PDFium gives with its marks for hyphens as hyphens."""
    return raw.replace("\ufffe", "-").replace("\x02", "-")


def _bold(lines: Sequence[TextLine], pieces: Sequence[Piece]) -> tuple[bool, ...]:
    known: dict[int, bool] = {}
    first = {piece.start: piece.style.font for piece in pieces}
    found = []
    for line in lines:
        font = first.get(line.start, 0)
        if font not in known:
            known[font] = is_bold(font)
        found.append(known[font])
    return tuple(found)
