"""Work beside the model that answers: places on pages are found in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

from rag.protocols import Cancelled

T = TypeVar("T")
_TICK_S = 0.05  # how soon Stop is noticed


class BackgroundThread:
    """One question's thread. Use it as a context manager; its end waits for nothing.

    What is under way then ends by itself, what waits is never begun.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="places")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def __call__(self, find: Callable[[], T]) -> Future[T]:
        """Begin ``find``, after what was begun before."""
        return self._thread.submit(find)


def wait_for(future: Future[Any], cancelled: Cancelled) -> bool:
    """Wait for a result; return false if the person stopped waiting."""
    while not future.done():
        if cancelled():
            return False
        wait([future], timeout=_TICK_S)
    return True
