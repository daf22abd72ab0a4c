"""Pages put together: what only the whole document can tell.

Running headers go, words broken at line ends are joined by the document's own spelling,
and headings are found by their type where the file names none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from rag.ingestion.pdf.headers_footers import PageLines, headers_and_footers
from rag.ingestion.pdf.headings import SetLine, headings_by_type, largest_text
from rag.ingestion.pdf.page import DraftPage, hyphens
from rag.ingestion.pdf.page_text import Composed, compose, vocabulary
from rag.types.documents import Heading, Page


@dataclass(frozen=True, slots=True)
class Assembled:
    """The pages of a document, and what their type says about its structure."""

    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    title: str


class _Words:
    """The document's vocabulary, gathered when the first hyphen asks for it."""

    def __init__(self, pages: Sequence[DraftPage]) -> None:
        self._pages = pages

    @cached_property
    def known(self) -> frozenset[str]:
        return vocabulary(page.draft.raw for page in self._pages)


def assemble(found: Sequence[DraftPage | Page]) -> Assembled:
    """Return the finished pages; those that are finished already stay as they are."""
    drafts = [page for page in found if isinstance(page, DraftPage) and page.state == "text"]
    repeated = headers_and_footers(
        [PageLines(page.draft.lines, page.draft.texts(), page.height) for page in drafts]
    )
    dropped = {page.number: places for page, places in zip(drafts, repeated, strict=True)}
    words = _Words(drafts)
    pages: list[Page] = []
    set_lines: list[SetLine] = []
    for page in found:
        if isinstance(page, Page):
            pages.append(page)
        elif page.state != "text":
            pages.append(_textless(page))
        else:
            composed = _compose(page, dropped[page.number], words)
            pages.append(_finished(page, composed))
            set_lines += _set_lines(page, composed)
    return Assembled(tuple(pages), headings_by_type(set_lines), largest_text(set_lines))


def _compose(page: DraftPage, dropped: Collection[int], words: _Words) -> Composed:
    """Return the page's text; what would empty the page is not taken from it."""
    composed = compose(page.draft, dropped=dropped, words=lambda: words.known)
    if composed.text or not dropped:
        return composed
    return compose(page.draft, dropped=(), words=lambda: words.known)


def _textless(page: DraftPage) -> Page:
    return Page(page.number, "", page.label, page.state, page.reason, page.width, page.height)


def _finished(page: DraftPage, composed: Composed) -> Page:
    return Page(
        page.number,
        composed.text,
        page.label,
        page.state,
        page.reason,
        page.width,
        page.height,
        composed.recipe,
    )


def _set_lines(page: DraftPage, composed: Composed) -> list[SetLine]:
    found = []
    for place in composed.starts:
        line = page.draft.lines[place]
        text = " ".join(hyphens(page.draft.raw[line.start : line.end]).split())
        found.append(SetLine(page.number, text, line, page.bold[place]))
    return found
