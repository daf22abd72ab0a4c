"""From a span of a document's text to the boxes it fills on its pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import IngestError
from rag.ingest.folder import real_path
from rag.types import Box, Passage

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
        try:
            recipes = self._store.recipes(document_id, {part[0] for _, part in parts})
            spans = [part for _, part in parts]
            boxes = self._viewer.boxes(real_path(self._folder, path), spans, recipes=recipes)
        except IngestError as error:
            logger.warning("no boxes for %s: %s", path, error.message)
            return []
        return [(i, found) for (i, _), found in zip(parts, boxes, strict=True)]

    def placed(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Return the passages with their boxes."""
        spans = [(p.chunk.document_id, p.chunk.start, p.chunk.end) for p in passages]
        return tuple(
            replace(passage, boxes=boxes)
            for passage, boxes in zip(passages, self.boxes(spans), strict=True)
        )
