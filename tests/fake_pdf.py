"""Small real PDFs, typeset so that the place of every line is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from io import BytesIO

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from rag.types.documents import Box

MARGIN, LEADING, BODY, HEAD = 72.0, 20.0, 11.0, 17.0


@dataclass(frozen=True, slots=True)
class Typeset:
    """A PDF and where its lines stand: ``(page, line) -> box`` in points from the top left."""

    id: str
    data: bytes
    pages: int
    lines: dict[str, Box]


@cache
def typeset(*pages: tuple[str, ...], title: str = "", cjk: bool = False) -> Typeset:
    """Set one page per tuple of lines; a line that starts with ``# `` is a heading."""
    if cjk:
        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    font, bold = ("STSong-Light", "STSong-Light") if cjk else ("Helvetica", "Helvetica-Bold")
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    canvas.setTitle(title)
    lines: dict[str, Box] = {}
    for number, page in enumerate(pages, start=1):
        top = MARGIN
        for line in page:
            heading = line.startswith("# ")
            words, size = line.removeprefix("# "), HEAD if heading else BODY
            canvas.setFont(bold if heading else font, size)
            canvas.drawString(MARGIN, A4[1] - top - size, words)
            width = pdfmetrics.stringWidth(words, bold if heading else font, size)
            lines[words] = Box(number, MARGIN, top, MARGIN + width, top + size * 1.2)
            top += LEADING * (1.6 if heading else 1)
        canvas.setFont(font, 9)
        canvas.drawCentredString(A4[0] / 2, 40, str(number))
        canvas.showPage()
    canvas.save()
    data = buffer.getvalue()
    return Typeset(hashlib.sha256(data).hexdigest(), data, len(pages), lines)


GUIDE_EN = (
    (
        "# RAG Desk guide",
        "RAG Desk answers questions about your own PDFs, on your own machine.",
        "Every sentence of an answer leads to the place on the page that supports it.",
        "# Adding documents",
        "Drop PDF files anywhere on the window, or copy them into the knowledge folder.",
        "New files are found within a few seconds and indexed one after the other.",
        "You can ask questions while indexing is still running.",
    ),
    (
        "# What is searchable",
        "The list on the left shows for each document how many pages can be searched.",
        "Pages without a text layer are named together with the reason and a remedy.",
        "A file that is protected by a password has to be saved without it first.",
        "# Keyboard",
        "Enter sends a question, Shift and Enter begin a new line, Escape stops an answer.",
    ),
)
GUIDE_ZH = (
    (
        "# RAG Desk 使用指南",
        "RAG Desk 在你自己的电脑上回答关于你自己的 PDF 的问题。",
        "# 添加文档",
        "把 PDF 文件拖到窗口任意处，或者复制到 knowledge 文件夹。",
        "新文件会在几秒钟内被发现，并逐个建立索引。",
        "建立索引期间也可以继续提问。",
    ),
)


def guide_en() -> Typeset:
    """Return the English guide, two pages."""
    return typeset(*GUIDE_EN, title="RAG Desk guide")


def guide_zh() -> Typeset:
    """Return the Chinese guide, one page."""
    return typeset(*GUIDE_ZH, title="RAG Desk 使用指南", cjk=True)
