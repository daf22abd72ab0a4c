"""A conversation that goes on over the same passages goes on from the prompt it had."""

from __future__ import annotations

from rag.answering.prompt_reuse import PromptReuse
from rag.generation.prompt import build_messages
from rag.types.answers import Message
from tests.factories import passage

FIRST, SECOND, OTHER = (passage(f"text {n}", id=n, page=n) for n in (1, 2, 3))
TALK = [Message("user", "How fast is it?"), Message("assistant", "Very fast.")]


def characters(messages):
    return sum(len(message.content) for message in messages)


def fitted(continuing, question, passages, history=(), *, budget=10_000):
    return continuing.fit(question, passages, history=history, budget=budget, count=characters)


def after_the_first_question() -> tuple[PromptReuse, list[Message]]:
    continuing = PromptReuse()
    first = fitted(continuing, "How fast is it?", [FIRST, SECOND])
    continuing.asked("How fast is it?", first, [])
    return continuing, first.messages


def test_over_the_same_passages_a_prompt_begins_as_the_last_one_and_its_answer_did():
    continuing, before = after_the_first_question()
    after, kept, dropped, _ = fitted(continuing, "And how large?", [FIRST, SECOND], TALK)
    asked = Message("user", "Question: And how large?\nAnswer in English.")
    assert after == [*before, TALK[1], asked]
    assert (kept, dropped) == ((FIRST, SECOND), ())


def test_another_order_of_the_same_passages_is_shown_in_the_old_one():
    continuing, before = after_the_first_question()
    after, kept, _, _ = fitted(continuing, "And how large?", [SECOND, FIRST], TALK)
    assert after[: len(before)] == before
    assert kept == (SECOND, FIRST)  # a person sees them by rank


def test_it_goes_on_for_as_long_as_the_passages_stay():
    continuing, _ = after_the_first_question()
    before = fitted(continuing, "And how large?", [FIRST, SECOND], TALK)
    continuing.asked("And how large?", before, TALK)
    talk = [*TALK, Message("user", "And how large?"), Message("assistant", "Large.")]
    after, *_ = fitted(continuing, "And why?", [FIRST, SECOND], talk)
    assert after[: len(before.messages)] == before.messages
    assert [message.role for message in after[1:]] == ["user", "assistant"] * 2 + ["user"]


def test_passages_first_shown_in_the_middle_of_a_talk_stay_there():
    continuing = PromptReuse()
    before = fitted(continuing, "And how large?", [OTHER], TALK)
    continuing.asked("And how large?", before, TALK)
    talk = [*TALK, Message("user", "And how large?"), Message("assistant", "Large.")]
    after, *_ = fitted(continuing, "And why?", [OTHER], talk)
    assert after[: len(before.messages)] == before.messages


def test_other_passages_or_another_conversation_are_laid_out_anew():
    other_answer = [Message("user", "How wide is it?"), TALK[1]]
    for passages, history in (
        ([FIRST, OTHER], TALK),
        ([FIRST], TALK),
        ([FIRST, SECOND], other_answer),
        ([FIRST, SECOND], []),
        ([FIRST, SECOND], TALK * 2),
    ):
        continuing, _ = after_the_first_question()
        after, *_ = fitted(continuing, "And how large?", passages, history)
        assert after == build_messages("And how large?", passages, history)


def test_what_does_not_fit_is_fitted_as_ever():
    continuing, _ = after_the_first_question()
    small = characters(build_messages("And how large?", [FIRST], TALK))
    _, kept, dropped, _ = fitted(continuing, "And how large?", [FIRST, SECOND], TALK, budget=small)
    assert (kept, dropped) == ((FIRST,), (SECOND,))
