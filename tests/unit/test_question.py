"""Which words of a question are searched for."""

from __future__ import annotations

import pytest

from rag.retrieve.analyser import BilingualAnalyser
from rag.retrieve.question import content_terms

ANALYSER = BilingualAnalyser()


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("What is the power of the RTX 3090?", ["power", "rtx", "3090"]),
        ("显存是多少？", ["显存"]),
        ("为什么带宽高？", ["带宽", "宽高"]),
        ("memory memory", ["memori"]),
        ("Who is it?", ["it"]),
        ("Which IT rules end in May in the US?", ["it", "rule", "end", "may", "us"]),
    ],
)
def test_words_that_every_question_has_are_left_out(question, kept):
    assert content_terms(question, ANALYSER) == kept


@pytest.mark.parametrize("question", ["What is what?", "为什么？", "谁"])
def test_a_question_of_nothing_else_keeps_them(question):
    assert content_terms(question, ANALYSER) == list(dict.fromkeys(ANALYSER.terms(question)))


def test_a_question_without_words_has_no_terms():
    assert content_terms("?!", ANALYSER) == []
