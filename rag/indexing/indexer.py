"""Cuts, embeds and commits documents into the index version that answers, or one beside it.

Small documents are embedded together, so that batches are full and sorted by length across
documents; each still commits in a transaction of its own, the moment its group is embedded.
Cutting and embedding run in threads beside the writing.

numpy is imported where it is needed: that takes longer than a sync that finds nothing to do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING

from rag.errors import IndexMismatch, ModelError
from rag.indexing.incoming import (
    INDEX_FAILED,
    IndexEngines,
    Pending,
    ProgressMeter,
    Report,
    StageTimes,
    failed,
    from_ledger,
)
from rag.storage.ledger import IndexedChunks
from rag.storage.status import remember_speed
from rag.system.process import give_back
from rag.text.parse_errors import TEXT_ERRORS
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.indexing.report import SyncReport
    from rag.protocols import Cancelled, VectorIndex, Vectors
    from rag.storage.ledger import Ledger
    from rag.types.documents import Chunk, IndexVersion


logger = logging.getLogger(__name__)
OpenIndex = Callable[[], "VectorIndex"]

GROUP = 64  # passages embedded before the next commit
GIVE_BACK_EVERY = 8 * GROUP  # passages; what batches leave free between blocks in use piles up
AHEAD_PAGES = 1000  # on the line, at most, when the next document is asked for: bounds memory
_ENOUGH_S = 1.0  # a shorter run says little about the speed of the machine


@dataclass(frozen=True, slots=True)
class WriteContext:
    """One sync or rebuild: where it counts, whom it tells, who may stop it."""

    result: SyncReport
    report: Report
    cancelled: Cancelled


class IndexWriter:
    """Knows the engines of every index version, and the vector index of the live one."""

    def __init__(
        self,
        ledger: Ledger,
        engines: Callable[[IndexVersion | None], IndexEngines],
        index: OpenIndex | None,
    ) -> None:
        """``engines(version)`` loads what an index version names; ``None`` makes a new one."""
        self._ledger = ledger
        self._index = index
        self.engines = engines

    def write(
        self,
        documents: Iterable[Pending],
        total: int,
        run: WriteContext,
        *,
        spare: IndexEngines | None = None,
    ) -> None:
        """Write into the live index version, or into ``spare`` where its embedder is not to be had.

        The first documents of all make the live index version.
        """
        run.report(Progress("read", 0, total, "documents"))  # the engines may be minutes away
        engines = self._live(spare)
        if self._ledger.active_version() is None:
            self._ledger.activate(engines.version)
        self._index_all(documents, total, run, engines, beside=engines is spare)

    def _live(self, spare: IndexEngines | None) -> IndexEngines:
        """Return the engines of the live index version, else ``spare``."""
        try:
            return self.engines(self._ledger.active_version())
        except (IndexMismatch, ModelError):
            if spare is None:
                raise
            return spare

    def complete_live(self, run: WriteContext, *, spare: IndexEngines | None = None) -> None:
        """Index what the ledger has read but the live index version lacks."""
        version = self._ledger.active_version()
        if version is None:
            return
        missing = self._ledger.missing_documents(version)
        if missing and self._live(spare) is not spare:
            self.write(from_ledger(self._ledger, missing), len(missing), run)

    def complete(self, engines: IndexEngines, run: WriteContext, *, anew: bool) -> None:
        """Index what an index version beside the live one lacks; ``anew`` embeds all again."""
        missing = self._ledger.missing_documents(engines.version)
        documents = from_ledger(self._ledger, missing)
        self._index_all(documents, len(missing), run, engines, beside=True, anew=anew)

    def _index_all(
        self,
        documents: Iterable[Pending],
        total: int,
        run: WriteContext,
        engines: IndexEngines,
        *,
        beside: bool,
        anew: bool = False,
    ) -> None:
        indexer = Indexer(
            self._ledger, engines,
            index=self._index, fills=not beside, reuse=not anew, times=run.result.times,
        )  # fmt: skip
        meter = ProgressMeter(run.report, total, "documents")

        def embedded(pending: Pending, done: int, of: int) -> None:
            meter.tell("embed", f"{pending.name} ({done}/{of})")

        for pending, passages in indexer.run(documents, embedded=embedded, cancelled=run.cancelled):
            run.result.add(pending, passages)
            meter.add(len(pending.document.pages))
            meter.tell("write", pending.name)
        indexer.remember_speed()


class Indexer:
    """Writes into an index version, and into the vector index where one is given."""

    def __init__(
        self,
        ledger: Ledger,
        engines: IndexEngines,
        *,
        index: OpenIndex | None,
        times: StageTimes,
        fills: bool = True,
        reuse: bool = False,
    ) -> None:
        """``index`` is that of the live index version; not ``fills``: it only loses what goes.

        With ``reuse``, what was embedded once by the same embedder is not again.
        """
        self._ledger = ledger
        self._engines = engines
        self._index = index
        self._times = times
        self._fills = fills
        self._reuse = reuse
        self._since_given_back = 0  # passages
        self._embedded, self._embedded_s = 0, 0.0  # passages, and how long that took

    def run(
        self,
        documents: Iterable[Pending],
        *,
        embedded: Callable[[Pending, int, int], None],
        cancelled: Cancelled,
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

    def remember_speed(self) -> None:
        """Keep how fast passages were embedded, for estimates."""
        if self._embedded_s >= _ENOUGH_S:
            name = self._engines.embedder.name
            remember_speed(self._ledger, f"embed {name}", self._embedded / self._embedded_s)

    # -- in the owner's thread -------------------------------------------------------------

    def _drain(
        self, line: AssemblyLine, *, down_to: int, cancelled: Cancelled
    ) -> Iterator[tuple[Pending, int]]:
        """Commit what is finished, and wait until at most ``down_to`` pages are on the line."""
        while line.waiting_pages and not cancelled():
            wait = line.waiting_pages > down_to
            if wait:
                line.nudge()  # what waits for a full group would else be waited for forever
            group = line.finished(wait=wait)
            if group is None or group.rows is None:
                return
            at = 0
            for cut in group.cuts:
                self._commit(cut, group.rows[at : at + len(cut.texts)])
                at += len(cut.texts)
                yield cut.pending, len(cut.texts)

    def _commit(self, cut: Cut, rows: Vectors) -> None:
        from rag.retrieval.analyser import text_digest  # with stemmers: not for an unchanged sync

        began = perf_counter()
        digests = [text_digest(text) for text in cut.texts]
        indexed = IndexedChunks(cut.chunks, cut.terms, digests, rows)
        version, pending = self._engines.version, cut.pending
        gone: list[int] = []
        if pending.row is None:
            added = self._ledger.put_chunks(version, pending.document.id, indexed)
            if pending.failed:
                self._ledger.set_failed(pending.document.id, INDEX_FAILED)
        else:
            added, gone = self._ledger.commit_document(pending.row, version, indexed)
        if self._index is not None and gone:
            self._index().delete(gone)
        if self._index is not None and added and self._fills:
            self._index().put(added, rows)
        self._times.write_s += perf_counter() - began

    # -- in the line's threads -------------------------------------------------------------

    def _cut(self, pending: Pending) -> Cut:
        """Return the document's passages; none, and why, where its text cannot be taken apart."""
        began = perf_counter()
        try:
            chunks = self._engines.chunker.split(pending.document)
            return Cut(pending, chunks, *indexed_texts(self._engines, chunks))
        except TEXT_ERRORS:
            logger.exception("document %s could not be indexed", pending.document.id)
            return Cut(failed(pending), [], [], [])
        finally:
            self._times.chunk_s += perf_counter() - began

    def _embed(
        self,
        cuts: Sequence[Cut],
        embedded: Callable[[Pending, int, int], None],
        cancelled: Cancelled,
    ) -> Vectors | None:
        import numpy as np

        texts = [text for cut in cuts for text in cut.texts]
        rows = np.empty((len(texts), self._engines.version.dim), np.float32)
        for start in range(0, len(texts), GROUP):
            if cancelled():
                return None
            began = perf_counter()
            part = slice(start, start + GROUP)
            self._embed_into(rows[part], texts[part])
            self._since_given_back += len(texts[part])
            if self._since_given_back >= GIVE_BACK_EVERY:
                self._since_given_back = 0
                give_back()
            self._times.embed_s += perf_counter() - began
            embedded(cuts[-1].pending, min(start + GROUP, len(texts)), len(texts))
        return rows

    def _embed_into(self, rows: Vectors, texts: Sequence[str]) -> None:
        """Fill ``rows``, shape ``(len(texts), dim)``.

        What is taken from the ledger has its 16 bits, so that what is written again is the same.
        """
        from rag.retrieval.analyser import text_digest
        from rag.storage.passages import known_vectors

        embedder = self._engines.embedder
        digests = [text_digest(text) for text in texts] if self._reuse else []
        known = known_vectors(self._ledger, embedder.name, embedder.dim, digests)
        for at, digest in enumerate(digests):
            if digest in known:
                rows[at] = known[digest]
        fresh = [at for at in range(len(texts)) if not known or digests[at] not in known]
        if fresh:
            began = perf_counter()
            rows[fresh] = embedder.embed_passages([texts[at] for at in fresh])
            self._embedded_s += perf_counter() - began
            self._embedded += len(fresh)


def indexed_texts(engines: IndexEngines, chunks: Iterable[Chunk]) -> tuple[list[str], list[str]]:
    """Return what of each passage the embedder gets, and what the full-text index gets."""
    from rag.retrieval.analyser import embedding_text, lexical_text

    embedder, analyser = engines.embedder, engines.analyser
    limit, count = embedder.max_tokens, embedder.count_tokens
    return (
        [embedding_text(chunk, limit=limit, count=count) for chunk in chunks],
        [" ".join(analyser.terms(lexical_text(chunk))) for chunk in chunks],
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """A document's passages; all sequences run in parallel."""

    pending: Pending
    chunks: list[Chunk]
    texts: list[str]  # to embed
    terms: list[str]  # to search by words, separated by spaces


@dataclass(frozen=True, slots=True)
class Group:
    """Documents whose passages were embedded together. No rows: it was cancelled."""

    cuts: Sequence[Cut]
    rows: Vectors | None


class AssemblyLine:
    """Two threads: one cuts documents, one embeds what was cut. Methods belong to its owner.

    Who owns the line puts documents in and takes finished groups out, in the same order, and
    writes them meanwhile. Libraries that compute let go of Python's lock, so the three overlap.
    How much is on the line at once is the owner's choice: see ``waiting_pages``.
    """

    def __init__(
        self,
        *,
        cut: Callable[[Pending], Cut],
        embed: Callable[[Sequence[Cut]], Vectors | None],
        group_passages: int,
    ) -> None:
        """A group is embedded as soon as it has ``group_passages``, or at ``flush``."""
        self._cut = cut
        self._embed = embed
        self._size = group_passages
        self._group: list[Cut] = []  # of the cutting thread only
        self._finished: SimpleQueue[Group | BaseException] = SimpleQueue()
        self._stopped = threading.Event()
        self._cutter = ThreadPoolExecutor(1, thread_name_prefix="cut")
        self._embedder = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._sent = 0  # groups; counted by the cutting thread
        self._taken = 0
        self.waiting_pages = 0  # of documents put in and not yet taken out; one at least of each

    def __enter__(self) -> AssemblyLine:
        return self

    def __exit__(self, *_: object) -> None:
        """Drop what is on the line; returns when the batch in work is done."""
        self._stopped.set()
        self._cutter.shutdown(cancel_futures=True)
        self._embedder.shutdown(cancel_futures=True)

    def put(self, pending: Pending) -> None:
        """Put a document in. Returns at once."""
        self.waiting_pages += pending.weight
        self._cutter.submit(self._guarded, lambda: self._take(pending))

    def flush(self) -> None:
        """Have embedded what was put in so far, though the group is not full."""
        self._cutter.submit(self._guarded, self._send)

    def nudge(self) -> None:
        """Do not let embedding rest because a group is not full. Before a wait."""
        self._cutter.submit(self._guarded, lambda: self._send(if_idle=True))

    def finished(self, *, wait: bool) -> Group | None:
        """Take the next group out; without ``wait``, ``None`` if none is done.

        Raises:
            BaseException: what the cutting or embedding of a document raised.
        """
        try:
            found = self._finished.get(block=wait)
        except Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        self._taken += 1
        self.waiting_pages -= sum(cut.pending.weight for cut in found.cuts)
        return found

    # -- in the two threads ----------------------------------------------------------------

    def _take(self, pending: Pending) -> None:
        self._group.append(self._cut(pending))
        if sum(len(cut.texts) for cut in self._group) >= self._size:
            self._send()

    def _send(self, *, if_idle: bool = False) -> None:
        busy = if_idle and self._sent > self._taken
        if self._group and not busy and not self._stopped.is_set():
            group, self._group = self._group, []
            self._sent += 1
            self._embedder.submit(
                self._guarded, lambda: self._finished.put(Group(group, self._embed(group)))
            )

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do it; what it raises is raised again where the groups are taken out."""
        if self._stopped.is_set():
            return
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - nobody looks at the future
            self._stopped.set()
            self._finished.put(error)
