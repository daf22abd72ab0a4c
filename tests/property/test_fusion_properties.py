"""Whatever two retrievers find: nothing is lost, doubled or out of bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.fusion import fuse


def rankings(low, high):
    scores = st.floats(min_value=low, max_value=high, allow_nan=False)
    found = st.dictionaries(st.integers(min_value=1, max_value=30), scores, max_size=20)
    return found.map(lambda d: sorted(d.items(), key=lambda pair: (-pair[1], pair[0])))


WEIGHTS = st.floats(min_value=0, max_value=1)


@given(lexical=rankings(0, 50), dense=rankings(-1, 1), weight=WEIGHTS)
def test_every_chunk_comes_once_and_scores_fall_from_one_to_zero(lexical, dense, weight):
    fused = fuse(lexical, dense, lexical_weight=weight)
    assert sorted(item.id for item in fused) == sorted({i for i, _ in lexical + dense})
    scores = [item.score for item in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 + 1e-9 for score in scores)


@given(lexical=rankings(0.1, 50), dense=rankings(-1, 1), weight=WEIGHTS)
def test_a_chunk_that_is_first_in_both_legs_is_first(lexical, dense, weight):
    best = 99
    lexical = [(best, 51.0), *lexical]
    dense = [(best, 1.5), *dense]
    fused = fuse(lexical, dense, lexical_weight=weight)
    assert fused[0].id == best or fused[0].score == fused[1].score
