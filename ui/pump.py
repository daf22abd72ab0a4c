"""Read an iterator from another thread, so that waiting for it can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def pumped(source: Callable[[], Iterator[T]], *, tick_s: float) -> Generator[T | None]:
    """Yield what ``source()`` yields, and ``None`` whenever ``tick_s`` passed without anything.

    Closing this iterator returns at once; the thread lets go of the source at its next item.
    What the source raises is raised here.
    """
    items: SimpleQueue[object] = SimpleQueue()
    abandoned = Flag()
    Thread(target=_pull, args=(source, items, abandoned), name="answer", daemon=True).start()
    try:
        while True:
            try:
                item = items.get(timeout=tick_s)
            except Empty:
                yield None
                continue
            if item is _END:
                return
            if isinstance(item, _Failed):
                raise item.error
            yield item  # type: ignore[misc]  # only items of the source are left
    finally:
        abandoned.set()


def _pull(source: Callable[[], Iterator[T]], items: SimpleQueue[object], abandoned: Flag) -> None:
    try:
        given = source()
        try:
            for item in given:
                items.put(item)
                if abandoned.is_set():
                    break
        finally:
            if isinstance(given, Generator):
                given.close()
    except BaseException as error:  # noqa: BLE001  # handed over and raised where it is awaited
        items.put(_Failed(error))
    else:
        items.put(_END)
