"""Hybrid search as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from rag.types.answers import Passage, SearchResult

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun

Search = Callable[..., SearchResult]


class RagRetriever(BaseRetriever):
    """Finds passages by words and by meaning.

    ``page_content`` is a passage's text. ``metadata`` holds ``source`` (the path in the
    knowledge folder), ``file``, ``page`` and ``last_page`` (physical, from 1), ``label`` (as
    printed), ``heading``, ``boxes`` (in points from the top left of their page), ``score``,
    ``rank``, ``relevance`` (of the whole search, 0 to 1), ``document_id``, and ``start`` and
    ``end`` (characters of the document's text).
    """

    search: Search
    """``RagPipeline.search``, or anything that is called like it."""

    k: int = 5
    """How many passages at most."""

    documents: Sequence[str] | None = None
    """Only in documents of these ids; ``None`` for all."""

    min_relevance: float = 0.0
    """Return nothing where the search as a whole is less relevant than this."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        del run_manager
        found = self.search(query, k=kwargs.get("k", self.k), documents=self.documents)
        if found.relevance < self.min_relevance:
            return []
        return [
            document_of(passage, rank=rank, relevance=found.relevance)
            for rank, passage in enumerate(found.passages, start=1)
        ]


def document_of(passage: Passage, *, rank: int, relevance: float) -> Document:
    """Return a passage as LangChain carries it; its metadata can be written as JSON."""
    chunk = passage.chunk
    return Document(
        id=str(passage.id),
        page_content=chunk.text,
        metadata={
            "source": passage.path,
            "file": passage.document,
            "page": chunk.first_page,
            "last_page": chunk.last_page,
            "label": passage.label,
            "heading": chunk.heading,
            "boxes": [asdict(box) for box in passage.boxes],
            "score": passage.score,
            "rank": rank,
            "relevance": relevance,
            "document_id": chunk.document_id,
            "start": chunk.start,
            "end": chunk.end,
        },
    )
