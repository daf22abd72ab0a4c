"""Read an iterator from another thread, so that waiting for it can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from rag.generation.streaming import Stopped, ticking
from rag.protocols import never

T = TypeVar("T")


def pumped(source: Callable[[], Iterator[T]], *, tick_s: float) -> Generator[T | None]:
    """Yield what ``source()`` yields, and ``None`` whenever ``tick_s`` passed without anything.

    Closing this iterator returns at once; the thread lets go of the source at its next item.
    What the source raises is raised here.
    """

    def produce(emit: Callable[[T], None], stopped: Stopped) -> None:
        given = source()
        try:
            for item in given:
                emit(item)
                if stopped():
                    break
        finally:
            if isinstance(given, Generator):
                given.close()

    return ticking(produce, cancelled=never, tick_s=tick_s, patience_s=0)
