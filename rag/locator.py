"""From a span of a document's text to the boxes it fills on its pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import IngestError
from rag.ingest.folder import real_path
from rag.recognised import span_boxes
from rag.types import Box, Evidence, Passage, Sentence

if TYPE_CHECKING:
    from rag.protocols import PageViewer
    from rag.store.passages import LedgerPassages

logger = logging.getLogger(__name__)
Span = tuple[str, int, int]
"""Document id, start and end in characters of the document's text."""


class Locator:
    """Maps offsets to pages through the ledger, and to boxes through the file itself."""

    def __init__(self, folder: Path, store: LedgerPassages, viewer: PageViewer) -> None:
        self._folder = folder
        self._store = store
        self._viewer = viewer

    def page_of(self, document_id: str, offset: int) -> int:
        """Return the page that holds the character at ``offset``."""
        spans = self._store.page_spans(document_id, offset, offset + 1)
        return spans[0][0] if spans else 1

    def boxes(self, spans: Sequence[Span]) -> list[tuple[Box, ...]]:
        """Return each span's boxes; none where the file is gone or has no positions."""
        found: list[tuple[Box, ...]] = [()] * len(spans)
        for document_id in dict.fromkeys(span[0] for span in spans):
            numbers = [i for i, span in enumerate(spans) if span[0] == document_id]
            parts = [(i, part) for i in numbers for part in self._store.page_spans(*spans[i])]
            for i, boxes in self._look(document_id, parts):
                found[i] += boxes
        return found

    def _look(
        self, document_id: str, parts: Sequence[tuple[int, tuple[int, int, int]]]
    ) -> list[tuple[int, tuple[Box, ...]]]:
        path = self._store.path(document_id)
        if path is None or not parts:
            return []
        found = [(i, self._recognised(document_id, part)) for i, part in parts]
        rest = [part for (_, part), (_, boxes) in zip(parts, found, strict=True) if boxes is None]
        drawn = iter(self._in_file(document_id, path, rest) if rest else ())
        return [(i, next(drawn, ()) if boxes is None else boxes) for i, boxes in found]

    def _recognised(self, document_id: str, part: tuple[int, int, int]) -> tuple[Box, ...] | None:
        """Return a span's boxes if the page was read by text recognition, which kept them."""
        page, start, end = part
        lines = self._store.recognised_lines(document_id, page)
        return None if lines is None else span_boxes(lines, page=page, start=start, end=end)

    def _in_file(
        self, document_id: str, path: str, parts: Sequence[tuple[int, int, int]]
    ) -> list[tuple[Box, ...]]:
        try:
            recipes = self._store.recipes(document_id, {page for page, _, _ in parts})
            return self._viewer.boxes(real_path(self._folder, path), parts, recipes=recipes)
        except IngestError as error:
            logger.warning("no boxes for %s: %s", path, error.message)
            return []

    def placed(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Return the passages with their boxes."""
        spans = [(p.chunk.document_id, p.chunk.start, p.chunk.end) for p in passages]
        return tuple(
            replace(passage, boxes=boxes)
            for passage, boxes in zip(passages, self.boxes(spans), strict=True)
        )

    def proven(
        self, sentences: Sequence[Sentence], passages: Sequence[Passage]
    ) -> tuple[Sentence, ...]:
        """Return the sentences with page and boxes for the evidence of each."""
        spans = [
            (passages[e.passage].chunk.document_id, e.start, e.end)
            for sentence in sentences
            for e in sentence.evidence
        ]
        pages = [self.page_of(document, start) for document, start, _ in spans]
        places = iter(zip(pages, self.boxes(spans), strict=True))

        def at_its_place(found: Evidence) -> Evidence:
            page, boxes = next(places)
            return replace(found, page=page, boxes=boxes)

        return tuple(
            replace(sentence, evidence=tuple(map(at_its_place, sentence.evidence)))
            for sentence in sentences
        )
