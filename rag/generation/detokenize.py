"""Text from token ids as they come, whatever engine decodes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNDECODABLE = "\ufffd"  # what decoders put for bytes that are no character, or not yet one


class TextOfTokens:
    """Decodes ids piece by piece; the pieces joined are the text of all ids at once.

    A decoder needs to see the ids before (a word's first token carries its space, a character
    may span several tokens), so each step decodes the last few ids again and takes what is new.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []  # the ids of the last piece, then those not yet shown
        self._shown = 0  # of the window
        self._shown_text = ""

    def push(self, ids: Sequence[int]) -> str:
        """Return the text that ``ids`` complete; "" while a character is incomplete."""
        self._window.extend(ids)
        text = self._decode(self._window)
        if text.endswith(_UNDECODABLE):
            return ""
        piece = text[len(self._shown_text) :]
        if piece:
            self._window = self._window[self._shown :]
            self._shown = len(self._window)
            self._shown_text = self._decode(self._window)
        return piece

    def flush(self) -> str:
        """Return what is held back, without a character that never became complete."""
        text = self._decode(self._window) if self._window else ""
        return text[len(self._shown_text) :].rstrip(_UNDECODABLE)
