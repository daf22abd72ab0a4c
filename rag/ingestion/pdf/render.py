"""Draws pages, and says where a span of text stands on them.

Boxes come from the file itself at the moment they are shown: the offsets of a passage lead
back to PDFium's characters by the page's recipe, and their rectangles to the page as it is
seen, with its rotation and crop box.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from rag.ingestion.pdf import pdfium as fast
from rag.ingestion.pdf.lines import CharIndex, Frame
from rag.ingestion.pdf.offset_map import read_recipe, stretches
from rag.types.documents import Box

MAX_WIDTH, MAX_HEIGHT = 4000, 12_000


def boxes(
    pdf: pypdfium2.PdfDocument, spans: Sequence[tuple[int, int, int]], recipes: Mapping[int, str]
) -> list[tuple[Box, ...]]:
    """Return each span's boxes; see ``PageViewer``."""
    return [_span_boxes(pdf, *span, recipes.get(span[0], "")) for span in spans]


def letters(pdf: pypdfium2.PdfDocument, pages: Sequence[int]) -> dict[int, str]:
    """Return all that PDFium finds on these pages, with what is kept out of their text.

    Pages that the file does not have, or that cannot be loaded, are left out.
    """
    found = {}
    for number in pages:
        if number <= len(pdf):
            with (
                suppress(pypdfium2.PdfiumError),
                closing(pdf[number - 1]) as page,
                closing(page.get_textpage()) as text_page,
            ):
                found[number] = str(text_page.get_text_range())
    return found


def render(pdf: pypdfium2.PdfDocument, page: int, width: int) -> bytes:
    """Return the page as PNG, ``width`` pixels wide.

    Raises:
        PdfiumError: the page cannot be loaded.
    """
    with closing(pdf[page - 1]) as leaf:
        wide, high = leaf.get_size()
        scale = min(width, MAX_WIDTH) / max(wide, 1.0)
        scale = min(scale, MAX_HEIGHT / max(high, 1.0))  # a very long page fills no memory
        buffer = io.BytesIO()
        leaf.render(scale=scale).to_pil().convert("RGB").save(buffer, "PNG")
        return buffer.getvalue()


def _span_boxes(
    pdf: pypdfium2.PdfDocument, number: int, start: int, end: int, recipe: str
) -> tuple[Box, ...]:
    try:
        page = pdf[number - 1]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        return ()
    with closing(page), closing(text_page):
        raw, frame = text_page.get_text_range(), Frame.of(page)
        index = CharIndex(fast.handle(text_page), raw, count=text_page.count_chars())
        found: list[Box] = []
        places = (p for p in read_recipe(recipe)[start:end] if 0 <= p < len(raw))
        for first, last in stretches(places):
            at = index(first)
            found += _rectangles(text_page, frame, number, at, index(last) - at + 1)
        return tuple(merged(found))


def _rectangles(text_page: Any, frame: Frame, number: int, first: int, count: int) -> list[Box]:
    boxes = []
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    for row in range(pdfium.FPDFText_CountRects(text_page, first, count)):
        if not pdfium.FPDFText_GetRect(text_page, row, left, top, right, bottom):
            continue
        x0, y0 = frame.seen(left.value, top.value)
        x1, y1 = frame.seen(right.value, bottom.value)
        edges = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        box = Box(number, *(round(edge, 2) for edge in edges))
        if box.x1 > box.x0 and box.y1 > box.y0:
            boxes.append(box)
    return boxes


def merged(boxes: Sequence[Box]) -> list[Box]:
    """Join boxes that stand side by side on one line: PDFium gives one for each run of a font.

    Two belong together if they share at least half of the lower one's height and the gap is
    at most one line height, which keeps columns and the cells of wide tables apart.
    """
    lines: list[Box] = []
    for box in boxes:
        last = lines[-1] if lines else None
        if last is not None and _beside(last, box):
            lines[-1] = Box(
                box.page,
                min(last.x0, box.x0),
                min(last.y0, box.y0),
                max(last.x1, box.x1),
                max(last.y1, box.y1),
            )
        else:
            lines.append(box)
    return lines


def _beside(left: Box, right: Box) -> bool:
    low = min(left.y1 - left.y0, right.y1 - right.y0)
    shared = min(left.y1, right.y1) - max(left.y0, right.y0)
    gap = max(left.x0, right.x0) - min(left.x1, right.x1)
    height = max(left.y1 - left.y0, right.y1 - right.y0)
    return left.page == right.page and shared >= low / 2 and gap <= height
