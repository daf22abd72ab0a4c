"""Sentences are judged as they end, and what is unsupported can be kept off the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.checking import Checker
from rag.types import Sentence


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
    checker = Checker(judge, drop=drop)
    shown, told = "", []
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
    checker = Checker(judge, drop=False)
    told = []
    for piece in ("The fee is 3.", "5 dollars.", " It", " is."):
        checker.take(piece)
        told.append([checker.text[s.start : s.end] for s in checker.judged()])
    assert told == [[], [], ["The fee is 3.5 dollars."], []]


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
