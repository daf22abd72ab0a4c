"""Small builders, so that a test names only what it is about."""

from __future__ import annotations

from pathlib import Path

from rag.config import Settings, load_settings
from rag.types.answers import Passage
from rag.types.documents import Chunk, Document, Heading, Page


def document(
    *pages: str,
    title: str = "A title",
    headings: tuple[Heading, ...] = (),
    id: str = "d1",  # noqa: A002
) -> Document:
    made = tuple(
        Page(n, text) if text else Page(n, "", state="empty", reason="blank")
        for n, text in enumerate(pages, start=1)
    )
    return Document(id, title, made, headings, "test/1")


def chunk(
    text: str = "text", *, document_id: str = "d1", start: int = 0, page: int = 1, heading: str = ""
) -> Chunk:
    return Chunk(document_id, start, start + len(text), page, page, text, heading, len(text))


def passage(text: str = "text", *, id: int = 1, score: float = 0.5, **fields: object) -> Passage:  # noqa: A002
    made = chunk(text, **fields)  # type: ignore[arg-type]
    return Passage(id, made, f"{made.document_id}.pdf", f"{made.document_id}.pdf", score=score)


def settings(knowledge: Path, **environment: str) -> Settings:
    """Settings for a model-free app over ``knowledge``."""
    return load_settings(
        None,
        {
            "RAGDESK_KNOWLEDGE": str(knowledge),
            "RAGDESK_EMBEDDER__MODEL": "hashing",
            "RAGDESK_GENERATOR__ENGINE": "echo",
            "RAGDESK_INGEST__WORKERS": "1",
            "RAGDESK_INGEST__OCR": "off",
            **environment,
        },
    )
