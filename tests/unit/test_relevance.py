"""How a search is judged: what the signs of an answer are."""

from __future__ import annotations

import math

import pytest

from rag.retrieve.relevance import coverage, margin, rarity


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


def test_the_margin_is_the_best_cosines_distance_from_the_median_in_deviations():
    spread = math.sqrt((0.2**2 + 0.1**2 + 0.1**2) / 3)  # about their mean, 0.7
    assert margin([0.6, 0.9, 0.6]) == pytest.approx(0.3 / spread)


def test_the_margin_does_not_depend_on_a_models_scale():
    cosines = [0.9, 0.7, 0.65, 0.6]
    assert margin([0.1 * c + 0.8 for c in cosines]) == pytest.approx(margin(cosines))


@pytest.mark.parametrize("cosines", [[], [0.8], [0.5, 0.5]])
def test_nothing_to_compare_gives_no_margin(cosines):
    assert margin(cosines) == 0.0
