"""Cuts, embeds and commits documents into one space.

Small documents are embedded together, so that batches are full and sorted by length across
documents; each still commits in a transaction of its own, the moment its group is embedded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from rag.retrieve.passage_text import embedding_text, lexical_text
from rag.store.rows import DocumentRow, IndexedChunks
from rag.types import Chunk, Document, Space

if TYPE_CHECKING:
    from rag.protocols import Analyser, Chunker, Embedder, VectorIndex, Vectors
    from rag.store.ledger import Ledger

GROUP = 64  # passages embedded before the next commit: what a kill can cost at most


@dataclass(slots=True)
class StageTimes:
    """Seconds of work in each stage. Reading runs beside the others, in its own processes."""

    read_s: float = 0.0  # stat and hash
    parse_s: float = 0.0  # waiting for the workers
    ocr_s: float = 0.0
    chunk_s: float = 0.0
    embed_s: float = 0.0
    write_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A document to index. ``row`` is ``None`` when the ledger has its pages already."""

    document: Document
    row: DocumentRow | None


@dataclass(slots=True)
class _Cut:
    pending: Pending
    chunks: list[Chunk]
    texts: list[str]
    vectors: list[Vectors] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SpaceEngines:
    """A space, with the engines its name stands for."""

    space: Space
    embedder: Embedder
    chunker: Chunker
    analyser: Analyser


class Indexer:
    """Writes into a space, and into the vector index where one is given."""

    def __init__(
        self,
        ledger: Ledger,
        engines: SpaceEngines,
        *,
        index: Callable[[], VectorIndex] | None,
        times: StageTimes,
    ) -> None:
        self._ledger = ledger
        self._space = engines.space
        self._embedder = engines.embedder
        self._chunker = engines.chunker
        self._analyser = engines.analyser
        self._index = index
        self._times = times

    def run(
        self,
        documents: Iterable[Pending],
        *,
        embedded: Callable[[Pending, int, int], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[Pending, int]]:
        """Yield each document once it is committed, with the number of its passages.

        ``embedded(pending, done, total)`` is told how far a document's passages are.
        """
        group: list[_Cut] = []
        for pending in documents:
            if cancelled():
                return
            group.append(self._cut(pending))
            if sum(len(cut.texts) for cut in group) >= GROUP:
                yield from self._finish(group, embedded, cancelled)
                group = []
        yield from self._finish(group, embedded, cancelled)

    def _cut(self, pending: Pending) -> _Cut:
        began = perf_counter()
        chunks = self._chunker.split(pending.document)
        texts = [
            embedding_text(
                chunk, limit=self._embedder.max_tokens, count=self._embedder.count_tokens
            )
            for chunk in chunks
        ]
        self._times.chunk_s += perf_counter() - began
        return _Cut(pending, chunks, texts)

    def _finish(
        self,
        group: Sequence[_Cut],
        embedded: Callable[[Pending, int, int], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[Pending, int]]:
        if not group:
            return
        texts = [text for cut in group for text in cut.texts]
        parts: list[Vectors] = []
        for start in range(0, len(texts), GROUP):
            if cancelled():
                return
            began = perf_counter()
            parts.append(self._embedder.embed_passages(texts[start : start + GROUP]))
            self._times.embed_s += perf_counter() - began
            embedded(group[-1].pending, min(start + GROUP, len(texts)), len(texts))
        rows = np.concatenate(parts) if parts else np.empty((0, self._space.dim), np.float32)
        at = 0
        for cut in group:
            self._commit(cut, rows[at : at + len(cut.texts)])
            at += len(cut.texts)
            yield cut.pending, len(cut.texts)

    def _commit(self, cut: _Cut, rows: Vectors) -> None:
        began = perf_counter()
        indexed = IndexedChunks(
            cut.chunks,
            [" ".join(self._analyser.terms(lexical_text(chunk))) for chunk in cut.chunks],
            [hashlib.sha256(text.encode()).digest() for text in cut.texts],
            rows,
        )
        gone: list[int] = []
        if cut.pending.row is None:
            added = self._ledger.put_chunks(self._space, cut.pending.document.id, indexed)
        else:
            added, gone = self._ledger.commit_document(cut.pending.row, self._space, indexed)
        if self._index is not None and (gone or added):
            index = self._index()
            if gone:
                index.delete(gone)
            if added:
                index.put(added, rows)
        self._times.write_s += perf_counter() - began
