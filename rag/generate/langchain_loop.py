"""An event loop in a thread of its own, on which one model's answers run side by side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context

Work = Callable[[], Coroutine[None, None, None]]

_PATIENCE_S = 2.0  # with what was told to end, before going on without it


class Task:
    """One piece of work on the loop, as other threads see it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Work) -> None:
        self._loop = loop
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._work = work
        self.error: BaseException | None = None
        # in a context of its own: what the caller has switched on, such as tracing, stays out
        loop.call_soon_threadsafe(self._start, context=Context())

    @property
    def ended(self) -> bool:
        """Whether it is over; ``error`` is what it raised."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """End it, and wait until its connection is closed."""
        if self.ended:
            return
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop has ended, and this with it
            return
        self._ended.wait(_PATIENCE_S)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._work())
        self._task.add_done_callback(self._note)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _note(self, task: asyncio.Task[None]) -> None:
        self.error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._ended.set()


class Loop:
    """Starts with its first task. Connections belong to a loop, so a model keeps to one."""

    def __init__(self, close: Work | None = None) -> None:
        """``close`` runs on the loop when it stops, to let go of connections."""
        self._close = close
        self._guard = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self.closed = False

    def submit(self, work: Work) -> Task | None:
        """Start ``work``; ``None`` if the loop was stopped."""
        with self._guard:
            if self.closed:
                return None
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name="langchain", daemon=True)
                thread.start()
                self._running = loop, thread
            return Task(self._running[0], work)

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
