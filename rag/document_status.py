"""What became of a document, as lists show it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rag.types import SEARCHABLE, DocumentState, Page, PageState

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
