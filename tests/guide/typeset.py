"""Sets lines of English and Chinese text: what ReportLab's own paragraphs do not.

A line breaks between Chinese characters but never before closing or after opening
punctuation, and never inside a Latin word; Chinese lines are justified, and a quarter
of the spacing that print asks for between Chinese and Latin is added without a space
in the text, so that the text reads back as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

BODY, MONO = "GuideBody", "GuideMono"
INK, SOFT, FAINT = HexColor("#1d2126"), HexColor("#5d646d"), HexColor("#70767e")
ACCENT, ACCENT_SOFT = HexColor("#0b6e5f"), HexColor("#e3f1ee")
MARK, WEAK, BAD = HexColor("#ffd968"), HexColor("#b7791f"), HexColor("#b3372f")
LINE, SUNK = HexColor("#e4e0d8"), HexColor("#f3f1ec")

CLOSING = frozenset("，。、；：？！）》」』”’…,.;:?!)")
OPENING = frozenset("（《「『“‘(")
AUTOSPACE = 0.16  # em between Chinese and Latin; a full space would be about 0.26
CODE_SPACE = 0.24  # em between code and what it touches, to leave room for its ground
SHORT_COMMAND = 28  # characters; shorter ones stay on one line
SHORT_LAST_LINE = 0.1  # of the full line
MOST_STRETCH = 0.15  # em; a line that needs more (a long name follows it) is left ragged
STROKE = 0.022  # em; the font has no bold face, so its outline is drawn as well


@dataclass(frozen=True, slots=True)
class Style:
    """How a text looks; lengths in points."""

    size: float = 9.6
    leading: float = 15.2
    color: Color = INK
    bold: bool = False
    justify: bool = False
    before: float = 0
    after: float = 7


@dataclass(frozen=True, slots=True)
class Piece:
    """What a line break cannot divide. ``gap`` stands before it unless it begins a line."""

    text: str
    code: bool
    width: float
    gap: float
    space: bool  # the gap is a space of the text, not only room
    breakable: bool  # a line may begin with this piece
    elastic: bool  # justification may widen the gap


def register_fonts(path: Path) -> None:
    """Make the text face (number 0) and the monospaced face (number 1) of the file known."""
    for name, face in ((BODY, 0), (MONO, 1)):
        pdfmetrics.registerFont(TTFont(name, str(path), subfontIndex=face))


def missing_glyphs(text: str) -> set[str]:
    """Return the characters that the registered text face cannot show."""
    known = pdfmetrics.getFont(BODY).face.charToGlyph
    return {char for char in text if ord(char) not in known and not char.isspace()}


def text_width(text: str, *, size: float, code: bool = False) -> float:
    """Return the width of ``text`` in points."""
    return float(pdfmetrics.stringWidth(text, MONO if code else BODY, _size(size, code=code)))


def cut(text: str, *, size: float) -> list[Piece]:
    """Cut a text, with ``code`` between backticks, into pieces."""
    pieces: list[Piece] = []
    space = False
    for number, part in enumerate(text.split("`")):
        code = number % 2 == 1
        for position, word in enumerate(_words(part, code=code)):
            if word.isspace():
                space = True
            elif code and position:
                pieces.append(_code_piece(word, pieces[-1], part, space=space, size=size))
                space = False
            else:
                last = pieces[-1] if pieces else None
                pieces.append(_piece(word, last, code=code, space=space, size=size))
                space = False
    return pieces


def _words(part: str, *, code: bool) -> list[str]:
    words: list[str] = []
    for char in part:
        if words and _same_word(words[-1][-1], char, code=code):
            words[-1] += char
        else:
            words.append(char)
    return words


def _same_word(last: str, char: str, *, code: bool) -> bool:
    if last.isspace() or char.isspace() or _is_cjk(last) or _is_cjk(char):
        return False
    return not (code and last in "/\\")


def _code_piece(word: str, last: Piece, span: str, *, space: bool, size: float) -> Piece:
    """Go on inside a command: a short one is never divided, a long one at spaces and slashes."""
    return Piece(
        word,
        code=True,
        width=text_width(word, size=size, code=True),
        gap=text_width(" ", size=size, code=True) if space else 0,
        space=space,
        breakable=len(span) > SHORT_COMMAND and (space or last.text[-1] in "/\\"),
        elastic=False,
    )


def _piece(word: str, last: Piece | None, *, code: bool, space: bool, size: float) -> Piece:
    width = text_width(word, size=size, code=code)
    if last is None:
        return Piece(word, code, width, 0, space=False, breakable=True, elastic=False)
    ends, begins = last.text[-1], word[0]
    glued = begins in CLOSING or ends in OPENING
    gap = 0.0
    if space:
        gap = text_width(" ", size=size)
    elif code != last.code:
        gap = (AUTOSPACE if begins in CLOSING else CODE_SPACE) * size
    elif _is_cjk(begins) != _is_cjk(ends) and not {begins, ends} & (CLOSING | OPENING):
        gap = AUTOSPACE * size
    divides = space or _is_cjk(begins) or _is_cjk(ends)
    return Piece(word, code, width, gap, space, breakable=divides and not glued, elastic=True)


def _is_cjk(char: str) -> bool:
    return ord(char) >= 0x2E80 or char in "“”‘’…—"


def _size(size: float, *, code: bool) -> float:
    return size * 0.94 if code else size


def break_lines(pieces: list[Piece], width: float) -> list[list[Piece]]:
    """Fill lines of ``width`` points, first fit; a piece wider than a line stands alone."""
    lines: list[list[Piece]] = []
    start = 0
    while start < len(pieces):
        used, end, last_break = 0.0, start, 0
        while end < len(pieces):
            piece = pieces[end]
            used += piece.width + (piece.gap if end > start else 0)
            if end > start and piece.breakable:
                last_break = end
            if used > width and last_break:
                end = last_break
                break
            end += 1
        lines.append(pieces[start:end])
        start = end
    return lines


def fill(pieces: list[Piece], width: float) -> list[list[Piece]]:
    """Break lines; narrow them a little where that keeps one short word from ending alone."""
    lines = break_lines(pieces, width)
    for share in (1.0, 0.985, 0.97, 0.955, 0.94):
        tried = break_lines(pieces, width * share)
        if len(tried) == len(lines) and line_width(tried[-1]) >= width * SHORT_LAST_LINE:
            return tried
    return lines


def line_width(line: list[Piece]) -> float:
    """Return the natural width of a line in points."""
    return sum(piece.width + (piece.gap if n else 0) for n, piece in enumerate(line))


def draw_line(
    canvas: Canvas, line: list[Piece], x: float, y: float, *, style: Style, stretch: float = 0
) -> None:
    """Draw a line with its baseline at ``y``; ``stretch`` points go into each elastic gap."""
    runs = _runs(line, x=x, stretch=stretch)
    for run, left, right in runs:
        if run[0].code:
            canvas.setFillColor(SUNK)
            canvas.roundRect(left - 1.6, y - 2.8, right - left + 3.2, style.size + 3, 2, 0, 1)
    for run, left, _ in runs:
        _draw_run(canvas, run, left, y, style=style, stretch=stretch)


def _runs(line: list[Piece], *, x: float, stretch: float) -> list[tuple[list[Piece], float, float]]:
    """Group pieces that one text operator can draw, with their left and right edges."""
    runs: list[tuple[list[Piece], float, float]] = []
    last: Piece | None = None
    for piece in line:
        wider = stretch if piece.elastic else 0.0
        x += (piece.gap + wider) if last else 0
        if last and _joins(last, piece, wider=wider):
            runs[-1] = ([*runs[-1][0], piece], runs[-1][1], x + piece.width)
        else:
            runs.append(([piece], x, x + piece.width))
        x += piece.width
        last = piece
    return runs


def _joins(last: Piece, piece: Piece, *, wider: float) -> bool:
    if last.code != piece.code or (piece.gap and not piece.space):
        return False
    return not wider or (_single(last) and _single(piece) and not piece.space)


def _single(piece: Piece) -> bool:
    return len(piece.text) == 1


def _draw_run(
    canvas: Canvas, run: list[Piece], x: float, y: float, *, style: Style, stretch: float
) -> None:
    text = "".join((" " if n and p.space else "") + p.text for n, p in enumerate(run))
    pen = canvas.beginText(x, y)
    pen.setFont(MONO if run[0].code else BODY, _size(style.size, code=run[0].code))
    pen.setFillColor(style.color)
    if style.bold:
        pen.setStrokeColor(style.color)
        canvas.setLineWidth(style.size * STROKE)
        pen.setTextRenderMode(2)
    pen.setCharSpace(stretch if len(run) > 1 and run[1].elastic else 0)
    pen.textOut(text)
    pen.setCharSpace(0)
    pen.setTextRenderMode(0)
    canvas.drawText(pen)


class TextFlow(Flowable):  # type: ignore[misc]  # ReportLab has no types
    """A paragraph. Never leaves a single line alone on a page."""

    def __init__(self, text: str, style: Style, *, lines: list[list[Piece]] | None = None) -> None:
        super().__init__()
        self.text, self.style = text, style
        self.lines = lines
        self.fixed = lines is not None
        self.ends_here = True

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Break into lines; return the size in points."""
        self.width = width
        if not self.fixed:
            self.lines = fill(cut(self.text, size=self.style.size), width)
        return width, len(self.lines or ()) * self.style.leading

    def split(self, width: float, height: float) -> list[Flowable]:
        """Divide at the foot of the page, two lines at least on either side."""
        self.wrap(width, height)
        lines = self.lines or []
        room = min(int(height // self.style.leading), len(lines) - 2)
        if room < 2:
            return []
        first = TextFlow(self.text, replace(self.style, after=0), lines=lines[:room])
        first.ends_here = False
        return [first, TextFlow(self.text, replace(self.style, before=0), lines=lines[room:])]

    def getSpaceBefore(self) -> float:  # noqa: N802 (ReportLab's name)
        """Return points above."""
        return self.style.before

    def getSpaceAfter(self) -> float:  # noqa: N802 (ReportLab's name)
        """Return points below."""
        return self.style.after

    def draw(self) -> None:
        """Draw the lines from the top."""
        style, lines = self.style, self.lines or []
        y = len(lines) * style.leading - style.leading / 2 - style.size * 0.36
        for number, line in enumerate(lines):
            last = self.ends_here and number == len(lines) - 1
            stretch = 0.0 if last or not style.justify else self._stretch(line)
            self.canv.saveState()
            draw_line(self.canv, line, 0, y, style=style, stretch=stretch)
            self.canv.restoreState()
            y -= style.leading

    def _stretch(self, line: list[Piece]) -> float:
        gaps = sum(piece.elastic for piece in line[1:])
        wanted = (self.width - line_width(line)) / max(1, gaps)
        return wanted if 0 < wanted <= MOST_STRETCH * self.style.size else 0.0
