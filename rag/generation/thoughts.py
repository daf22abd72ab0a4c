"""Keeps what a model thinks aloud out of its answer.

The evidence is in the passages, so engines ask for answers without thoughts, through the chat
template or the server's own word for it. A model that thinks all the same, or whose template
knows no such word, is cut here: what stands between the marks is never shown, however the pieces
of the stream fall.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

from rag.generation.engine_errors import only_thoughts
from rag.types.answers import Delta

OPENED, CLOSED = "<think>", "</think>"
MARKS = ((OPENED, CLOSED), ("[THINK]", "[/THINK]"))
"""How thoughts begin and end: Qwen3, DeepSeek-R1, GLM, SmolLM3 and others; Magistral."""

CLOSING = f"\n{CLOSED}\n\n"
"""What ends the thoughts that a template has begun, before the model wrote a word of them."""


class Thoughts:
    """Takes an answer piece by piece and returns what may be shown of it."""

    def __init__(self) -> None:
        self._held = ""  # may be the beginning of a mark
        self._closing = ""  # the mark that ends the present thoughts; "" outside of them
        self._thought = False
        self._shown = False

    @property
    def nothing_else(self) -> bool:
        """Whether it thought, and has said nothing so far."""
        return self._thought and not self._shown

    def push(self, text: str) -> str:
        """Return what can be shown now; what may be the beginning of a mark is kept back."""
        rest, said = self._held + text, ""
        while True:
            marks = self._marks(said)
            at, mark = min(
                ((rest.find(mark), mark) for mark in marks if mark in rest), default=(-1, "")
            )
            if at < 0 or (not self._closing and rest[:at].strip()):
                break
            if not self._closing:
                said += rest[:at]
            rest = rest[at + len(mark) :]
            self._thought = True
            self._closing = "" if self._closing else dict(MARKS)[mark]
        keep = max((_overlap(rest, mark) for mark in marks), default=0)
        if not self._closing and rest[: len(rest) - keep].strip():
            keep = 0  # the answer has begun
        self._held = rest[len(rest) - keep :]
        return self._say(said if self._closing else said + rest[: len(rest) - keep])

    def _marks(self, said: str) -> tuple[str, ...]:
        """Return what is looked for. An answer that has begun may speak of such marks itself."""
        if self._closing:
            return (self._closing,)
        return () if self._shown or said.strip() else tuple(opening for opening, _ in MARKS)

    def flush(self) -> str:
        """Return what was kept back and turned out to be no mark."""
        held, self._held = self._held, ""
        return "" if self._closing else self._say(held)

    def _say(self, text: str) -> str:
        """Return text as it is shown: without the blank lines that follow the thoughts."""
        if self._thought and not self._shown:
            text = text.lstrip()
        self._shown = self._shown or bool(text.strip())
        return text


def without_thoughts(name: str, deltas: Iterator[Delta]) -> Generator[Delta]:
    """Yield an answer without its thoughts; every token is counted all the same.

    Raises:
        ModelError: the answer was cut off at its longest while ``name`` was still thinking.
    """
    thoughts = Thoughts()
    try:
        for delta in deltas:
            text = thoughts.push(delta.text)
            if delta.finish is not None:
                text += thoughts.flush()
                if delta.finish == "length" and thoughts.nothing_else and not text:
                    raise only_thoughts(name)
            yield delta if text == delta.text else replace(delta, text=text)
    finally:
        close = getattr(deltas, "close", None)  # a generator's reader who leaves lets go of it
        if close is not None:
            close()


def _overlap(text: str, mark: str) -> int:
    """Return how many of the last letters of ``text`` begin ``mark``.

    >>> _overlap("so <thi", "<think>"), _overlap("so", "<think>")
    (4, 0)
    """
    most = min(len(text), len(mark) - 1)
    return next((size for size in range(most, 0, -1) if mark.startswith(text[-size:])), 0)
