"""Passages made by hand, for tests of retrieval and answering."""

from __future__ import annotations

from rag.types import Chunk, Passage


def passage(  # noqa: PLR0913 - every field that a test may care about
    text: str,
    *,
    row: int = 1,
    document: str = "guide.pdf",
    first_page: int = 1,
    last_page: int | None = None,
    start: int = 0,
    heading: str = "",
    score: float = 0.0,
) -> Passage:
    """Return a passage whose chunk begins at ``start`` of its document."""
    chunk = Chunk(
        document_id=f"id of {document}",
        start=start,
        end=start + len(text),
        first_page=first_page,
        last_page=last_page or first_page,
        text=text,
        heading=heading,
    )
    return Passage(id=row, chunk=chunk, document=document, path=document, score=score)
