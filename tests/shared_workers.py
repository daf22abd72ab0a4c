"""Worker processes that the tests of many files use: to start one takes half a second."""

from __future__ import annotations

from typing import Any

from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.process import WorkerProcesses

_KEPT: dict[tuple[str, int, int], WorkerProcesses] = {}


class SharedWorkers(WorkerPool):
    """As the app's own pool, but its processes stay when it is closed, for the next one.

    Not for tests in which workers are to run as another user, or with another environment.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._readers = _kept("read", self._readers)
        self._viewers = _kept("view", self._viewers)
        self._recognisers = _kept("recognise", self._recognisers)

    def close(self) -> None:
        """Leave the processes to the next pool; ``end`` ends them."""


def _kept(role: str, processes: WorkerProcesses) -> WorkerProcesses:
    return _KEPT.setdefault((role, processes.count, processes.niceness), processes)


def end() -> None:
    """End the processes, after the last test."""
    while _KEPT:
        _KEPT.popitem()[1].close()
