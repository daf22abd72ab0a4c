"""Cuts, embeds and commits documents into one index version.

Small documents are embedded together, so that batches are full and sorted by length across
documents; each still commits in a transaction of its own, the moment its group is embedded.
Cutting and embedding run in threads beside the writing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from rag.indexing.assembly_line import (
    INDEX_FAILED,
    SPEED,
    AssemblyLine,
    Cut,
    Group,
    IndexEngines,
    Pending,
    StageTimes,
    failed,
)
from rag.retrieval.analyser import embedding_text, lexical_text, text_digest
from rag.storage.ledger import IndexedChunks
from rag.storage.passages import known_vectors
from rag.system.process import give_back
from rag.text.parse_errors import TEXT_ERRORS

if TYPE_CHECKING:
    from rag.protocols import Analyser, Embedder, Vector, VectorIndex, Vectors
    from rag.storage.ledger import Ledger
    from rag.types.documents import Chunk


_ENOUGH_S = 1.0  # a shorter run says little about the speed of the machine


class ReusingEmbedder:
    """Satisfies ``Embedder``. What was embedded once by the same embedder is not again.

    Rows taken from the ledger have its 16 bits, so that what is written again is the same.
    """

    def __init__(self, embedder: Embedder, ledger: Ledger) -> None:
        self.name, self.dim, self.max_tokens = embedder.name, embedder.dim, embedder.max_tokens
        self._embedder = embedder
        self._ledger = ledger
        self._embedded = 0
        self._seconds = 0.0

    def count_tokens(self, text: str) -> int:
        """Count tokens as the embedder does."""
        return self._embedder.count_tokens(text)

    def embed_query(self, text: str) -> Vector:
        """Return the embedder's vector."""
        return self._embedder.embed_query(text)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 rows, shape ``(len(texts), dim)``, in the given order."""
        digests = [text_digest(text) for text in texts]
        known = known_vectors(self._ledger, self.name, self.dim, digests)
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        fresh = [at for at, digest in enumerate(digests) if digest not in known]
        for at, digest in enumerate(digests):
            if digest in known:
                rows[at] = known[digest]
        if fresh:
            began = perf_counter()
            rows[fresh] = self._embedder.embed_passages([texts[at] for at in fresh])
            self._seconds += perf_counter() - began
            self._embedded += len(fresh)
        return rows

    def remember_speed(self) -> None:
        """Keep how fast passages were embedded, for estimates."""
        if self._seconds >= _ENOUGH_S:
            self._ledger.set_meta(SPEED + self.name, f"{self._embedded / self._seconds:.3f}")


logger = logging.getLogger(__name__)

GROUP = 64  # passages embedded before the next commit
GIVE_BACK_EVERY = 8 * GROUP  # passages; what batches leave free between blocks in use piles up
AHEAD_PAGES = 1000  # on the line, at most, when the next document is asked for: bounds memory


def text_to_embed(chunk: Chunk, embedder: Embedder) -> str:
    """Return what of a passage this embedder gets."""
    return embedding_text(chunk, limit=embedder.max_tokens, count=embedder.count_tokens)


def indexed_terms(chunk: Chunk, analyser: Analyser) -> str:
    """Return what of a passage the full-text index gets."""
    return " ".join(analyser.terms(lexical_text(chunk)))


class Indexer:
    """Writes into a space, and into the vector index where one is given."""

    def __init__(
        self,
        ledger: Ledger,
        engines: IndexEngines,
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
        self._since_given_back = 0  # passages

    def run(
        self,
        documents: Iterable[Pending],
        *,
        embedded: Callable[[Pending, int, int], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[Pending, int]]:
        """Yield each document once it is committed, with the number of its passages.

        ``embedded(pending, done, total)`` is told, from another thread, how far a group's
        passages are; embedding waits until it returns.
        """

        def embed(cuts: Sequence[Cut]) -> Vectors | None:
            return self._embed(cuts, embedded, cancelled)

        with AssemblyLine(cut=self._cut, embed=embed, group_passages=GROUP) as line:
            for pending in documents:
                if cancelled():
                    return
                line.put(pending)
                yield from self._drain(line, down_to=AHEAD_PAGES, cancelled=cancelled)
            line.flush()
            yield from self._drain(line, down_to=0, cancelled=cancelled)

    def _drain(
        self, line: AssemblyLine, *, down_to: int, cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Pending, int]]:
        """Commit what is finished, and wait until at most ``down_to`` pages are on the line."""
        while line.waiting_pages and not cancelled():
            wait = line.waiting_pages > down_to
            if wait:
                line.nudge()  # what waits for a full group would else be waited for forever
            group = line.finished(wait=wait)
            if group is None or group.rows is None:
                return
            yield from self._commit_all(group)

    # -- in the line's threads -------------------------------------------------------------

    def _cut(self, pending: Pending) -> Cut:
        """Return the document's passages; none, and why, where its text cannot be taken apart."""
        began = perf_counter()
        try:
            return self._passages_of(pending)
        except TEXT_ERRORS:
            logger.exception("document %s could not be indexed", pending.document.id)
            return Cut(failed(pending), [], [], [])
        finally:
            self._times.chunk_s += perf_counter() - began

    def _passages_of(self, pending: Pending) -> Cut:
        chunks = self._chunker.split(pending.document)
        return Cut(
            pending,
            chunks,
            [text_to_embed(chunk, self._embedder) for chunk in chunks],
            [indexed_terms(chunk, self._analyser) for chunk in chunks],
        )

    def _embed(
        self,
        cuts: Sequence[Cut],
        embedded: Callable[[Pending, int, int], None],
        cancelled: Callable[[], bool],
    ) -> Vectors | None:
        texts = [text for cut in cuts for text in cut.texts]
        rows = np.empty((len(texts), self._space.dim), np.float32)
        for start in range(0, len(texts), GROUP):
            if cancelled():
                return None
            began = perf_counter()
            part = slice(start, start + GROUP)
            rows[part] = self._embedder.embed_passages(texts[part])
            self._tidy_after(len(texts[part]))
            self._times.embed_s += perf_counter() - began
            embedded(cuts[-1].pending, min(start + GROUP, len(texts)), len(texts))
        return rows

    def _tidy_after(self, passages: int) -> None:
        self._since_given_back += passages
        if self._since_given_back >= GIVE_BACK_EVERY:
            self._since_given_back = 0
            give_back()

    # -- in the owner's thread -------------------------------------------------------------

    def _commit_all(self, group: Group) -> Iterator[tuple[Pending, int]]:
        assert group.rows is not None
        at = 0
        for cut in group.cuts:
            self._commit(cut, group.rows[at : at + len(cut.texts)])
            at += len(cut.texts)
            yield cut.pending, len(cut.texts)

    def _commit(self, cut: Cut, rows: Vectors) -> None:
        began = perf_counter()
        digests = [text_digest(text) for text in cut.texts]
        indexed = IndexedChunks(cut.chunks, cut.terms, digests, rows)
        gone: list[int] = []
        if cut.pending.row is None:
            added = self._ledger.put_chunks(self._space, cut.pending.document.id, indexed)
            if cut.pending.failed:
                self._ledger.set_failed(cut.pending.document.id, INDEX_FAILED)
        else:
            added, gone = self._ledger.commit_document(cut.pending.row, self._space, indexed)
        if self._index is not None and (gone or added):
            index = self._index()
            if gone:
                index.delete(gone)
            if added:
                index.put(added, rows)
        self._times.write_s += perf_counter() - began
