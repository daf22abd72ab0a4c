"""Documents read in the workers, a few ahead of the one that is wanted next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from time import perf_counter
from typing import TYPE_CHECKING

from rag.indexing.incoming import to_pending

if TYPE_CHECKING:
    from rag.indexing.assembly_line import Pending
    from rag.indexing.writer import WriteContext
    from rag.ingestion.scan import FoundFile
    from rag.ingestion.workers.pool import WorkerPool
    from rag.ingestion.workers.process import WorkerJob
    from rag.types.documents import Document


def read_ahead(
    pool: WorkerPool, new: Mapping[str, Sequence[FoundFile]], run: WriteContext
) -> Iterator[tuple[str, Pending]]:
    """Yield each document's id and content, in the given order, until the run is cancelled."""
    waiting: deque[tuple[str, WorkerJob[Document]]] = deque()
    queue = deque(new)
    try:
        while queue or waiting:
            while queue and len(waiting) < pool.ahead:
                identity = queue.popleft()
                path = new[identity][0].real
                waiting.append((identity, pool.read(path, document_id=identity)))
            identity, reading = waiting.popleft()
            began = perf_counter()
            try:
                pending = to_pending(identity, reading, new[identity], cancelled=run.cancelled)
            except CancelledError:
                return
            run.result.times.parse_s += perf_counter() - began
            yield identity, pending
    finally:
        for _, reading in waiting:
            reading.cancel()
