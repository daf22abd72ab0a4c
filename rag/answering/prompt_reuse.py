"""Goes on with a conversation whose next question finds the same passages again.

Its prompt then begins as the one before it and its answer did, so that an engine that keeps
what it computed reads the new question alone. With other passages the prompt is laid out anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.generation.prompt import Count, build_messages, fit
from rag.types.answers import Message, Passage


@dataclass(frozen=True, slots=True)
class _Shown:
    turns: tuple[Message, ...]  # the conversation up to its last question
    at: int  # the turn that the passages were shown with
    passages: tuple[int, ...]  # ids, in the order in which they were shown


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
    ) -> tuple[list[Message], tuple[Passage, ...], tuple[Passage, ...]]:
        """Return what ``rag.generation.prompt.fit`` does, the passages where they stood before."""
        last = self._same(history, passages)
        if last is not None:
            by_id = {passage.id: passage for passage in passages}
            shown = [by_id[passage] for passage in last.passages]
            messages = build_messages(question, shown, history, at=last.at)
            if count(messages) <= budget:
                return messages, tuple(passages), ()
        return fit(question, passages, history=history, budget=budget, count=count)

    def asked(self, question: str, passages: Sequence[Passage], history: Sequence[Message]) -> None:
        """Remember a question that the model is asked over these passages."""
        last = self._same(history, passages)
        turns = (*history, Message("user", question))
        if last is not None:
            self._last = _Shown(turns, last.at, last.passages)
        else:
            self._last = _Shown(turns, len(history), tuple(passage.id for passage in passages))

    def _same(self, history: Sequence[Message], passages: Sequence[Passage]) -> _Shown | None:
        """Return what was shown last if this goes on from there over the same passages."""
        last = self._last
        if last is None or len(history) != len(last.turns) + 1:
            return None
        if tuple(history[:-1]) != last.turns or history[-1].role != "assistant":
            return None
        return last if {passage.id for passage in passages} == set(last.passages) else None
