"""Documents, pages and passages, and what became of them.

Pages are physical and 1-based. Offsets are half-open, in characters of
``Document.text``. Boxes are in PDF points from the top left of the page as shown.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

PAGE_JOIN = "\n"
"""Written between pages in ``Document.text``; offsets count it."""

PageState = Literal["text", "ocr", "empty", "garbled", "failed", "skipped"]
PAGE_STATES: tuple[PageState, ...] = ("text", "ocr", "empty", "garbled", "failed", "skipped")
SEARCHABLE: frozenset[PageState] = frozenset({"text", "ocr"})
NOTHING_TO_READ = frozenset({"blank", "picture"})
"""Reasons of pages that nobody would miss in a search."""
DocumentState = Literal["ready", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class Page:
    """One physical page. ``reason`` is a key of ``rag/text/reasons.toml``.

    A page with text may have one too: what of it was kept out.
    """

    number: int
    text: str  # "" unless the state is text or ocr
    label: str = ""  # as printed, e.g. "iv"; "" when the file names none
    state: PageState = "text"
    reason: str | None = None
    width: float = 0.0  # points, as shown (rotation applied)
    height: float = 0.0
    recipe: str = (
        ""  # see rag.ingestion.pdf.offset_map; "" when the text is not made of PDFium's characters
    )


@dataclass(frozen=True, slots=True)
class Heading:
    """One entry of the outline."""

    level: int  # 0 is the outermost
    title: str
    page: int


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one PDF, page by page. Lives only during ingestion."""

    id: str  # sha256 of the file's bytes, hex: identity is content, not name
    title: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...] = ()
    reader: str = ""  # name and version of what read it

    @property
    def text(self) -> str:
        """All pages, joined by ``PAGE_JOIN``; every offset refers to this string."""
        return PAGE_JOIN.join(page.text for page in self.pages)

    def page_starts(self) -> list[int]:
        """Return the offset at which each page's text begins."""
        lengths = (len(page.text) + len(PAGE_JOIN) for page in self.pages[:-1])
        return list(accumulate(lengths, initial=0))

    def page_at(self, offset: int) -> int:
        """Return the number of the page that holds character ``offset``."""
        return self.pages[bisect_right(self.page_starts(), offset) - 1].number


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous slice of a document: ``document.text[start:end] == text``."""

    document_id: str
    start: int
    end: int
    first_page: int
    last_page: int
    text: str
    heading: str = ""  # "document title › chapter › section"
    tokens: int = 0  # in the embedder's own tokens, prefix included
    context: str = ""  # caption and header row of the table that the passage begins inside of


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """One way to cut and embed; passages and vectors of different index versions never mix."""

    id: int
    embedder: str  # name, revision, pooling and prefixes
    dim: int
    chunking: str
    analyser: str


FORGOTTEN = "forgotten"
"""The reason of a path whose document the person asked to forget."""


@dataclass(frozen=True, slots=True)
class DocumentStatus:
    """One document of the library as shown in a list."""

    id: str
    paths: tuple[str, ...]
    title: str
    language: str
    pages: dict[PageState, int]
    state: DocumentState
    reason: str | None
    page_states: tuple[Page, ...] = field(default=())  # texts left out; only when asked for
    alike: tuple[str, ...] = ()  # paths of near-duplicates, likest first

    @property
    def forgotten(self) -> bool:
        """It stays out because the person asked so."""
        return not self.id and self.reason == FORGOTTEN

    @property
    def searchable_pages(self) -> int:
        """Pages whose text can be found."""
        return sum(count for state, count in self.pages.items() if state in SEARCHABLE)

    @property
    def total_pages(self) -> int:
        """All pages of the file."""
        return sum(self.pages.values())
