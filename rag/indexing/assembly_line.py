"""An assembly line of two threads: one cuts documents, one embeds and commits what was cut.

Who owns the line puts documents in and takes finished groups out, in the same order, and
writes them meanwhile. Libraries that compute let go of Python's lock, so the three overlap.
How much is on the line at once is the owner's choice: see ``waiting_pages``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.protocols import Analyser, Chunker, Embedder, Vectors
    from rag.storage.ledger import DocumentRow
    from rag.types.documents import Chunk, Document, IndexVersion


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
class IndexEngines:
    """A space, with the engines its name stands for."""

    space: IndexVersion
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


@dataclass(frozen=True, slots=True)
class Group:
    """Documents whose passages were embedded together. No rows: it was cancelled."""

    cuts: Sequence[Cut]
    rows: Vectors | None


class AssemblyLine:
    """Cuts and embeds. All methods belong to the thread that made it."""

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what is on the line; returns when the batch in work is done."""
        self._stopped.set()
        self._cutter.shutdown(cancel_futures=True)
        self._embedder.shutdown(cancel_futures=True)

    def put(self, pending: Pending) -> None:
        """Put a document in. Returns at once."""
        self.waiting_pages += _weight(pending)
        self._cutter.submit(self._guarded, lambda: self._take(pending))

    def flush(self) -> None:
        """Have embedded what was put in so far, though the group is not full."""
        self._cutter.submit(self._guarded, self._send)

    def nudge(self) -> None:
        """Do not let embedding rest because a group is not full. Before a wait."""
        self._cutter.submit(self._guarded, self._send_if_idle)

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
        self.waiting_pages -= sum(_weight(cut.pending) for cut in found.cuts)
        return found

    # -- in the two threads ----------------------------------------------------------------

    def _take(self, pending: Pending) -> None:
        self._group.append(self._cut(pending))
        if sum(len(cut.texts) for cut in self._group) >= self._size:
            self._send()

    def _send(self) -> None:
        if self._group and not self._stopped.is_set():
            group, self._group = self._group, []
            self._sent += 1
            self._embedder.submit(
                self._guarded, lambda: self._finished.put(Group(group, self._embed(group)))
            )

    def _send_if_idle(self) -> None:
        if self._sent == self._taken:
            self._send()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do it; what it raises is raised again where the groups are taken out."""
        if self._stopped.is_set():
            return
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - nobody looks at the future
            self._stopped.set()
            self._finished.put(error)


def _weight(pending: Pending) -> int:
    return max(1, len(pending.document.pages))  # a file that could not be read has none
