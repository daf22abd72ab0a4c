"""How a search is judged: what the signs of an answer are."""

from __future__ import annotations

import math

import pytest

from rag.retrieval.relevance import PROBES, Signs, coverage, floor_of, headroom, rarity, relevance
from rag.text.language import detect_language


def test_coverage_is_the_share_of_rarity_that_the_best_passage_holds():
    frequency = {"rare": 1, "common": 50}
    rare, common = rarity(1, 100), rarity(50, 100)
    held = coverage(["rare", "common"], [["common"], ["rare"]], frequency=frequency, total=100)
    assert held == pytest.approx(rare / (rare + common))


def test_a_word_that_stands_nowhere_counts_as_missing():
    held = coverage(["here", "nowhere"], [["here"]], frequency={"here": 1}, total=10)
    assert 0 < held < 0.5


def test_a_passage_with_every_word_covers_all():
    assert coverage(["a", "b"], [["b", "x", "a"]], frequency={"a": 1, "b": 2}, total=9) == 1.0


@pytest.mark.parametrize(("terms", "passages"), [([], [["a"]]), (["a"], [])])
def test_without_words_or_passages_nothing_is_covered(terms, passages):
    assert coverage(terms, passages, frequency={"a": 1}, total=5) == 0.0


def test_rarity_falls_with_frequency_and_stays_positive():
    assert rarity(0, 10) > rarity(1, 10) > rarity(10, 10) > 0
    assert rarity(1, 10) == pytest.approx(math.log(1 + 9.5 / 1.5))


@pytest.mark.parametrize(
    ("cosine", "floor", "expected"), [(0.9, 0.8, 0.5), (0.8, 0.8, 0.0), (1.0, 0.3, 1.0), (1, 1, 0)]
)
def test_headroom_is_the_share_of_what_is_left_above_the_floor(cosine, floor, expected):
    assert headroom(cosine, floor=floor) == pytest.approx(expected)


def test_the_floor_lies_two_deviations_above_the_middle_probe():
    assert floor_of([0.7, 0.9, 0.8]) == pytest.approx(0.8 + 2 * math.sqrt(0.02 / 3))


def test_probes_that_find_nothing_do_not_make_chance_look_like_a_find():
    assert floor_of([0.0] * 8) > 0.2


def test_relevance_rises_with_both_signs():
    low = relevance(Signs(coverage=0.2, headroom=-0.3))
    assert low < 0.1
    assert low < relevance(Signs(coverage=0.9, headroom=-0.3))
    assert low < relevance(Signs(coverage=0.2, headroom=0.4))
    assert relevance(Signs(coverage=0.9, headroom=0.4)) > 0.9


def test_the_probes_are_in_the_language_they_stand_for():
    for language, questions in PROBES.items():
        assert {detect_language(question) for question in questions} == {language}
