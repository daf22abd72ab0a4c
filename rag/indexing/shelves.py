"""What text recognition finds, from when it is found until the document shows it.

Pages without text are put where they stay; a kill costs one page. Pages that an older version
has read are put aside first: what it found, and where, stays in use until the document is
committed with the better text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from rag.ingestion.ocr.page_text import plausible
from rag.storage import ocr_pages
from rag.types.documents import Page
from rag.types.index_version import ocr_name

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.types.recognised_text import RecognisedPage

LEAST_SHARE = 0.5
"""Of the letters that were found before; a version that finds fewer has failed on the page."""
_EMPTIED = frozenset({"blank", "picture"})


class Shelf(Protocol):
    """Where recognised pages lie."""

    def found(self, document_id: str) -> dict[int, RecognisedPage]:
        """Return what an earlier run found and the document does not show yet."""
        ...

    def keep(self, document_id: str, page: RecognisedPage) -> bool:
        """Keep what was found; say whether the document is to show it."""
        ...

    def show(self, page: Page, found: RecognisedPage | None) -> Page:
        """Return the page with what was found on it."""
        ...

    def settle(self, document_id: str, numbers: Collection[int]) -> None:
        """Hear that the document shows what was found on these pages."""
        ...


class Waiting:
    """For pages without usable text."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def found(self, document_id: str) -> dict[int, RecognisedPage]:
        kept = ocr_pages.recognised_pages(self._ledger, document_id)
        return {number: page for number, page in kept.items() if page.reason != "ocr_failed"}

    def keep(self, document_id: str, page: RecognisedPage) -> bool:
        ocr_pages.put_recognised(self._ledger, document_id, page)
        return True

    def show(self, page: Page, found: RecognisedPage | None) -> Page:
        return shown(page, found)

    def settle(self, document_id: str, numbers: Collection[int]) -> None:
        """They lie where they stay already."""


class Outdated:
    """For pages that another version of text recognition has read."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def found(self, document_id: str) -> dict[int, RecognisedPage]:
        return ocr_pages.pages_aside(self._ledger, document_id, engine=ocr_name())

    def keep(self, document_id: str, page: RecognisedPage) -> bool:
        before = ocr_pages.recognised_pages(self._ledger, document_id).get(page.number)
        better = before is None or no_worse(page, before)
        named = replace(page, engine=ocr_name())
        ocr_pages.put_aside(self._ledger, document_id, named, better=better)
        return better

    def show(self, page: Page, found: RecognisedPage | None) -> Page:
        return page if found is None else _changed(page, found)

    def settle(self, document_id: str, numbers: Collection[int]) -> None:
        ocr_pages.take_over(self._ledger, document_id, numbers)


def shown(page: Page, found: RecognisedPage | None) -> Page:
    """Return a page that was read anew with what was recognised on it before."""
    if found is None or not ocr_pages.waits(page.state, page.reason):
        return page
    return _changed(page, found)


def _changed(page: Page, found: RecognisedPage) -> Page:
    if found.state == "ocr":
        return replace(page, state="ocr", reason=None, text=found.text, recipe="")
    if (page.reason or "").startswith("only_hidden"):  # it is still what is to be said of it
        return replace(page, reason="only_hidden:seen")
    state = "empty" if found.reason in _EMPTIED else page.state
    return replace(page, state=state, reason=found.reason)


def no_worse(new: RecognisedPage, old: RecognisedPage) -> bool:
    """Tell whether a newer version's page may take the place of an older one's."""
    if new.reason == "ocr_failed":
        return False
    if old.state != "ocr":
        return True
    return new.state == "ocr" and plausible(new.text) >= LEAST_SHARE * plausible(old.text)
