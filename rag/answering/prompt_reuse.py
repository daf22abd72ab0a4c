"""Goes on with a conversation whose next question finds the same passages again.

Its prompt then begins as the one before it and its answer did, so that an engine that keeps
what it computed reads the new question alone. With other passages the prompt is laid out anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.answering.excerpts import OMITTED, WHOLE, Excerpts
from rag.generation.prompt import Count, build_messages, fit
from rag.types.answers import Message, Passage


@dataclass(frozen=True, slots=True)
class _Shown:
    turns: tuple[Message, ...]  # the conversation up to its last question
    at: int  # the turn that the passages were shown with
    passages: tuple[Passage, ...]  # as they were read, in the order in which they were shown
    found: frozenset[int]  # ids of all that were found


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
    ) -> tuple[list[Message], tuple[Passage, ...], tuple[Passage, ...]]:
        """Return what ``rag.generation.prompt.fit`` does, the passages where they stood before.

        The model reads ``excerpts`` of them. The passages that are returned are whole; one of
        which nothing is read counts as read.
        """
        read = excerpts.of(question, passages)
        if last := self._same(history, passages, read):
            messages = build_messages(question, last.passages, history, at=last.at)
            if count(messages) <= budget:
                return messages, tuple(passages), ()
        messages, _, dropped = fit(question, read, history=history, budget=budget, count=count)
        left_out = {passage.id for passage in dropped}
        kept = tuple(passage for passage in passages if passage.id not in left_out)
        return messages, kept, tuple(p for p in passages if p.id in left_out)

    def asked(
        self,
        question: str,
        passages: Sequence[Passage],
        history: Sequence[Message],
        excerpts: Excerpts = WHOLE,
    ) -> None:
        """Remember a question that the model is asked over these passages."""
        read = excerpts.of(question, passages)
        last = self._same(history, passages, read)
        turns = (*history, Message("user", question))
        if last is not None:
            self._last = _Shown(turns, last.at, last.passages, last.found)
        else:
            found = frozenset(passage.id for passage in passages)
            self._last = _Shown(turns, len(history), read, found)

    def _same(
        self, history: Sequence[Message], passages: Sequence[Passage], read: Sequence[Passage]
    ) -> _Shown | None:
        """Return what was shown last if this goes on from there, and all of it was read then."""
        last = self._last
        if last is None or len(history) != len(last.turns) + 1:
            return None
        if tuple(history[:-1]) != last.turns or history[-1].role != "assistant":
            return None
        if {passage.id for passage in passages} != last.found:
            return None
        known = {passage.id: passage.chunk.text for passage in last.passages}
        return last if all(_stands_in(p.chunk.text, known.get(p.id, "")) for p in read) else None


def _stands_in(excerpt: str, known: str) -> bool:
    """Say whether all pieces of an excerpt were read before."""
    return all(line in known for piece in excerpt.split(OMITTED) for line in piece.splitlines())
