"""The background parts of the app, each in a thread: none dies unseen, a question goes before all.

What a part raises, whatever it is, becomes words that the screen shows, with a remedy; the part
begins again, or stays stopped where beginning again cannot help. Indexing and text recognition
ask between two batches whether they may go on; a question waits for nobody, so at most one batch
runs beside it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rag.errors import RagError
from rag.text.messages import Text

logger = logging.getLogger(__name__)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 10.0
"""A part that has run for so long since it began again is taken to work."""
_LOOK_S = 0.1  # how soon one that gives way sees that the program is ending

_AGAIN = Text(
    "It is tried again by itself; if it goes on, start the app anew. Its terminal shows the "
    "details.",
    "程序会自动重试；如果持续出现，请重新启动应用。终端里有详细信息。",
)
_ANEW = Text(
    "Start the app anew; its terminal shows the details.",
    "请重新启动应用；终端里有详细信息。",
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the app that works in a thread of its own.

    ``work`` returns when the app ends, or when nothing is left to do. ``title`` names it on the
    screen. ``again`` is whether ``work`` can be called anew after it has failed.
    """

    name: str  # of the thread
    title: Text
    work: Callable[[], object]
    again: bool = True


@dataclass(slots=True)
class _State:
    thread: threading.Thread
    failure: Text | None = None
    resumed_at: float | None = None  # since the failure; None while it stands still


class Supervisor:
    """Starts parts, and knows which of them have failed. Safe to ask from any thread."""

    def __init__(
        self,
        stopping: threading.Event,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``stopping`` is set when the app ends: nothing is begun again then.

        ``first_pause_s`` passes before a part begins again; it doubles with each failure.
        """
        self._stopping = stopping
        self._first_pause_s = first_pause_s
        self._clock = clock
        self._states: dict[str, _State] = {}

    def start(self, part: Part) -> None:
        """Begin a part."""
        thread = threading.Thread(
            target=self._keep_going, args=(part,), name=f"app-{part.name}", daemon=True
        )
        self._states[part.name] = _State(thread)
        thread.start()

    @property
    def failures(self) -> tuple[Text, ...]:
        """What does not work now, and why; one that works again is left out."""
        return tuple(
            state.failure
            for state in list(self._states.values())
            if state.failure is not None and not self._steady(state)
        )

    def join(self, *, timeout_s: float) -> None:
        """Wait for the parts to end; they are to be told by ``stopping`` first."""
        for name, state in list(self._states.items()):
            state.thread.join(timeout_s)
            if state.thread.is_alive():
                logger.warning("%s is still running; the app ends without it", name)

    def _steady(self, state: _State) -> bool:
        return state.resumed_at is not None and self._clock() - state.resumed_at > STEADY_S

    def _keep_going(self, part: Part) -> None:
        state, pause_s = self._states[part.name], self._first_pause_s
        while not self._ends_well(part, state):
            if not part.again or self._stopping.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            state.resumed_at = self._clock()

    def _ends_well(self, part: Part, state: _State) -> bool:
        """Do the work; what it raises is logged and kept for the screen."""
        try:
            part.work()
        except BaseException as error:  # a library that calls exit() must not go unseen either
            logger.exception("%s failed", part.name)
            state.failure, state.resumed_at = _words(part, error), None
            return False
        state.failure = None
        return True


def _words(part: Part, error: BaseException) -> Text:
    if isinstance(error, RagError):
        what, hint = error.message, error.hint
    else:
        detail = f"{type(error).__name__}: {error}"
        what, hint = Text(f"{detail}.", f"{detail}。"), _AGAIN if part.again else _ANEW
    return Text(
        f"{part.title.en} failed. {what.en} {hint.en}",
        f"{part.title.zh}失败。{what.zh}{hint.zh}",
    )


class Scheduler:
    """Counts the questions under way. Safe to use from several threads."""

    def __init__(self, *, idle: Callable[[], object] = lambda: None) -> None:
        """``idle`` is called whenever the last question has ended, before work goes on.

        What it raises is logged; it stops neither the question nor the work.
        """
        self._change = threading.Condition()
        self._questions = 0
        self._idle = idle

    @property
    def asking(self) -> bool:
        """Whether a question is under way."""
        return self._questions > 0

    @contextmanager
    def question(self) -> Iterator[None]:
        """Hold back other work meanwhile."""
        with self._change:
            self._questions += 1
        try:
            yield
        finally:
            with self._change:
                self._questions -= 1
                self._change.notify_all()
                if not self._questions:
                    self._tidy()  # the work that was woken waits for the lock until it is done

    def _tidy(self) -> None:
        try:
            self._idle()
        except Exception:
            logger.exception("what is done after the last question failed")

    def give_way(self, stopped: Callable[[], bool]) -> None:
        """Return once no question is under way, or the program is ending."""
        with self._change:
            while self._questions and not stopped():
                self._change.wait(_LOOK_S)
