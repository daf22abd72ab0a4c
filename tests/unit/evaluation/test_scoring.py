"""The arithmetic of evaluation, checked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rag.evaluation import scoring
from tests.factories import passage

TWO_PAGES = passage("b", document_id="guide", page=1)
FOUND = [
    passage("a", document_id="other", page=3),
    replace(TWO_PAGES, chunk=replace(TWO_PAGES.chunk, last_page=2)),
    passage("c", document_id="guide", page=3),
]


@pytest.mark.parametrize(
    ("pages", "rank"),
    [([3], 3), ([2], 2), ([1, 3], 2), ([4], None), ([], None)],
    ids=["page of the third", "inside a range", "any page counts", "no such page", "no pages"],
)
def test_a_hit_lies_in_the_document_and_overlaps_a_page(pages, rank):
    assert scoring.first_hit(FOUND, document="guide.pdf", pages=pages) == rank


def test_ndcg_discounts_by_the_logarithm_of_the_rank():
    relevant = {"a": 1.0, "b": 1.0}
    expected = (1 / math.log2(2) + 1 / math.log2(4)) / (1 / math.log2(2) + 1 / math.log2(3))
    assert scoring.ndcg_at(["a", "x", "b"], relevant) == pytest.approx(expected)
    assert scoring.ndcg_at(["b", "a"], relevant) == pytest.approx(1.0)
    assert scoring.ndcg_at(["x", "a"], relevant, k=1) == 0.0
    assert scoring.ndcg_at(["a"], {}) == 0.0


def test_recall_is_the_share_of_the_relevant_found():
    assert scoring.recall_at(["a", "x", "b"], {"a", "b"}, 2) == 0.5
    assert scoring.recall_at(["a"], set(), 2) == 0.0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("It cost $1,577.00 million.", [1.577e9]),
        ("亏损 -12.5 万元，占 45％", [-125000.0, 45.0]),
        ("the RTX4090 and version v2", []),
        ("between -3 and .5", [-3.0, 0.5]),
        ("3.2亿 and 320 million", [3.2e8, 3.2e8]),
    ],
)
def test_numbers_are_read_at_their_scale(text, values):
    assert scoring.numbers(text) == pytest.approx(values)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("The figure was 1,577 million dollars.", "$1577.00"),
        ("It is USD 1.58 billion", "$1577.00"),
        ("吞吐量是２５４.７ tokens/s。", "254.7"),
        ("It draws 350W.", "350 W"),
        ("The term is one (1) year.", "One (1) Year"),
        ("Yes, it may.", "Yes"),
        ("不可以。", "No"),
        ("由高德菲·哈罗德·哈代首先考虑。", "高德菲·哈罗德·哈代"),
    ],
)
def test_an_answer_contains_the_gold_answer(answer, gold):
    assert scoring.contains(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("It was 1,620 million.", "$1577.00"),
        ("Clause 1 says so.", "One (1) Year"),
        ("There is no fee.", "Yes"),
        ("Nothing is said about it.", "No"),
        ("哈代", "高德菲·哈罗德·哈代"),
        ("The newest model", "new"),
    ],
)
def test_an_answer_without_the_gold_answer_does_not_contain_it(answer, gold):
    assert not scoring.contains(answer, gold)


def test_exact_ignores_case_articles_punctuation_and_width():
    assert scoring.exact("The Volta.", "volta")
    assert scoring.exact("ＧＰＵ", "gpu")
    assert scoring.exact("$651", "651 million")
    assert not scoring.exact("Volta or Turing", "Volta")


def test_f1_counts_shared_words_and_shared_characters():
    assert scoring.f1("the red car", "red bus") == pytest.approx(2 * 1 / (2 + 2))
    assert scoring.f1("显存带宽", "显存") == pytest.approx(2 * 2 / (4 + 2))
    assert scoring.f1("abc", "xyz") == 0.0


def test_the_best_of_several_gold_answers_counts():
    score = scoring.score_answer("2TB/s", ["2.0 TB/s", "unknown"])
    assert (score.contains, score.exact, score.f1) == (1.0, 1.0, 1.0)
    assert scoring.score_answer("anything", []) == scoring.AnswerScore(0.0, 0.0, 0.0, 0.0)
