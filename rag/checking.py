"""Follows an answer while it is written: each sentence is judged as soon as it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rag.generate.sentences import split_sentences
from rag.types import Sentence

Judge = Callable[[str, int, int], Sentence | None]
"""Judges ``text[start:end]``; ``None`` for a piece without words."""


class Checker:
    """Takes the pieces of one answer; gives what to show of it, and its judged sentences.

    A sentence has ended when the next one begins: "3." may still become 3.5. With ``drop``
    nothing is shown before it is judged, and what is unsupported never is.
    """

    def __init__(self, judge: Judge, *, drop: bool) -> None:
        self._judge = judge
        self._drop = drop
        self._waiting = ""  # written, not judged
        self._fresh: list[Sentence] = []
        self.text = ""  # as shown so far
        self.sentences: list[Sentence] = []  # offsets into ``text``
        self.left_out = 0

    def take(self, piece: str, *, last: bool = False) -> str:
        """Add a piece of the answer, the last one if so; return what to show now."""
        before = len(self.text)
        self._waiting += piece
        if not self._drop:
            self.text += piece
            return piece
        self._look(last=last)
        return self.text[before:]

    def judged(self, *, last: bool = False) -> list[Sentence]:
        """Return the sentences judged since this was asked before; with ``last``, all of them.

        Ask after what ``take`` returned is shown: judging takes a moment.
        """
        if not self._drop:
            self._look(last=last)
        fresh, self._fresh = self._fresh, []
        return fresh

    def _look(self, *, last: bool) -> None:
        spans = split_sentences(self._waiting)
        done = 0
        for start, end in spans if last else spans[:-1]:
            sentence = self._judge(self._waiting, start, end)
            unsupported = sentence is not None and sentence.verdict == "unsupported"
            if self._drop and unsupported:
                self.left_out += 1
            else:
                self._keep(sentence, done, end)
            done = end
        self._waiting = self._waiting[done:]

    def _keep(self, sentence: Sentence | None, begin: int, end: int) -> None:
        """Keep what stands at ``begin:end`` of what is waiting; the sentence is its end."""
        if self._drop:
            piece = self._waiting[begin:end]
            self.text += piece if self.text else piece.lstrip()
            moved = len(self.text) - end
        else:
            moved = len(self.text) - len(self._waiting)
        if sentence is not None:
            sentence = replace(sentence, start=sentence.start + moved, end=sentence.end + moved)
            self.sentences.append(sentence)
            self._fresh.append(sentence)
