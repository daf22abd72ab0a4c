"""Reads a blocking producer as an iterator: its errors arrive, and it stops when abandoned.

This module knows nothing about models. Items are whatever the producer emits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
Stopped = Callable[[], bool]

logger = logging.getLogger(__name__)

_QUEUE_ITEMS = 64  # a reader that lags further behind holds the producer up
_POLL_S = 0.1  # how often a blocked side looks whether the other is still there
_PATIENCE_S = 2.0  # with a producer that was told to stop, before going on without it


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Pipe(Generic[T]):
    """One way from a producer to a reader, who may leave at any time."""

    def __init__(self) -> None:
        self.abandoned = threading.Event()
        self._items: Queue[T | _End] = Queue(maxsize=_QUEUE_ITEMS)

    def send(self, item: T | _End) -> None:
        """Wait for room, as long as somebody reads; else drop the item."""
        while not self.abandoned.is_set():
            try:
                self._items.put(item, timeout=_POLL_S)
            except Full:
                continue
            return

    def receive(self) -> T | _End:
        """Wait for an item, in slices: Windows delivers Ctrl-C only between them."""
        while True:
            try:
                return self._items.get(timeout=_POLL_S)
            except Empty:
                continue


def iterate(
    produce: Callable[[Callable[[T], None], Stopped], None], *, cancelled: Stopped
) -> Generator[T]:
    """Run ``produce(emit, stopped)`` in a thread and yield what it emits.

    The thread starts with the first ``next()``. Whatever ``produce`` raises is raised here,
    after what it had emitted. When the reader goes away (its page was closed, the iterator
    was dropped) ``stopped()`` turns true, so that the device does not work for nobody; a
    producer that does not obey within two seconds is left to end by itself.
    """
    pipe: _Pipe[T] = _Pipe()

    def run() -> None:
        error: BaseException | None = None
        try:
            produce(pipe.send, lambda: pipe.abandoned.is_set() or cancelled())
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
            error = caught
        if error is not None and pipe.abandoned.is_set():
            logger.warning("a generation failed after its reader had left", exc_info=error)
        pipe.send(_End(error))

    worker = threading.Thread(target=run, name="generation", daemon=True)
    worker.start()
    try:
        while not isinstance(item := pipe.receive(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        pipe.abandoned.set()
        worker.join(_PATIENCE_S)
        if worker.is_alive():
            logger.warning("a generation is still ending; the next one waits for it")


class OneAtATime:
    """Lets one generation use a model at a time, and none once the model is unloaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._counting = threading.Lock()
        self._waiting = 0

    @property
    def closed(self) -> bool:
        """Whether the model is unloaded, or about to be."""
        return self._closed.is_set()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the model, or it is to be unloaded."""
        return self._waiting > 0 or self.closed

    @contextmanager
    def spare(self) -> Iterator[bool]:
        """Take the model only if nobody has it; who does is to give way once it is ``wanted``."""
        held = not self.wanted and self._lock.acquire(blocking=False)
        try:
            yield held
        finally:
            if held:
                self._lock.release()

    @contextmanager
    def turn(self, stopped: Stopped) -> Iterator[bool]:
        """Wait for the model; false, without it, if ``stopped()`` or unloading came first."""
        held = self._wait(stopped)
        try:
            yield held and not self.closed
        finally:
            if held:
                self._lock.release()

    def _wait(self, stopped: Stopped) -> bool:
        held = False
        with self._counting:
            self._waiting += 1
        try:
            while not (held or stopped() or self.closed):
                held = self._lock.acquire(timeout=_POLL_S)
        finally:
            with self._counting:
                self._waiting -= 1
        return held

    def close(self) -> None:
        """Let no generation begin, and wait for the running one, two seconds at most.

        One that runs has to look at ``closed`` itself.
        """
        self._closed.set()
        if self._lock.acquire(timeout=_PATIENCE_S):
            self._lock.release()
