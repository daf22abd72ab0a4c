"""What a PDF says of itself beside its pages: printed page labels, outline and title.

PDFium reads labels and outlines in a fifteenth of pypdf's time, and told the same of 296 PDFs, but
for one outline that only it found: docs/decisions.md, "Stages of indexing".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import pypdfium2

from rag.types.documents import Heading

T = TypeVar("T")
_MAX_HEADINGS = 5000
_MAX_TITLE = 200  # characters, of the document or of a heading
_NO_TITLES = frozenset({"untitled", "unspecified", "(anonymous)", "title", "无标题"})
_MADE_BY_PROGRAMS = (".doc", ".docx", ".pdf", ".indd", ".tex", ".xls")
_WORDS = re.compile(r"[^\W\d_]{2,}")
_ERRORS = (pypdfium2.PdfiumError, ValueError)  # ValueError: bytes that are no UTF-16


@dataclass(frozen=True, slots=True)
class Metadata:
    """``labels`` are "" where the label is the plain number; ``headings`` in document order."""

    labels: Sequence[str]
    headings: tuple[Heading, ...] = ()
    title: str = ""


def read_metadata(pdf: pypdfium2.PdfDocument) -> Metadata:
    """Return what can be read; what is damaged is simply not there."""
    logging.getLogger("pypdfium2").setLevel(logging.CRITICAL)  # it warns of odd outlines
    count, no_labels = len(pdf), list[str]()
    return Metadata(
        plain_labels(
            either(lambda: [pdf.get_page_label(i) or "" for i in range(count)], no_labels, _ERRORS),
            count,
        ),
        either(lambda: in_order(_outline(pdf), pages=count), (), _ERRORS),
        either(lambda: given_title(pdf.get_metadata_value("Title") or ""), "", _ERRORS),
    )


def either(read: Callable[[], T], otherwise: T, errors: tuple[type[Exception], ...]) -> T:
    """Return what is read, or ``otherwise`` where one of the ``errors`` is raised."""
    try:
        return read()
    except errors:
        return otherwise


def plain_labels(labels: Sequence[str], count: int) -> list[str]:
    """Return ``count`` labels, "" where one is missing or is the plain number."""
    padded = [*labels[:count], *[""] * (count - len(labels))]
    return ["" if label == str(i) else label for i, label in enumerate(padded, start=1)]


def in_order(found: Iterable[tuple[int, str, int]], *, pages: int) -> tuple[Heading, ...]:
    """Return the headings ``(level, title, page)`` that have a title and a page, by page."""
    kept = [
        Heading(level, " ".join(title.split())[:_MAX_TITLE], page)
        for level, title, page in islice(found, 2 * _MAX_HEADINGS)
        if title.strip() and 1 <= page <= pages
    ]
    return tuple(sorted(kept, key=lambda heading: heading.page)[:_MAX_HEADINGS])


def given_title(written: str) -> str:
    """Return the title, or "" if the file's own is no title a person would give."""
    title = " ".join(written.split())
    looks_made = title.lower() in _NO_TITLES or title.lower().endswith(_MADE_BY_PROGRAMS)
    return "" if looks_made or not _WORDS.search(title) else title[:_MAX_TITLE]


def _outline(pdf: pypdfium2.PdfDocument) -> Iterator[tuple[int, str, int]]:
    for entry in pdf.get_toc():
        place = entry.get_dest()
        page = place.get_index() if place is not None else None
        if page is not None:
            yield entry.level, entry.get_title() or "", page + 1
