"""What the stages of indexing hand to each other, and how long each worked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.protocols import Analyser, Chunker, Embedder
    from rag.storage.rows import DocumentRow
    from rag.types.documents import Chunk, Document, Space

INDEX_FAILED = "index_failed"
"""The reason of a document that was read but could not be indexed; see rag.text.reasons."""

SPEED = "speed embed "
"""Followed by an embedder's name: the key of its passages per second in the ledger."""


@dataclass(slots=True)
class StageTimes:
    """Seconds of work in each stage. Stages run beside each other: the sum may be the longer."""

    read_s: float = 0.0  # stat and hash
    parse_s: float = 0.0  # waiting for the workers
    ocr_s: float = 0.0
    chunk_s: float = 0.0
    embed_s: float = 0.0
    write_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SpaceEngines:
    """A space, with the engines its name stands for."""

    space: Space
    embedder: Embedder
    chunker: Chunker
    analyser: Analyser


@dataclass(frozen=True, slots=True)
class Pending:
    """A document to index. ``row`` is ``None`` when the ledger has its pages already."""

    document: Document
    row: DocumentRow | None
    failed: bool = False  # its text could not be taken apart: it has no passages


def failed(pending: Pending) -> Pending:
    """Return a document that was read but cannot be searched, with the reason."""
    row = pending.row
    if row is not None and row.state != "failed":  # else what was wrong before is the reason
        row = replace(row, state="failed", reason=INDEX_FAILED)
    return replace(pending, row=row, failed=True)


@dataclass(frozen=True, slots=True)
class Cut:
    """A document's passages; all sequences run in parallel."""

    pending: Pending
    chunks: list[Chunk]
    texts: list[str]  # to embed
    terms: list[str]  # to search by words, separated by spaces
