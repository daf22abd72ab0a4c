"""Merging the two retrievers, by hand-computed cases."""

from __future__ import annotations

import pytest

from rag.retrieval.fusion import fuse, lexical_weight
from rag.types.answers import Ranks


def ids(fused):
    return [item.id for item in fused]


def test_scores_are_shares_of_each_leg_weighted_and_added():
    fused = fuse([(1, 8.0), (2, 4.0)], [(2, 0.9), (3, 0.8), (1, 0.7)], lexical_weight=0.6)
    scores = {item.id: item.score for item in fused}
    assert scores == pytest.approx({1: 0.6, 2: 0.6 * 0.5 + 0.4, 3: 0.4 * 0.5})
    assert ids(fused) == [2, 1, 3]


def test_every_chunk_keeps_its_rank_in_each_leg():
    fused = {item.id: item.ranks for item in fuse([(7, 1.0)], [(8, 0.5)], lexical_weight=0.5)}
    assert fused == {7: Ranks(lexical=1), 8: Ranks(dense=1)}


@pytest.mark.parametrize(("weight", "first"), [(1.0, [1, 2]), (0.0, [2, 1])])
def test_a_leg_that_is_fully_trusted_decides_alone(weight, first):
    assert ids(fuse([(1, 3.0), (2, 1.0)], [(2, 0.9), (1, 0.2)], lexical_weight=weight)) == first


def test_the_unit_of_a_legs_scores_does_not_matter():
    lexical, dense = [(1, 3.0), (2, 2.0)], [(3, 0.9), (2, 0.8), (4, 0.7)]
    scaled = [(chunk_id, 10 * score) for chunk_id, score in lexical]
    moved = [(chunk_id, 0.1 * score + 0.85) for chunk_id, score in dense]
    assert ids(fuse(lexical, dense, lexical_weight=0.7)) == ids(
        fuse(scaled, moved, lexical_weight=0.7)
    )


def test_one_empty_leg_leaves_the_order_of_the_other():
    assert ids(fuse([], [(5, 0.4), (6, 0.3)], lexical_weight=0.8)) == [5, 6]
    assert ids(fuse([(5, 4.0), (6, 3.0)], [], lexical_weight=0.2)) == [5, 6]
    assert fuse([], [], lexical_weight=0.5) == []


def test_equal_scores_are_ordered_by_id():
    assert ids(fuse([(9, 1.0), (3, 1.0)], [], lexical_weight=0.5)) == [3, 9]
    assert ids(fuse([], [(9, 0.5), (3, 0.5)], lexical_weight=0.5)) == [3, 9]


@pytest.mark.parametrize("across", [False, True])
def test_words_are_trusted_more_the_more_of_the_question_they_cover(across):
    weights = [lexical_weight(coverage=share / 10, across_languages=across) for share in range(11)]
    assert weights == sorted(weights)
    assert 0 < weights[0] < weights[-1] < 1


def test_across_languages_meaning_leads_unless_nearly_all_is_covered():
    assert lexical_weight(coverage=0.3, across_languages=True) < 0.3
    assert lexical_weight(coverage=0.9, across_languages=True) > 0.5
