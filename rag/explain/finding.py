"""Finds the sentence: in what was read, else in the files themselves."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from rag.errors import IngestError
from rag.explain.values import Place
from rag.ingestion.pdf.offset_map import read_recipe
from rag.ingestion.scan import real_path
from rag.retrieve.quotation import Quotation, bare

if TYPE_CHECKING:
    from rag.protocols import LexicalIndex
    from rag.retrieve.quotation import Match
    from rag.storage.documents import PageText, Whereabouts
    from rag.storage.passages import LedgerPassages

logger = logging.getLogger(__name__)
_LIKELY = 60  # passages whose pages are looked at closely
_MOST_PLACES = 50
_MOST_PAGES = 400  # looked at in the files themselves, some milliseconds each
_AT_ONCE = 50  # pages a worker is asked for


class RawText(Protocol):
    """Gives all letters of a file's pages, with those that are kept out of their text."""

    def __call__(self, path: Path, *, pages: Sequence[int]) -> dict[int, str]:
        """Return each page's letters by its number.

        Raises:
            UnreadableDocument: the file cannot be opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """The sentence stands on a page of a file, though in no text."""

    path: str
    document_id: str | None
    page: int
    kept: float  # share of its letters that the page's text has, in whatever order


class Finder:
    """Looks for one sentence at a time."""

    def __init__(
        self,
        folder: Path,
        whereabouts: Whereabouts,
        store: LedgerPassages,
        lexical: LexicalIndex,
        raw: RawText,
    ) -> None:
        self._folder = folder
        self._whereabouts = whereabouts
        self._store = store
        self._lexical = lexical
        self._raw = raw

    def in_texts(self, sentence: str, documents: Collection[str] | None) -> list[Place]:
        """Return where the sentence stands, likest first; else at most the one nearest text.

        ``documents`` limits the look; ``None`` looks everywhere.
        """
        quotation = Quotation(sentence)
        found = self._among(quotation, self._likely_pages(sentence, documents))
        if not any(match.found for match, _ in found) and documents is None:
            found += self._among(quotation, self._pages_holding(quotation.bare))
        found.sort(key=lambda item: (not item[0].found, -item[0].likeness))
        sure = [item for item in found if item[0].found][:_MOST_PLACES]
        places = [self._place(match, page) for match, page in sure or found[:1]]
        return list(dict.fromkeys(places))

    def _among(
        self, quotation: Quotation, pages: Iterable[PageText]
    ) -> list[tuple[Match, PageText]]:
        found: list[tuple[Match, PageText]] = []
        nearest = 0.0
        for page in pages:
            for match in quotation.places(page.text, nearer_than=nearest):
                found.append((match, page))
                nearest = max(nearest, match.likeness)
        return found

    def _likely_pages(self, sentence: str, documents: Collection[str] | None) -> Iterator[PageText]:
        if documents is not None:
            for document_id in documents:
                yield from self._whereabouts.pages(document_id)
            return
        hits = self._lexical.search(sentence, k=_LIKELY, documents=None)
        wanted: dict[str, set[int]] = {}
        for passage in self._store.passages([chunk_id for chunk_id, _ in hits]).values():
            chunk = passage.chunk
            numbers = wanted.setdefault(chunk.document_id, set())
            # a sentence that was cut may begin on the page before
            numbers |= set(range(chunk.first_page - 1, chunk.last_page + 1))
        for document_id, numbers in wanted.items():
            yield from self._whereabouts.pages(document_id, sorted(numbers))

    def _pages_holding(self, letters: str) -> Iterator[PageText]:
        """Yield the pages that hold the sentence letter by letter, wherever they are."""
        if not letters:
            return
        for document_id, number, text in self._whereabouts.every_page():
            if letters in bare(text):
                yield from self._whereabouts.pages(document_id, [number])

    def _place(self, match: Match, page: PageText) -> Place:
        start, end = page.start + match.start, page.start + match.end
        path = self._store.path(page.document_id) or page.document_id
        return Place(
            page.document_id,
            PurePosixPath(path).name,
            path,
            self._whereabouts.page_at(page.document_id, start),
            start,
            end,
            page.text[match.start : match.end],
            match.likeness,
            found=match.found,
            same_numbers=match.same_numbers,
        )

    def in_files(
        self, sentence: str, files: Iterable[tuple[str, str | None, Sequence[int]]]
    ) -> Sighting | None:
        """Look on pages as PDFium gives them, with what is kept out of their text.

        ``files`` holds path, document id (``None`` where it was not read) and page numbers.
        """
        quotation, left = Quotation(sentence), _MOST_PAGES
        for path, document_id, numbers in files:
            for at in range(0, min(len(numbers), left), _AT_ONCE):
                asked = numbers[at : at + _AT_ONCE]
                left -= len(asked)
                for page, text in self._letters(path, asked).items():
                    match = next((m for m in quotation.places(text) if m.found), None)
                    if match is not None:
                        kept = self._kept(document_id, page, match)
                        return Sighting(path, document_id, page, kept)
        return None

    def _letters(self, path: str, pages: Sequence[int]) -> dict[int, str]:
        try:
            return self._raw(real_path(self._folder, path), pages=pages)
        except IngestError as error:
            logger.warning("%s cannot be looked into: %s", path, error.message)
            return {}

    def _kept(self, document_id: str | None, page: int, match: Match) -> float:
        """Return which share of PDFium's characters went into the page's text."""
        if document_id is None:
            return 0.0
        recipe = self._store.recipes(document_id, [page]).get(page, "")
        places = set(read_recipe(recipe)) if recipe else set()
        return len(places & set(range(match.start, match.end))) / (match.end - match.start)
