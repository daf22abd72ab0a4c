"""Worker processes that can be killed, and how a dead one's end is told.

Pebble runs them; it is wrapped so that a pool that broke is replaced, and so that every way
for a job to end badly becomes one ``Fault``.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import psutil
from pebble import ProcessExpired, ProcessPool

from rag.errors import RagError
from rag.ingestion.workers.spawning import ApartContext
from rag.ingestion.workers.tasks import start_worker
from rag.ingestion.workers.watchdog import TOO_BIG, TOO_SLOW, Journal
from rag.protocols import Cancelled, never

if TYPE_CHECKING:
    from pebble import ProcessFuture


logger = logging.getLogger(__name__)
T = TypeVar("T")
_LOOK_S = 0.1
_RESTARTS = 3
_PREFIX = "ragdesk-"  # of folders for journals; the number of their process follows
_Started = tuple["ProcessPool", "ProcessFuture[T]"]


class Fault(Exception):
    """A job ended badly. ``reason`` is ``timeout``, ``memory`` or ``crashed``."""

    def __init__(self, reason: str, *, part: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.part = part  # of the document, as the job last noted it


class Errand(Generic[T]):
    """A job on its way."""

    def __init__(self, start: Callable[[Path], _Started[T]], journal: Journal) -> None:
        self._start = start
        self._journal = journal
        self._pool, self._future = start(journal.path)

    def result(self, *, cancelled: Cancelled = never) -> T:
        """Wait for the job; kill it once ``cancelled()`` is true.

        Raises:
            Fault: the worker crashed, took too long or too much memory.
            RagError: what the job itself raised.
            OSError: the file cannot be opened.
            CancelledError: it was cancelled.
        """
        try:
            for _ in range(_RESTARTS):
                if self._wait(cancelled):
                    return self._ended()
                self._pool, self._future = self._start(self._journal.path)
            raise Fault("crashed", part=self._journal.part())
        finally:
            self._journal.remove()

    def _wait(self, cancelled: Cancelled) -> bool:
        """Return whether the job ended; if not, its pool broke, and it must be sent again."""
        while not wait([self._future], timeout=_LOOK_S).done:
            if cancelled():
                self._future.cancel()
                raise CancelledError
            if not self._pool.active and not self._future.done():
                return False
        return self._future.cancelled() or not isinstance(
            self._future.exception(), BrokenProcessPool
        )

    def _ended(self) -> T:
        try:
            value: T = self._future.result()
        except FutureTimeout as error:
            raise Fault("timeout", part=self._journal.part()) from error
        except ProcessExpired as error:
            reason = {TOO_SLOW: "timeout", TOO_BIG: "memory"}.get(error.exitcode, "crashed")
            raise Fault(reason, part=self._journal.part()) from error
        except MemoryError as error:
            raise Fault("memory", part=self._journal.part()) from error
        except (RagError, OSError, CancelledError):
            raise
        except Exception as error:
            # a reader's own bug on hostile input costs one page or document, never the batch
            logger.warning("a reader failed: %s", type(error).__name__, exc_info=error)
            raise Fault("crashed", part=self._journal.part()) from error
        return value

    def cancel(self) -> None:
        """Stop; the worker is killed if it has begun."""
        self._future.cancel()


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder, after removing those of processes that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")


class Crew:
    """Some worker processes of one kind; they start at their first job."""

    def __init__(self, *, workers: int, niceness: int) -> None:
        self.workers = workers
        self._niceness = niceness
        self._pool: ProcessPool | None = None
        self._guard = threading.Lock()
        self._numbers = count()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def send(
        self, task: Callable[..., T], make: Callable[[Path], tuple[Any, ...]], limit_s: float
    ) -> Errand[T]:
        """Let a worker do ``task`` with the arguments that ``make(journal)`` returns."""

        def start(journal: Path) -> _Started[T]:
            with self._guard:
                pool = self._running()
                return pool, pool.schedule(task, args=make(journal), timeout=limit_s)

        with self._guard:
            self._folder = self._folder or _own_folder()
            path = Path(self._folder.name) / str(next(self._numbers))
        return Errand(start, Journal(path))

    def _running(self) -> ProcessPool:
        """Return the pool; Pebble gives one up for good when a worker dies between two jobs."""
        if self._pool is not None and not self._pool.active:
            logger.warning("the worker processes ended unexpectedly; starting new ones")
            self._end()
        if self._pool is None:
            # spawn: a forked copy of a process with threads and a loaded model is not safe
            self._pool = ProcessPool(
                max_workers=self.workers,
                initializer=start_worker,
                initargs=(self._niceness,),
                context=ApartContext(),
            )
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def close(self) -> None:
        """Kill the workers."""
        with self._guard:
            self._end()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None
