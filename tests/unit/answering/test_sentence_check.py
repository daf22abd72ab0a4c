"""Sentences are judged as they end, and what is unsupported can be kept off the screen."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import pytest

from rag.answering.sentence_check import SentenceChecker
from rag.errors import ModelError
from rag.text.messages import Text
from rag.types.answers import Sentence


def judge(text, start, end):
    said = text[start:end]
    if said == "---":
        return None
    return Sentence(start, end, "unsupported" if "moon" in said else "supported")


ANSWER = (
    "The fee is 3.5 dollars. It is made on the moon.\n\n---\n- First item.\n- 月球 moon。终于。"
)
PIECES = [
    [ANSWER],
    list(ANSWER),
    [ANSWER[i : i + 7] for i in range(0, len(ANSWER), 7)],
]


def run(pieces, *, drop):
    shown, told = "", []
    with SentenceChecker(judge, drop=drop) as checker:
        for number, piece in enumerate(pieces):
            shown += checker.take(piece, last=number == len(pieces) - 1)
            told += checker.judged()
        told += checker.judged(last=True)
    assert shown == checker.text
    assert told == checker.sentences
    return checker


@pytest.mark.parametrize("pieces", PIECES, ids=["whole", "letters", "tokens"])
def test_every_sentence_is_judged_once_at_its_place(pieces):
    checker = run(pieces, drop=False)
    assert checker.text == ANSWER
    said = [ANSWER[sentence.start : sentence.end] for sentence in checker.sentences]
    assert said == [
        "The fee is 3.5 dollars.",
        "It is made on the moon.",
        "- First item.",
        "- 月球 moon。",
        "终于。",
    ]


def test_a_sentence_is_judged_as_soon_as_the_next_begins():
    begun = []

    def told(text, start, end):
        begun.append(text[start:end])
        return judge(text, start, end)

    with SentenceChecker(told, drop=False) as checker:
        for piece in ("The fee is 3.", "5 dollars.", " It"):
            checker.take(piece)
        checker.take(" is.", last=True)
        checker.judged(last=True)
    assert begun == ["The fee is 3.5 dollars.", "It is."]


def test_no_token_waits_for_a_judgement():
    go = Event()

    def slow(text, start, end):
        go.wait()
        return judge(text, start, end)

    with SentenceChecker(slow, drop=False) as checker:
        assert checker.take("One. Two. Three") == "One. Two. Three"
        assert checker.judged() == []
        go.set()
        assert len(checker.judged(last=True)) == 3


def test_a_judge_that_fails_is_heard():
    def broken(text, start, end):
        raise ModelError(Text("It broke.", "坏了。"), hint=Text("Try again.", "请重试。"))

    with SentenceChecker(broken, drop=False) as checker:
        checker.take("One.", last=True)
        with pytest.raises(ModelError):
            checker.judged(last=True)


@pytest.mark.parametrize("pieces", PIECES, ids=["whole", "letters", "tokens"])
def test_what_is_unsupported_is_never_shown(pieces):
    checker = run(pieces, drop=True)
    assert checker.text == "The fee is 3.5 dollars.\n\n---\n- First item.终于。"
    assert checker.left_out == 2
    for sentence in checker.sentences:
        assert sentence.verdict == "supported"
        moved = replace(sentence, start=0, end=sentence.end - sentence.start)
        assert moved == judge(checker.text[sentence.start : sentence.end], 0, moved.end)


def test_an_answer_may_lose_everything():
    checker = run(["On the moon. ", "Over the moon."], drop=True)
    assert (checker.text, checker.sentences, checker.left_out) == ("", [], 2)
