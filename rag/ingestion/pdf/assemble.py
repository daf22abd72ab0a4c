"""Pages put together: what only the whole document can tell.

Running headers go, words broken at line ends are joined by the document's own spelling,
and headings are found by their type where the file names none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from rag.ingestion.pdf.headers_footers import headers_and_footers
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


def assemble(found: Sequence[DraftPage | Page]) -> Assembled:
    """Return the finished pages; those that are finished already stay as they are."""
    drafts = [page for page in found if isinstance(page, DraftPage) and page.state == "text"]
    repeated = headers_and_footers(drafts)
    dropped = {page.number: places for page, places in zip(drafts, repeated, strict=True)}
    # gathered when the first hyphen asks for them
    words = cache(lambda: vocabulary(page.draft.raw for page in drafts))
    pages: list[Page] = []
    set_lines: list[SetLine] = []
    for page in found:
        if isinstance(page, Page):
            pages.append(page)
        elif page.state != "text":
            pages.append(_finished(page))
        else:
            composed = compose(page.draft, dropped=dropped[page.number], words=words)
            if not composed.text:  # what would empty the page is not taken from it
                composed = compose(page.draft, dropped=(), words=words)
            pages.append(_finished(page, composed.text, composed.recipe))
            set_lines += _set_lines(page, composed)
    return Assembled(tuple(pages), headings_by_type(set_lines), largest_text(set_lines))


def _finished(page: DraftPage, text: str = "", recipe: str = "") -> Page:
    size = page.width, page.height
    return Page(page.number, text, page.label, page.state, page.reason, *size, recipe)


def _set_lines(page: DraftPage, composed: Composed) -> list[SetLine]:
    found = []
    for place in composed.starts:
        text = " ".join(hyphens(page.draft.text(place)).split())
        found.append(SetLine(page.number, text, page.draft.lines[place], page.bold[place]))
    return found
