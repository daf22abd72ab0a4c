"""From a span of a document's text to the boxes it fills on its pages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rag.answering.sentence_check import BackgroundThread, wait_for
from rag.errors import IngestError
from rag.ingestion.scan import real_path
from rag.protocols import Cancelled, never
from rag.types.answers import Evidence, Passage, Sentence
from rag.types.documents import Box
from rag.types.recognised_text import span_boxes

if TYPE_CHECKING:
    from concurrent.futures import Future

    from rag.protocols import PageViewer
    from rag.storage.passages import LedgerPassages


T = TypeVar("T")
logger = logging.getLogger(__name__)
Span = tuple[str, int, int]
"""Document id, start and end in characters of the document's text."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What is to be looked up in one document's file."""

    path: str
    known: tuple[tuple[int, tuple[Box, ...] | None], ...]
    """For each part of a span, the span's number, and its boxes where the library has them."""
    rest: tuple[tuple[int, int, int], ...]
    """Page, start and end of those parts whose boxes only the file has."""
    recipes: Mapping[int, str]


class Highlighter:
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
        return self._finding(spans)()

    def placing(self, passages: Sequence[Passage]) -> Callable[[], tuple[Passage, ...]]:
        """Return what adds to the passages their boxes.

        The library is asked now; what is returned opens the files, which may take as long as
        a page may take to read, and may be called from any thread.
        """
        find = self._finding([(p.chunk.document_id, p.chunk.start, p.chunk.end) for p in passages])
        return lambda: tuple(
            replace(passage, boxes=boxes) for passage, boxes in zip(passages, find(), strict=True)
        )

    def placed(
        self, passages: Sequence[Passage], *, cancelled: Cancelled = never
    ) -> tuple[Passage, ...]:
        """Return the passages with their boxes, unless ``cancelled`` before those are found."""
        return _found(self.placing(passages), tuple(passages), cancelled)

    def paged(
        self, sentences: Sequence[Sentence], passages: Sequence[Passage]
    ) -> tuple[Sentence, ...]:
        """Return the sentences with the page of each piece of evidence; opens no file."""

        def on_page(found: Evidence) -> Evidence:
            document = passages[found.passage].chunk.document_id
            return replace(found, page=self.page_of(document, found.start))

        return tuple(
            replace(sentence, evidence=tuple(map(on_page, sentence.evidence)))
            for sentence in sentences
        )

    def proving(
        self, sentences: Sequence[Sentence], passages: Sequence[Passage]
    ) -> Callable[[], tuple[Sentence, ...]]:
        """Return what adds boxes to the evidence of each sentence; see ``placing``."""
        find = self._finding(
            [
                (passages[e.passage].chunk.document_id, e.start, e.end)
                for sentence in sentences
                for e in sentence.evidence
            ]
        )

        def prove() -> tuple[Sentence, ...]:
            boxes = iter(find())
            return tuple(
                replace(
                    sentence,
                    evidence=tuple(replace(e, boxes=next(boxes)) for e in sentence.evidence),
                )
                for sentence in sentences
            )

        return prove

    def proven(
        self,
        sentences: Sequence[Sentence],
        passages: Sequence[Passage],
        *,
        cancelled: Cancelled = never,
    ) -> tuple[Sentence, ...]:
        """Return the sentences with page and boxes for the evidence of each.

        Boxes that are not found before it is ``cancelled`` are left out.
        """
        paged = self.paged(sentences, passages)
        return _found(self.proving(paged, passages), paged, cancelled)

    def proven_beside(
        self, sentence: Sentence, passages: Sequence[Passage], beside: BackgroundThread
    ) -> tuple[Sentence, Future[Sentence]]:
        """Return a sentence with its pages, and what it becomes with its boxes."""
        (paged,) = self.paged([sentence], passages)
        prove = self.proving([paged], passages)
        return paged, beside(lambda: prove()[0])

    def _finding(self, spans: Sequence[Span]) -> Callable[[], list[tuple[Box, ...]]]:
        looks = [self._asked(document, spans) for document in dict.fromkeys(s[0] for s in spans)]

        def find() -> list[tuple[Box, ...]]:
            found: list[tuple[Box, ...]] = [()] * len(spans)
            for look in looks:
                for i, boxes in self._looked(look):
                    found[i] += boxes
            return found

        return find

    def _asked(self, document_id: str, spans: Sequence[Span]) -> _Look:
        """Return what the library knows of the places of a document's spans."""
        numbers = [i for i, span in enumerate(spans) if span[0] == document_id]
        parts = [(i, part) for i in numbers for part in self._store.page_spans(*spans[i])]
        path = self._store.path(document_id)
        if path is None:
            return _Look("", (), (), {})
        known = tuple((i, self._recognised(document_id, part)) for i, part in parts)
        rest = tuple(
            part for (_, part), (_, boxes) in zip(parts, known, strict=True) if boxes is None
        )
        recipes = self._store.recipes(document_id, {page for page, _, _ in rest}) if rest else {}
        return _Look(path, known, rest, recipes)

    def _looked(self, look: _Look) -> list[tuple[int, tuple[Box, ...]]]:
        drawn = iter(self._in_file(look) if look.rest else ())
        return [(i, next(drawn, ()) if boxes is None else boxes) for i, boxes in look.known]

    def _recognised(self, document_id: str, part: tuple[int, int, int]) -> tuple[Box, ...] | None:
        """Return a span's boxes if the page was read by text recognition, which kept them."""
        page, start, end = part
        lines = self._store.recognised_lines(document_id, page)
        return None if lines is None else span_boxes(lines, page=page, start=start, end=end)

    def _in_file(self, look: _Look) -> list[tuple[Box, ...]]:
        try:
            path = real_path(self._folder, look.path)
            return self._viewer.boxes(path, look.rest, recipes=look.recipes)
        except IngestError as error:
            logger.warning("no boxes for %s: %s", look.path, error.message)
        except Exception:  # a bug here costs the marks on the page, never the answer
            logger.exception("no boxes for %s", look.path)
        return []


def _found(find: Callable[[], T], otherwise: T, cancelled: Cancelled) -> T:
    """Return what ``find`` finds, in a thread of its own; or, where nobody waits for it, else."""
    with BackgroundThread() as beside:
        found = beside(find)
        return found.result() if wait_for(found, cancelled) else otherwise
