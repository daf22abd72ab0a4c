"""Typesets the user guide: ``python -m tests.guide.build_guide``.

Reads ``guide_en.md`` and ``guide_zh.md`` beside this file and writes the two PDFs that
ship in ``knowledge/``. Both are set in WenQuanYi Micro Hei 0.2.0-beta (Debian package
fonts-wqy-microhei), used here under the Apache License 2.0, under which it is offered
beside the GPL version 3 with font embedding exception; only the glyphs used are
embedded. The same source, font and ReportLab give the same bytes.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Table

from tests.guide.figures import Drawing, words
from tests.guide.source import Block, Commands, Figure, Grid, Heading, Paragraph, read_source
from tests.guide.typeset import (
    ACCENT,
    BODY,
    FAINT,
    LINE,
    MARK,
    MONO,
    SOFT,
    SUNK,
    Style,
    TextFlow,
    missing_glyphs,
    register_fonts,
    text_width,
)

HERE = Path(__file__).parent
KNOWLEDGE = HERE.parents[1] / "knowledge"
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
FONT_SHA256 = "2420e8078af796b19a3f6ef13de527a1a91c1e7171eea115926c614ced1009b3"
"""Of Debian's 0.2.0-beta-3.1; another edition of the font gives other bytes."""

ENGLISH = Style(size=9.7, leading=15.2)
CHINESE = Style(size=9.8, leading=16.6, justify=True)
MARGIN, TOP, BOTTOM = 66.0, 54.0, 56.0


@dataclass(frozen=True, slots=True)
class Guide:
    """One edition: its source, its file and its language."""

    source: Path
    file: str
    language: str


GUIDES = (
    Guide(HERE / "guide_en.md", "RAG Desk guide.pdf", "en"),
    Guide(HERE / "guide_zh.md", "RAG Desk 使用指南.pdf", "zh-CN"),
)


class HeadingFlow(TextFlow):
    """A heading with its entry in the outline."""

    def __init__(self, text: str, style: Style, *, level: int) -> None:
        super().__init__(text, style)
        self.level = level
        self.keepWithNext = True

    def draw(self) -> None:
        """Draw the heading and bookmark its place."""
        key = f"h{self.level}-{self.text}"
        self.canv.bookmarkHorizontal(key, 0, self.style.leading + 8)
        self.canv.addOutlineEntry(self.text, key, level=self.level, closed=False)
        super().draw()


class CommandsFlow(Flowable):  # type: ignore[misc]  # ReportLab has no types
    """Lines to type, on a tinted ground."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__()
        self.lines = lines

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Return the size in points."""
        self.width, self.height = width, 15 * len(self.lines) + 12
        return width, self.height

    def getSpaceAfter(self) -> float:  # noqa: N802 (ReportLab's name)
        """Return points below."""
        return 10

    def draw(self) -> None:
        """Draw ground and lines."""
        self.canv.setFillColor(SUNK)
        self.canv.roundRect(0, 0, self.width, self.height, 5, 0, 1)
        self.canv.setFillColor(ACCENT)
        self.canv.setFont(MONO, 9.2)
        for number, line in enumerate(self.lines):
            self.canv.drawString(12, self.height - 17.5 - 15 * number, line)


class TitleFlow(Flowable):  # type: ignore[misc]  # ReportLab has no types
    """The mark, the title and one sentence on what this is."""

    def __init__(self, title: str, subtitle: str) -> None:
        super().__init__()
        self.title = title
        self.subtitle = TextFlow(subtitle, Style(size=11, leading=17, color=SOFT))

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Return the size in points."""
        self.width = width
        self.below = self.subtitle.wrap(width, height)[1]
        return width, self.below + 58

    def draw(self) -> None:
        """Draw everything above a hairline."""
        canvas, y = self.canv, self.below + 26
        canvas.saveState()
        clip = canvas.beginPath()
        clip.roundRect(0, y - 5, 26, 26, 6)
        canvas.clipPath(clip, stroke=0, fill=0)
        canvas.setFillColor(ACCENT)
        canvas.rect(0, y - 5, 26, 26, 0, 1)
        canvas.setFillColor(MARK)
        canvas.rect(0, y + 12, 26, 9, 0, 1)
        canvas.restoreState()
        words(canvas, self.title, 36, y, Style(size=22, bold=True))
        self.subtitle.drawOn(canvas, 0, 14)
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.8)
        canvas.line(0, 2, self.width, 2)


def flowables(blocks: list[Block], *, chinese: bool, width: float) -> Iterator[Flowable]:
    """Turn blocks into what ReportLab places on pages."""
    title, subtitle, *rest = blocks
    assert isinstance(title, Heading)
    assert isinstance(subtitle, Paragraph)
    yield TitleFlow(title.text, subtitle.text)
    for block, after in zip(rest, [*rest[1:], None], strict=True):
        match block:
            case Heading(2, text):
                style = Style(size=15, leading=20, color=ACCENT, bold=True, before=15, after=5)
                yield HeadingFlow(text, style, level=0)
            case Heading(_, text):
                style = Style(size=11, leading=16, bold=True, before=7, after=3)
                yield HeadingFlow(text, style, level=1)
            case Paragraph(text):
                flow = TextFlow(text, CHINESE if chinese else ENGLISH)
                flow.keepWithNext = isinstance(after, Commands | Figure | Grid)
                yield flow
            case Commands(lines):
                yield CommandsFlow(lines)
            case Figure(name, rows):
                yield Drawing(name, rows)
            case Grid():
                yield table(block, width=width)


def table(grid: Grid, *, width: float) -> Table:
    """Set a table with hairlines between its rows; its head repeats on a new page."""
    head = Style(size=8.4, leading=12, color=SOFT, bold=True)
    cell = Style(size=9, leading=13.4)
    rows = [
        [TextFlow(text, cell if number else head) for text in row]
        for number, row in enumerate(grid.rows)
    ]
    share = width / sum(grid.widths)
    return Table(
        rows,
        colWidths=[wide * share for wide in grid.widths],
        repeatRows=1,
        spaceBefore=3,
        spaceAfter=11,
        style=[
            ("FONTNAME", (0, 0), (-1, -1), BODY),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 6),
            ("RIGHTPADDING", (0, 0), (-1, -1), 8),
            ("TOPPADDING", (0, 0), (-1, -1), 3.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
            ("BACKGROUND", (0, 0), (-1, 0), SUNK),
            ("LINEBELOW", (0, 0), (-1, -1), 0.6, LINE),
        ],
    )


def _foot(canvas: Canvas, document: BaseDocTemplate, *, title: str, pages: int) -> None:
    style = Style(size=8, color=FAINT)
    words(canvas, title, MARGIN, 32, style)
    number = f"{document.page} / {pages}"
    words(canvas, number, A4[0] - MARGIN - text_width(number, size=8), 32, style)


def build(guide: Guide, *, font: Path) -> bytes:
    """Return one edition as PDF.

    Raises:
        ValueError: the font lacks a character of the text.
    """
    register_fonts(font)
    source = guide.source.read_text("utf-8")
    if missing := missing_glyphs(source):
        raise ValueError(f"{font.name} cannot show {sorted(missing)}")
    blocks = read_source(guide.source)
    _, pages = _typeset(guide, blocks, pages=0)
    return _typeset(guide, blocks, pages=pages)[0]


def _typeset(guide: Guide, blocks: list[Block], *, pages: int) -> tuple[bytes, int]:
    title = blocks[0].text if isinstance(blocks[0], Heading) else ""
    width = A4[0] - 2 * MARGIN
    buffer = io.BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        title=title,
        author="RAG Desk",
        lang=guide.language,
        invariant=1,
        initialFontName=BODY,  # not Helvetica, which is never embedded
    )
    frame = Frame(MARGIN, BOTTOM, width, A4[1] - TOP - BOTTOM, 0, 0, 0, 0)
    foot = partial(_foot, title=title, pages=pages)
    document.addPageTemplates(PageTemplate(frames=[frame], onPageEnd=foot))
    story = flowables(blocks, chinese=guide.language == "zh-CN", width=width)
    document.build(list(story), canvasmaker=_canvas)
    return buffer.getvalue(), document.page


def _canvas(*args: object, **options: object) -> Canvas:
    canvas = Canvas(*args, **options)
    canvas.setViewerPreference("DisplayDocTitle", "true")
    canvas.showOutline()
    return canvas


def main() -> None:
    """Write the PDFs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--font", type=Path, default=FONT, help="wqy-microhei.ttc")
    parser.add_argument("--out", type=Path, default=KNOWLEDGE, help="folder for the PDFs")
    options = parser.parse_args()
    for guide in GUIDES:
        (options.out / guide.file).write_bytes(build(guide, font=options.font))


if __name__ == "__main__":
    main()
