"""Who may use the machine: a question goes before indexing and text recognition.

Indexing asks between two batches whether it may go on; a question waits for nobody, so at most
one batch runs beside it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)
_LOOK_S = 0.1  # how soon one that gives way sees that the program is ending


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
