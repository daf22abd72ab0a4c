"""An event loop in a thread of its own, on which one model's answers run side by side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TypeVar

from rag.generation.streaming import Bridge

T = TypeVar("T")
Work = Callable[[], Coroutine[None, None, None]]

_PATIENCE_S = 2.0  # with what was told to end, before going on without it


class Loop:
    """Starts with its first task. Connections belong to a loop, so a model keeps to one."""

    def __init__(self, close: Work | None = None) -> None:
        """``close`` runs on the loop when it stops, to let go of connections."""
        self._close = close
        self._guard = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self.closed = False

    def submit(self, work: Work, bridge: Bridge[T]) -> Callable[[], None] | None:
        """Start ``work``, which fills ``bridge``; ``None`` if the loop was stopped.

        What is returned ends the work, and waits until its connection is closed.
        """
        with self._guard:
            if self.closed:
                return None
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name="langchain", daemon=True)
                thread.start()
                self._running = loop, thread
            return _begin(self._running[0], work, bridge)

    def stop(self) -> None:
        """Cancel what runs, and end the thread."""
        with self._guard:
            self.closed = True
            running, self._running = self._running, None
        if running is not None:
            loop, thread = running
            asyncio.run_coroutine_threadsafe(self._wind_up(), loop)
            thread.join(_PATIENCE_S)

    async def _wind_up(self) -> None:
        loop = asyncio.get_running_loop()
        others = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        try:
            if self._close is not None:
                await self._close()
        finally:
            loop.call_soon(loop.stop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _begin(loop: asyncio.AbstractEventLoop, work: Work, bridge: Bridge[T]) -> Callable[[], None]:
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        tasks.append(loop.create_task(work()))
        tasks[0].add_done_callback(note)

    def note(task: asyncio.Task[None]) -> None:
        cancelled = task.cancelled()
        error = None if cancelled else task.exception()
        bridge.end(asyncio.CancelledError() if cancelled and not bridge.abandoned else error)

    def cancel() -> None:
        bridge.abandon(0)
        try:
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        except RuntimeError:  # the loop has ended, and this with it
            return
        bridge.abandon(_PATIENCE_S)

    # in a context of its own: what the caller has switched on, such as tracing, stays out
    loop.call_soon_threadsafe(start, context=Context())
    return cancel
