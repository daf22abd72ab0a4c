"""What an answer calls while it is made: one asks whether to stop, one streams its ids."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from rag.generate.detokenize import TextOfTokens
from rag.generate.streaming import Stopped
from rag.types import Delta, FinishReason

Emit = Callable[[Delta], None]


class Cancelled(Exception):
    """Leaves a prompt that is being read."""


class Watch:
    """Asks whether to stop, and remembers that it was so."""

    def __init__(self, stopped: Stopped) -> None:
        self._stopped = stopped
        self.struck = False

    def look(self) -> bool:
        """Return whether to stop; once true, always true."""
        self.struck = self.struck or self._stopped()
        return self.struck


class Reply:
    """Takes the ids of an answer one by one and emits their text."""

    def __init__(self, tokenizer: Any, emit: Emit, *, ends: Collection[int], limit: int) -> None:
        """``ends`` are the ids that close an answer; ``limit`` is its length in tokens."""
        self._text = TextOfTokens(
            lambda ids: tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
        self._emit = emit
        self._ends = frozenset(ends)
        self._limit = limit
        self._count = 0
        self.finished = False

    def read(self, share: float) -> None:
        """Tell how much of the prompt is computed."""
        self._emit(Delta("", 0, prompt_read=share))

    def take(self, token: int, watch: Watch) -> bool:
        """Emit one more token; true if it was the last, or the answer is cancelled."""
        self._count += 1
        self._emit(Delta(self._text.push([token]), 1))
        if token in self._ends:
            self.finish("stop")
        elif watch.look():
            self.finish("cancelled")
        elif self._count >= self._limit:
            self.finish("length")
        else:
            return False
        return True

    def finish(self, reason: FinishReason) -> None:
        """Emit the last delta."""
        self.finished = True
        self._emit(Delta(self._text.flush(), 0, reason))
