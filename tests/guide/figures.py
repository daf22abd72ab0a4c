"""The guide's drawings, made of lines: nothing is a picture."""

from __future__ import annotations

from collections.abc import Callable

from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from tests.guide.typeset import (
    ACCENT,
    ACCENT_SOFT,
    BAD,
    FAINT,
    LINE,
    MARK,
    SOFT,
    SUNK,
    WEAK,
    Style,
    break_lines,
    cut,
    draw_line,
    line_width,
    text_width,
)

Rows = dict[str, tuple[str, ...]]
PAPER = "#ffffff"


class Drawing(Flowable):  # type: ignore[misc]  # ReportLab has no types
    """A figure with its caption, as wide as the text."""

    def __init__(self, name: str, rows: tuple[tuple[str, ...], ...]) -> None:
        super().__init__()
        self.rows: Rows = {row[0]: row[1:] for row in rows}
        self.body, self.height = FIGURES[name]

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Return the size in points, caption included."""
        self.width = width
        return width, self.height + 20

    def getSpaceBefore(self) -> float:  # noqa: N802 (ReportLab's name)
        """Return points above."""
        return 6

    def getSpaceAfter(self) -> float:  # noqa: N802 (ReportLab's name)
        """Return points below."""
        return 10

    def draw(self) -> None:
        """Draw the figure above its caption."""
        self.canv.saveState()
        self.canv.translate(0, 20)
        self.body(self.canv, self.width, self.rows)
        self.canv.restoreState()
        words(self.canv, self.rows["caption"][0], 0, 4, Style(size=8.4, color=FAINT))


def words(
    canvas: Canvas, text: str, x: float, y: float, style: Style, *, centre: bool = False
) -> None:
    """Write one line with its baseline at ``y``."""
    left = x - text_width(text, size=style.size) / 2 if centre else x
    canvas.saveState()
    draw_line(canvas, cut(text, size=style.size), left, y, style=style)
    canvas.restoreState()


def draw_way(canvas: Canvas, width: float, rows: Rows) -> None:
    """Draw five stations from the folder to the evidence, in two panels."""
    steps = ("folder", "pages", "passages", "answer", "evidence")
    gap, height = 14.0, 122.0
    column = (width - gap) / len(steps)
    panels = ((0.0, column * 3, "once", SUNK), (column * 3 + gap, column * 2, "each", ACCENT_SOFT))
    for left, wide, key, color in panels:
        canvas.setFillColor(color)
        canvas.roundRect(left, 0, wide, height, 6, 0, 1)
        words(canvas, rows[key][0], left + 10, height - 16, Style(size=8, color=SOFT))
    for number, step in enumerate(steps):
        middle = column * (number + 0.5) + (gap if number > 2 else 0)
        canvas.saveState()
        canvas.translate(middle, 72)
        ICONS[step](canvas)
        canvas.restoreState()
        title, note = rows[step]
        words(canvas, title, middle, 28, Style(size=9, bold=True), centre=True)
        _small(canvas, note, middle, 17, column - 8)
        if number < len(steps) - 1:
            _arrow(canvas, middle + 26, middle + column + (gap if number == 2 else 0) - 26, 72)


def _small(canvas: Canvas, text: str, x: float, y: float, width: float) -> None:
    style = Style(size=7.4, color=SOFT)
    for number, line in enumerate(break_lines(cut(text, size=style.size), width)):
        canvas.saveState()
        draw_line(canvas, line, x - line_width(line) / 2, y - 9 * number, style=style)
        canvas.restoreState()


def _arrow(canvas: Canvas, start: float, end: float, y: float) -> None:
    canvas.setStrokeColor(FAINT)
    canvas.setFillColor(FAINT)
    canvas.setLineWidth(1)
    canvas.line(start, y, end - 4, y)
    head = canvas.beginPath()
    head.moveTo(end, y)
    head.lineTo(end - 5, y + 2.8)
    head.lineTo(end - 5, y - 2.8)
    head.close()
    canvas.drawPath(head, 0, 1)


def _sheet(canvas: Canvas, x: float, y: float, *, wide: float = 26, high: float = 34) -> None:
    canvas.setFillColor(PAPER)
    canvas.setStrokeColor(SOFT)
    canvas.setLineWidth(0.8)
    canvas.roundRect(x, y, wide, high, 2, 1, 1)


def _bars(canvas: Canvas, x: float, top: float, widths: tuple[float, ...]) -> None:
    canvas.setStrokeColor(LINE)
    canvas.setLineWidth(2)
    for number, wide in enumerate(widths):
        canvas.line(x, top - 5 * number, x + wide, top - 5 * number)


def _folder(canvas: Canvas) -> None:
    for shift in (-8, 0, 8):
        _sheet(canvas, shift - 9, -4 - abs(shift) / 4, wide=18, high=24)
    canvas.setFillColor(ACCENT)
    canvas.setStrokeColor(ACCENT)
    front = canvas.beginPath()
    for number, point in enumerate(((-22, 6), (-12, 6), (-9, 2), (22, 2), (22, -18), (-22, -18))):
        (front.lineTo if number else front.moveTo)(*point)
    front.close()
    canvas.setLineJoin(1)
    canvas.drawPath(front, 1, 1)


def _pages(canvas: Canvas) -> None:
    for shift in (6, 0, -6):
        _sheet(canvas, shift - 13, -17 + shift / 2)
    _bars(canvas, -14, 9, (16, 18, 12, 18, 15))


def _passages(canvas: Canvas) -> None:
    for number, color in enumerate((MARK, PAPER, MARK, PAPER)):
        y = 9 - 10 * number
        canvas.setFillColor(color)
        canvas.setStrokeColor(SOFT)
        canvas.setLineWidth(0.8)
        canvas.roundRect(-17, y, 34, 7.4, 1.6, 1, 1)
        canvas.setStrokeColor(SOFT)
        canvas.setLineWidth(1.2)
        canvas.line(-12, y + 3.7, 10 - 3 * (number % 2), y + 3.7)


def _answer(canvas: Canvas) -> None:
    canvas.setFillColor(PAPER)
    canvas.setStrokeColor(ACCENT)
    canvas.setLineWidth(1)
    canvas.roundRect(-20, -17, 40, 34, 5, 1, 1)
    for number, wide in enumerate((28, 28, 18)):
        y = 9 - 9 * number
        canvas.setStrokeColor(SOFT)
        canvas.setLineWidth(1.6)
        canvas.line(-14, y, -14 + wide, y)
        canvas.setStrokeColor(ACCENT)
        canvas.setLineWidth(0.8)
        canvas.line(-14, y - 3, -14 + wide, y - 3)


def _evidence(canvas: Canvas) -> None:
    _sheet(canvas, -14, -19, wide=28, high=38)
    canvas.setFillColor(MARK)
    canvas.rect(-11, -1.5, 22, 9, 0, 1)
    _bars(canvas, -10, 14, (18, 14))
    canvas.setStrokeColor(SOFT)
    canvas.setLineWidth(1.4)
    canvas.line(-10, 5, 10, 5)
    canvas.line(-10, 1, 6, 1)
    _bars(canvas, -10, -6, (18, 20, 12))


ICONS: dict[str, Callable[[Canvas], None]] = {
    "folder": _folder,
    "pages": _pages,
    "passages": _passages,
    "answer": _answer,
    "evidence": _evidence,
}


def draw_verdicts(canvas: Canvas, width: float, rows: Rows) -> None:
    """Draw the three underlines, each with its name and meaning."""
    canvas.setLineWidth(0.6)
    for number, key in enumerate(("solid", "dashed", "wavy")):
        name, meaning = rows[key]
        y = 62 - 26 * number
        words(canvas, name, 10, y, Style(size=10.4))
        _underline(canvas, key, 10, 10 + text_width(name, size=10.4), y - 4.4)
        words(canvas, meaning, width * 0.24, y, Style(size=9.4))
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.6)
        canvas.line(0, y - 10, width, y - 10)
    canvas.line(0, 78, width, 78)


def _underline(canvas: Canvas, kind: str, left: float, right: float, y: float) -> None:
    canvas.saveState()
    canvas.setLineWidth(1.2)
    canvas.setStrokeColor({"solid": ACCENT, "dashed": WEAK, "wavy": BAD}[kind])
    if kind == "wavy":
        wave = canvas.beginPath()
        wave.moveTo(left, y)
        x, up = left, 1
        while x < right:
            wave.curveTo(x + 1.2, y + 2 * up, x + 1.8, y + 2 * up, x + 3, y)
            x, up = x + 3, -up
        canvas.drawPath(wave, 1, 0)
    else:
        canvas.setDash([3, 2] if kind == "dashed" else [])
        canvas.line(left, y, right, y)
    canvas.restoreState()


FIGURES: dict[str, tuple[Callable[[Canvas, float, Rows], None], float]] = {
    "way": (draw_way, 122.0),
    "verdicts": (draw_verdicts, 78.0),
}
"""Each drawing and its height in points, without the caption."""
