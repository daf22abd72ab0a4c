"""Goes on with a conversation whose next question finds the same passages again.

Its prompt then begins as the one before it and its answer did, so that an engine that keeps
what it computed reads the new question alone. With other passages the prompt is laid out anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag.answering.excerpts import OMITTED, WHOLE, Excerpts
from rag.generation.prompt import Count, build_messages, fit
from rag.types.answers import Message, Passage


@dataclass(frozen=True, slots=True)
class _Shown:
    turns: tuple[Message, ...]  # the conversation up to its last question
    at: int  # the turn that the passages were shown with
    read: tuple[Passage, ...]  # in the order in which they stand in its prompt
    kept: frozenset[int]  # ids of those that were shown to the person


class Fitted(NamedTuple):
    """A prompt, and what became of the passages found."""

    messages: list[Message]
    kept: tuple[Passage, ...]  # whole; of some of them nothing may be read
    dropped: tuple[Passage, ...]  # by the budget
    read: tuple[Passage, ...]  # what of the kept ones stands in the prompt


class PromptReuse:
    """Fits prompts, and remembers over which passages the last question was asked."""

    def __init__(self) -> None:
        self._last: _Shown | None = None

    def fit(
        self,
        question: str,
        passages: Sequence[Passage],
        *,
        history: Sequence[Message],
        budget: int,
        count: Count,
        excerpts: Excerpts = WHOLE,
    ) -> Fitted:
        """Fit as ``rag.generation.prompt.fit`` does, the passages where they stood before.

        The model reads ``excerpts`` of them.
        """
        read = excerpts.of(question, passages)
        if last := self._same(history, passages, read):
            messages = build_messages(question, last.read, history, at=last.at)
            if count(messages) <= budget:
                return Fitted(messages, tuple(passages), (), last.read)
        messages, read, dropped = fit(question, read, history=history, budget=budget, count=count)
        left_out = {passage.id for passage in dropped}
        kept = tuple(passage for passage in passages if passage.id not in left_out)
        return Fitted(messages, kept, tuple(p for p in passages if p.id in left_out), read)

    def asked(self, question: str, fitted: Fitted, history: Sequence[Message]) -> None:
        """Remember a question that the model is asked with this prompt."""
        last = self._same(history, fitted.kept, fitted.read)
        at = len(history) if last is None else last.at
        kept = frozenset(passage.id for passage in fitted.kept)
        self._last = _Shown((*history, Message("user", question)), at, fitted.read, kept)

    def _same(
        self, history: Sequence[Message], passages: Sequence[Passage], read: Sequence[Passage]
    ) -> _Shown | None:
        """Return what was shown last if this goes on from there, and all of it was read then."""
        last = self._last
        if last is None or len(history) != len(last.turns) + 1:
            return None
        if tuple(history[:-1]) != last.turns or history[-1].role != "assistant":
            return None
        if {passage.id for passage in passages} != last.kept:
            return None
        known = {passage.id: passage.chunk.text for passage in last.read}
        return last if all(_stands_in(p.chunk.text, known.get(p.id, "")) for p in read) else None


def _stands_in(excerpt: str, known: str) -> bool:
    """Say whether all pieces of an excerpt were read before."""
    return all(line in known for piece in excerpt.split(OMITTED) for line in piece.splitlines())
