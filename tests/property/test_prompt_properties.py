"""Whatever is found: a fitted prompt never exceeds its budget and loses only the weakest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.errors import PromptTooLong
from rag.generation.prompt import build_messages, fit
from rag.types.answers import Message
from tests.factories import passage


def characters(messages):
    return sum(len(message.content) for message in messages)


@given(
    lengths=st.lists(st.integers(min_value=1, max_value=400), max_size=6),
    turns=st.integers(min_value=0, max_value=4),
    budget=st.integers(min_value=0, max_value=2500),
)
def test_the_budget_is_kept_and_only_the_tail_goes(lengths, turns, budget):
    passages = [passage("x" * length, id=i) for i, length in enumerate(lengths)]
    history = [Message("user", "turn " * 20)] * turns
    try:
        messages, kept, dropped = fit(
            "What?", passages, history=history, budget=budget, count=characters
        )
    except PromptTooLong:
        assert characters(build_messages("What?", [])) > budget
        return
    assert characters(messages) <= budget
    assert [*kept, *dropped] == passages
    if not dropped and len(messages) == turns + 2:
        return
    assert characters(build_messages("What?", passages, history)) > budget
