"""What the engines of this process share in streaming an answer: the turn, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rag.generation.engine_errors import unloaded
from rag.generation.streaming import OneAtATime, Stopped, iterate
from rag.generation.thoughts import without_thoughts
from rag.types.answers import Delta

Work = Callable[[Callable[[Delta], None], Stopped], None]
"""``work(emit, stopped)`` writes an answer; it has the model meanwhile."""


def answer_stream(
    name: str, gate: OneAtATime, work: Work, *, cancelled: Stopped
) -> Iterator[Delta]:
    """Yield what ``work`` emits once the model is free, without the model's thoughts.

    Raises:
        ModelError: the model is unloaded, or did nothing but think.
    """

    def produce(emit: Callable[[Delta], None], stopped: Stopped) -> None:
        with gate.turn(stopped) as mine:
            if gate.closed:
                raise unloaded(name)
            if mine:
                work(emit, lambda: stopped() or gate.closed)
            else:
                emit(Delta("", 0, "cancelled"))

    return without_thoughts(name, iterate(produce, cancelled=cancelled))
