"""Worker processes that can be killed, and how a dead one's end is told.

Pebble runs them; it is wrapped so that a pool that broke is replaced, and so that every way
for a job to end badly becomes one ``Fault``.

A worker does not import the program that started it. ``multiprocessing`` runs the caller's main
file again in each new process: a script that uses this package at its top level, without asking
for its own name first, would start workers from its workers; and a large notebook or server
would be loaded once more in each. What the workers do lies in ``rag.ingestion.workers.tasks``,
so they need no main module at all.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pebble import ProcessExpired, ProcessPool

from rag.errors import RagError, UnreadableDocument
from rag.ingestion.workers.tasks import TOO_BIG, TOO_SLOW, Journal, start_worker
from rag.protocols import Cancelled, never
from rag.system.process import remove_left

if sys.platform == "win32":
    from multiprocessing.popen_spawn_win32 import Popen

    _LAUNCHES = "__init__"
else:
    from multiprocessing.popen_spawn_posix import Popen

    _LAUNCHES = "_launch"

if TYPE_CHECKING:
    from pebble import ProcessFuture


logger = logging.getLogger(__name__)
T = TypeVar("T")
_LOOK_S = 0.1
_RESTARTS = 3
_PREFIX = "ragdesk-"  # of folders for journals; the number of their process follows


class Fault(Exception):
    """A job ended badly. ``reason`` is ``timeout``, ``memory`` or ``crashed``."""

    def __init__(self, reason: str, *, part: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.part = part  # of the document, as the job last noted it


Failure = Fault | UnreadableDocument | OSError
Recover = Callable[[Failure, Cancelled], T]
"""Returns a result all the same, or raises what the caller is to see."""


class WorkerJob(Generic[T]):
    """Work that was sent to a worker process, and what is to be done where it fails."""

    def __init__(
        self,
        send: Callable[[], tuple[ProcessPool, ProcessFuture[T]]],
        journal: Journal,
        recover: Recover[T] | None,
    ) -> None:
        self._send = send
        self._journal = journal
        self._recover = recover
        self._pool, self._future = send()

    def result(self, *, cancelled: Cancelled = never) -> T:
        """Wait for the job; kill it once ``cancelled()`` is true.

        Raises:
            Fault: the worker crashed, took too long or too much memory; OSError: the file
                cannot be opened; UnreadableDocument: it cannot be read. With ``recover``,
                only what that raises.
            RagError: what else the job itself raised.
            CancelledError: it was cancelled.
        """
        try:
            return self._outcome(cancelled)
        except (Fault, UnreadableDocument, OSError) as error:
            if self._recover is None:
                raise
            return self._recover(error, cancelled)
        finally:
            self._journal.remove()

    def _outcome(self, cancelled: Cancelled) -> T:
        for _ in range(_RESTARTS):
            if self._wait(cancelled):
                return self._ended()
            self._pool, self._future = self._send()
        raise self._fault("crashed")

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
            raise self._fault("timeout") from error
        except ProcessExpired as error:
            reason = {TOO_SLOW: "timeout", TOO_BIG: "memory"}.get(error.exitcode, "crashed")
            raise self._fault(reason) from error
        except MemoryError as error:
            raise self._fault("memory") from error
        except (RagError, OSError, CancelledError):
            raise
        except Exception as error:
            # a reader's own bug on hostile input costs one page or document, never the batch
            logger.warning("a reader failed: %s", type(error).__name__, exc_info=error)
            raise self._fault("crashed") from error
        return value

    def _fault(self, reason: str) -> Fault:
        return Fault(reason, part=self._journal.part())

    def cancel(self) -> None:
        """Stop a job that nobody waits for; the worker is killed if it has begun."""
        self._future.cancel()


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder, after removing those of processes that were killed."""
    remove_left(Path(tempfile.gettempdir()), _PREFIX)
    return tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")


def _preparation(name: str) -> dict[str, Any]:
    """Return what a new process is told about its parent, without the parent's main module."""
    told = spawn.get_preparation_data(name)
    for key in ("init_main_from_name", "init_main_from_path"):
        told.pop(key, None)
    return told


def _with_our_preparation(launch: FunctionType) -> FunctionType:
    """Return a copy of the library's function that calls ``_preparation`` for its own.

    The copy has global names of its own: neither the library's module nor ``sys.modules`` is
    changed, not even for a moment, so what other threads of the caller start is not affected.
    """
    ours = SimpleNamespace(**{**vars(spawn), "get_preparation_data": _preparation})
    names = {**launch.__globals__, "spawn": ours}
    return FunctionType(
        launch.__code__, names, launch.__name__, launch.__defaults__, launch.__closure__
    )


_Popen = cast(
    "type[Popen]",
    type("_Popen", (Popen,), {_LAUNCHES: _with_our_preparation(getattr(Popen, _LAUNCHES))}),
)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 - the library's name
        return _Popen(process_obj)


class ApartContext(SpawnContext):
    """As ``multiprocessing.get_context("spawn")``, but the main module stays with the parent.

    What is sent to a process has to be importable by name from elsewhere than the main module.
    """

    Process = _Process


class WorkerProcesses:
    """Some worker processes of one kind; they start at their first job."""

    def __init__(self, *, count: int, niceness: int) -> None:
        self.count = count
        self.niceness = niceness
        self._pool: ProcessPool | None = None
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def send(
        self,
        task: Callable[..., T],
        *args: object,
        limit_s: float,
        recover: Recover[T] | None = None,
    ) -> WorkerJob[T]:
        """Let a worker do ``task(journal, *args)`` within ``limit_s``.

        ``recover`` is asked for the result where there is none.
        """
        with self._guard:
            self._folder = self._folder or _own_folder()
            journal = Journal(Path(self._folder.name) / str(next(self._numbers)))

        def send() -> tuple[ProcessPool, ProcessFuture[T]]:
            with self._guard:
                pool = self._running()
                return pool, pool.schedule(task, args=(journal.path, *args), timeout=limit_s)

        return WorkerJob(send, journal, recover)

    def _running(self) -> ProcessPool:
        """Return the pool; Pebble gives one up for good when a worker dies between two jobs."""
        if self._pool is not None and not self._pool.active:
            logger.warning("the worker processes ended unexpectedly; starting new ones")
            self._end()
        if self._pool is None:
            # spawn: a forked copy of a process with threads and a loaded model is not safe
            self._pool = ProcessPool(
                max_workers=self.count,
                initializer=start_worker,
                initargs=(self.niceness,),
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
