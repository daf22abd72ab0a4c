"""Ends a streamed text at a stop word, and never shows the beginning of one."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Holds back as much text as might be the beginning of a stop word.

    >>> stops = Stops(["END"])
    >>> stops.take("one E"), stops.take("N"), stops.take("T E"), stops.take("ND two")
    ('one ', '', 'ENT ', '')
    >>> stops.reached
    True
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        self._held = ""
        self.reached = False

    def take(self, text: str, *, last: bool = False) -> str:
        """Return what may be shown; with ``last`` nothing is held back any longer."""
        if self.reached:
            return ""
        self._held += text
        found = [at for word in self._words if (at := self._held.find(word)) >= 0]
        if found:
            self.reached = True
            return self._held[: min(found)]
        cut = len(self._held) - (0 if last else self._doubtful())
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def _doubtful(self) -> int:
        """Return how many characters at the end could begin a stop word."""
        longest = max((len(word) for word in self._words), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(word.startswith(self._held[-length:]) for word in self._words):
                return length
        return 0
