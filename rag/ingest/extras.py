"""What a PDF says of itself beside its pages: printed page labels, outline and title.

PDFium reads labels and outlines in a fifteenth of pypdf's time, and told the same of 296 PDFs, but
for one outline that only it found: tests/eval/DECISIONS.md, "Stages of indexing".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pypdfium2

from rag.types import Heading

_MAX_HEADINGS = 5000
_MAX_TITLE = 200  # characters, of the document or of a heading
_NO_TITLES = frozenset({"untitled", "unspecified", "(anonymous)", "title", "无标题"})
_MADE_BY_PROGRAMS = (".doc", ".docx", ".pdf", ".indd", ".tex", ".xls")
_WORDS = re.compile(r"[^\W\d_]{2,}")
_ERRORS = (pypdfium2.PdfiumError, ValueError)  # ValueError: bytes that are no UTF-16


@dataclass(frozen=True, slots=True)
class Extras:
    """``labels`` are "" where the label is the plain number; ``headings`` in document order."""

    labels: Sequence[str]
    headings: tuple[Heading, ...] = ()
    title: str = ""


def read_extras(pdf: pypdfium2.PdfDocument) -> Extras:
    """Return what can be read; what is damaged is simply not there."""
    logging.getLogger("pypdfium2").setLevel(logging.CRITICAL)  # it warns of odd outlines
    return Extras(_labels(pdf), _headings(pdf), _title(pdf))


def plain_labels(labels: Sequence[str], count: int) -> list[str]:
    """Return ``count`` labels, "" where one is missing or is the plain number."""
    padded = [*labels[:count], *[""] * (count - len(labels))]
    return ["" if label == str(i) else label for i, label in enumerate(padded, start=1)]


def _labels(pdf: pypdfium2.PdfDocument) -> list[str]:
    try:
        found = [pdf.get_page_label(index) or "" for index in range(len(pdf))]
    except _ERRORS:
        found = []
    return plain_labels(found, len(pdf))


def _headings(pdf: pypdfium2.PdfDocument) -> tuple[Heading, ...]:
    try:
        found = list(islice(_outline(pdf), 2 * _MAX_HEADINGS))
    except _ERRORS:
        return ()
    kept = [heading for heading in found if 1 <= heading.page <= len(pdf)]
    return tuple(sorted(kept, key=lambda heading: heading.page)[:_MAX_HEADINGS])


def _outline(pdf: pypdfium2.PdfDocument) -> Iterator[Heading]:
    for entry in pdf.get_toc():
        title = " ".join((entry.get_title() or "").split())
        place = entry.get_dest()
        page = place.get_index() if place is not None else None
        if page is not None and title:
            yield Heading(entry.level, title[:_MAX_TITLE], page + 1)


def _title(pdf: pypdfium2.PdfDocument) -> str:
    """Return the title, or "" if the file's own is no title a person would give."""
    try:
        title = " ".join((pdf.get_metadata_value("Title") or "").split())
    except _ERRORS:
        return ""
    looks_made = title.lower() in _NO_TITLES or title.lower().endswith(_MADE_BY_PROGRAMS)
    return "" if looks_made or not _WORDS.search(title) else title[:_MAX_TITLE]
