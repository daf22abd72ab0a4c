"""Which words of a question are searched for."""

from __future__ import annotations

import pytest

from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.query.content_words import content_terms, model_numbers, weighed_terms

ANALYSER = BilingualAnalyser()


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("What is the power of the RTX 3090?", ["power", "rtx", "3090"]),
        ("显存是多少？", ["显存"]),
        ("为什么带宽高？", ["带宽", "宽高"]),
        ("為什麼帶寬高？", ["带宽", "宽高"]),
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


@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        ("RTX 5090的显存容量是多少？", {"5090"}),
        ("How many cores does the AMD Radeon RX 7900 XTX have?", {"7900"}),
        ("How much memory has the RTX5090Ti?", {"rtx5090ti", "5090"}),
        ("What does the A100 cost?", {"a100", "100"}),
        ("What was revenue in FY2018 and in 2019?", set()),
        ("What is in Note 16 of the Form 10-K?", set()),
        ("What did 3M earn on page 120?", set()),
        ("What happens above USD 700 or RMB5000?", set()),
        ("A 500 euro fine is due when?", set()),
        ("Is the machine ISO-9001 certified?", {"9001"}),
        ("三星2023年的收入是多少？", set()),
    ],
)
def test_model_numbers_are_told_from_years_and_counts(question, numbers):
    found = {term for terms in model_numbers(question, ANALYSER) for term in terms}
    assert bool(found) is bool(numbers)
    assert numbers & found or not numbers


def test_another_spelling_that_nobody_has_says_nothing():
    terms = content_terms("Who paid 320 million in May 2031?", ANALYSER)
    assert {"320000000", "2031-05"} < set(terms)
    seen = {"paid": 3, "320": 2, "million": 9}
    weighed = weighed_terms("Who paid 320 million in May 2031?", terms, seen)
    assert set(terms) - set(weighed) == {"320000000", "2031-05"}
    assert {"2031", "may"} < set(weighed)
    assert "320000000" in weighed_terms("320 million", ["320000000"], {"320000000": 1})
