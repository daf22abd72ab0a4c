"""The lines of a page as PDFium gives them: which characters, where, in which type.

Knows geometry only; what a line means is decided elsewhere. Two boxes a line are asked for,
of its first and its last character, because asking costs time.

Hidden text is drawn with render mode 3, in white on white, or under two points. Text over a
scan that carries nothing else readable is its OCR layer, and stays.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from rag.ingestion.pdf import pdfium as fast
from rag.ingestion.pdf.pdfium import char_index, loose_box

# PDFium puts a mark for a hyphen that it takes for a break, and no line end after it
_LINE = re.compile("[^\r\n\ufffe\x02]*[\ufffe\x02]|[^\r\n\ufffe\x02]+")


@dataclass(frozen=True, slots=True)
class TextLine:
    """``raw[start:end]``; the box is in points from the top left of the page as seen."""

    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def size(self) -> float:
        """Height of the line's box, in points: the size of its type."""
        return self.y1 - self.y0

    @property
    def upright(self) -> bool:
        """Whether the text runs from left to right."""
        return self.x1 - self.x0 >= self.size / 3 or self.end - self.start < 3  # noqa: PLR2004


class CharIndex:
    """Turns an index into what PDFium returned into PDFium's own number of the character."""

    def __init__(self, text_page: int, raw: str, *, count: int) -> None:
        """``count`` is PDFium's number of characters; most often the two agree throughout."""
        self._page = text_page
        wide = not raw.isascii() and max(raw) > "\uffff"
        self._units = (
            list(accumulate((2 if c > "\uffff" else 1 for c in raw), initial=0)) if wide else None
        )
        self._same = not wide and count == len(raw)

    def __call__(self, index: int) -> int:
        """Return the number of the character at ``index``."""
        if self._same:
            return index
        return int(char_index(self._page, self._units[index] if self._units else index))


@dataclass(frozen=True, slots=True)
class Frame:
    """The page's own box and turn: from PDF coordinates to the page as seen."""

    left: float
    bottom: float
    width: float  # as seen
    height: float
    turns: int  # quarter turns clockwise

    @classmethod
    def of(cls, page: pypdfium2.PdfPage) -> Frame:
        """Return the frame of an open page."""
        left, bottom, _, _ = page.get_bbox()
        width, height = page.get_size()
        return cls(left, bottom, width, height, page.get_rotation() // 90)

    def seen(self, x: float, y: float) -> tuple[float, float]:
        """Return the point in points from the top left of the page as seen."""
        x, y = x - self.left, y - self.bottom
        return (
            (x, self.height - y),
            (y, x),
            (self.width - x, y),
            (self.width - y, self.height - x),
        )[self.turns]


def find_lines(text_page: int, raw: str, index: CharIndex, frame: Frame) -> list[TextLine]:
    """Return the page's lines in PDFium's order, without those that are blank."""
    lines: list[TextLine] = []
    first, last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    at_first, at_last = ctypes.addressof(first), ctypes.addressof(last)
    for match in _LINE.finditer(raw):
        text = match[0]
        start = match.start() + len(text) - len(text.lstrip())
        end = match.start() + len(text.rstrip())
        if start >= end:
            continue
        loose_box(text_page, index(start), at_first)
        loose_box(text_page, index(end - 1), at_last)
        a = frame.seen(min(first.left, last.left), min(first.bottom, last.bottom))
        b = frame.seen(max(first.right, last.right), max(first.top, last.top))
        lines.append(
            TextLine(start, end, min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
        )
    return lines


# A piece lies in one text object, as good as always: a word, or some Chinese characters.
_PIECE = re.compile(r"\S{1,16}")
_EVERY = 12  # pieces; each question costs time
_INVISIBLE = 3  # text render mode: neither filled nor stroked
_WHITE = 250  # of 255, each of red, green and blue
_CONTRAST = 12  # of 255: less is the same colour
_TINY_PT = 2.0
_OCR_LAYER_VISIBLE = 0.2  # share of visible characters, a stamp at most, beside an OCR layer
_SCAN_AREA = 0.4  # of the page
_LARGEST_PICTURE = 1600  # pixels; more is not needed to see a word
_BOLD = 600


@dataclass(frozen=True, slots=True)
class Style:
    """How one text object is drawn."""

    font: int  # a number, the same for the same font
    invisible: bool
    white: bool

    @property
    def doubtful(self) -> bool:
        """Whether somebody who looks at the page may not see it."""
        return self.invisible or self.white


@dataclass(frozen=True, slots=True)
class Piece:
    """``raw[start:end]`` and how it is drawn."""

    start: int
    end: int
    style: Style


class PieceReader:
    """Reads the pieces of one page. Lives as long as the page."""

    def __init__(self, text_page: int, raw: str, index: CharIndex) -> None:
        self._text_page = text_page
        self._raw = raw
        self._index = index
        self._styles: dict[int | None, Style] = {None: Style(0, invisible=False, white=False)}
        self._colour = (ctypes.c_uint * 4)()
        base = ctypes.addressof(self._colour)
        self._addresses = tuple(base + 4 * i for i in range(4))

    def pieces(self, lines: Sequence[TextLine]) -> list[Piece]:
        """Return the pieces of all lines.

        Every twelfth is asked, the first and the last; all of them where those do not agree. A
        line that is set in one visible style is one piece: nothing about it has to be told apart.
        """
        found: list[Piece] = []
        for line in lines:
            spans = [match.span() for match in _PIECE.finditer(self._raw, line.start, line.end)]
            steps = range(0, len(spans), _EVERY)
            styles = [self._style_at(spans[step][0]) for step in steps]
            last = self._style_at(spans[-1][0]) if len(spans) > 1 else styles[0]
            if all(style == last for style in styles):
                if last.doubtful or is_tiny(line):
                    found += [Piece(start, end, last) for start, end in spans]
                else:
                    found.append(Piece(line.start, line.end, last))
            else:
                found += [Piece(start, end, self._style_at(start)) for start, end in spans]
        return found

    def _style_at(self, place: int) -> Style:
        drawn = fast.text_object(self._text_page, self._index(place))
        return self._styles.get(drawn) or self._style(drawn)

    def _style(self, drawn: int) -> Style:
        mode = fast.render_mode(drawn)
        white = bool(fast.fill_color(drawn, *self._addresses)) and min(self._colour[:3]) >= _WHITE
        transparent = self._colour[3] == 0 and mode not in {1, 2}
        style = Style(
            font=fast.font_of(drawn) or 0,
            invisible=mode == _INVISIBLE or transparent,
            white=white and mode == 0,
        )
        self._styles[drawn] = style
        return style


def is_tiny(line: TextLine) -> bool:
    """Tell whether a line is too small to be read."""
    return 0 < line.size < _TINY_PT and line.x1 > line.x0


def is_bold(font: int) -> bool:
    """Tell whether a font, by its number, is a bold one."""
    if not font:
        return False
    buffer = ctypes.create_string_buffer(128)
    fast.font_name(font, ctypes.addressof(buffer), len(buffer))
    name = buffer.value.lower()
    return fast.font_weight(font) >= _BOLD or any(w in name for w in (b"bold", b"black", b"heavy"))


def hidden_pieces(
    page: pypdfium2.PdfPage, pieces: Sequence[Piece], lines: Sequence[TextLine], frame: Frame
) -> list[Piece]:
    """Return the pieces that nobody who looks at the page can read."""
    invisible = [piece for piece in pieces if piece.style.invisible]
    if invisible and _is_ocr_layer(page, pieces, invisible, frame):
        invisible = []
    tiny = [line for line in lines if is_tiny(line)]
    white = [piece for piece in pieces if piece.style.white and not piece.style.invisible]
    hidden = {piece.start: piece for piece in invisible}
    hidden.update({p.start: p for line in tiny for p in _within(pieces, line)})
    if white:
        hidden.update({piece.start: piece for piece in _unseen(page, white, lines, frame)})
    return [hidden[start] for start in sorted(hidden)]


def _within(pieces: Sequence[Piece], line: TextLine) -> Iterator[Piece]:
    return (piece for piece in pieces if line.start <= piece.start < line.end)


def _is_ocr_layer(
    page: pypdfium2.PdfPage, pieces: Sequence[Piece], invisible: Sequence[Piece], frame: Frame
) -> bool:
    total = sum(piece.end - piece.start for piece in pieces)
    unseen = sum(piece.end - piece.start for piece in invisible)
    if total - unseen > _OCR_LAYER_VISIBLE * total:
        return False
    area = frame.width * frame.height
    images = page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=4)
    return any(_area(image) >= _SCAN_AREA * area for image in images)


def _area(image: Any) -> float:
    left, bottom, right, top = image.get_bounds()
    return float((right - left) * (top - bottom))


def _unseen(
    page: pypdfium2.PdfPage, white: Sequence[Piece], lines: Sequence[TextLine], frame: Frame
) -> Iterator[Piece]:
    """Yield the white pieces that do not stand out in a picture of the page.

    Their line decides: its box in the picture shows one colour only, or more.
    """
    scale = min(1.0, _LARGEST_PICTURE / max(frame.width, frame.height, 1.0))
    picture = page.render(scale=scale).to_pil().convert("L")
    waiting = list(white)
    for line in lines:
        inside = list(_within(waiting, line))
        if not inside:
            continue
        share = (line.x1 - line.x0) / max(line.end - line.start, 1)
        for piece in inside:  # characters of a line are about as wide as one another
            left = line.x0 + share * (piece.start - line.start) if len(inside) > 1 else line.x0
            right = line.x0 + share * (piece.end - line.start) if len(inside) > 1 else line.x1
            edges = (left, line.y0, max(right, left + 2), line.y1)
            box = tuple(round(edge * scale) for edge in edges)
            if box[2] <= box[0] or box[3] <= box[1]:
                continue
            darkest, lightest = picture.crop(box).getextrema()
            if lightest - darkest < _CONTRAST:
                yield piece
