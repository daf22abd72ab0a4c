"""The bridge from a producer elsewhere to an iterator here.

The producer runs in a thread, or on an event loop. Its errors arrive, waiting for it can be
interrupted, and it stops when nobody reads any more. This module knows nothing about models:
items are whatever the producer emits.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
Stopped = Callable[[], bool]
Produce = Callable[[Callable[[T], None], Stopped], None]
"""``produce(emit, stopped)``; it ends soon once ``stopped()`` is true."""

logger = logging.getLogger(__name__)

_WAITING_ITEMS = 64  # a reader that lags further behind holds a producer in a thread up
_POLL_S = 0.1  # how often a blocked side looks whether the other is still there
_PATIENCE_S = 2.0  # with a producer that was told to stop, before going on without it


class Bridge(Generic[T]):
    """One way from one producer to one reader, who may leave at any time."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        # reentrant: a reader that is dropped may be collected in the producer's own thread,
        # while that holds the lock
        self._changed = threading.Condition(threading.RLock())
        self._ended = False
        self._error: BaseException | None = None
        self.abandoned = False

    def emit(self, item: T) -> None:
        """Wait for room, as long as somebody reads; else drop the item."""
        with self._changed:
            while len(self._items) >= _WAITING_ITEMS and not self.abandoned:
                self._changed.wait(_POLL_S)
            self.put(item)

    def put(self, item: T) -> None:
        """Hand over an item without waiting, as an event loop must."""
        with self._changed:
            if not self.abandoned:
                self._items.append(item)
                self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes; ``error`` is raised to the reader after the items."""
        with self._changed:
            if error is not None and self.abandoned:
                logger.warning("a generation failed after its reader had left", exc_info=error)
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def ticks(self, tick_s: float) -> Generator[T | None]:
        """Yield the items, and ``None`` whenever ``tick_s`` passed without one, until the end.

        Waiting is sliced by these: Windows delivers Ctrl-C only in between.
        """
        while True:
            with self._changed:
                arrived = self._changed.wait_for(lambda: self._items or self._ended, tick_s)
                item = self._items.popleft() if self._items else None
                self._changed.notify_all()
            if item is not None or not arrived:
                yield item
            elif self._error is not None:
                raise self._error
            else:
                return

    def abandon(self, patience_s: float) -> bool:
        """Tell the producer that nobody reads; return whether it ended within ``patience_s``."""
        with self._changed:
            self.abandoned = True
            self._items.clear()
            self._changed.notify_all()
            return bool(self._changed.wait_for(lambda: self._ended, patience_s))


def iterate(produce: Produce[T], *, cancelled: Stopped) -> Generator[T]:
    """Run ``produce(emit, stopped)`` in a thread and yield what it emits.

    The thread starts with the first ``next()``. Whatever ``produce`` raises is raised here,
    after what it had emitted. When the reader goes away (its page was closed, the iterator
    was dropped) ``stopped()`` turns true, so that the device does not work for nobody; a
    producer that does not obey within two seconds is left to end by itself.
    """
    for item in ticking(produce, cancelled=cancelled, tick_s=_POLL_S):
        if item is not None:
            yield item


def ticking(
    produce: Produce[T], *, cancelled: Stopped, tick_s: float, patience_s: float = _PATIENCE_S
) -> Generator[T | None]:
    """As ``iterate``, with a ``None`` whenever ``tick_s`` passed without anything.

    Closing waits ``patience_s`` for the producer.
    """
    bridge: Bridge[T] = Bridge()

    def run() -> None:
        error: BaseException | None = None
        try:
            produce(bridge.emit, lambda: bridge.abandoned or cancelled())
        except BaseException as caught:  # noqa: BLE001 - handed to the reader, who raises it
            error = caught
        bridge.end(error)

    worker = threading.Thread(target=run, name="generation", daemon=True)
    worker.start()
    try:
        yield from bridge.ticks(tick_s)
    finally:
        here = worker is threading.current_thread()  # which collects what nobody refers to
        if not bridge.abandon(0 if here else patience_s) and patience_s:
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
