from __future__ import annotations

from rag.retrieval.fusion import SAME_PAGE, Fused, spread
from rag.types.answers import Ranks


def item(number: int, score: float) -> Fused:
    return Fused(number, score, Ranks())


def test_a_second_passage_of_a_page_gives_way_to_another_page_of_like_worth() -> None:
    found = [(item(1, 1.0), "a"), (item(2, 0.9), "a"), (item(3, 0.8), "b")]
    assert [i.id for i in spread(found)] == [1, 3, 2]


def test_a_second_passage_that_is_much_better_stays_in_front() -> None:
    found = [(item(1, 1.0), "a"), (item(2, 0.9), "a"), (item(3, 0.5), "b")]
    assert [i.id for i in spread(found)] == [1, 2, 3]


def test_each_further_passage_of_a_page_counts_less_and_none_is_lost() -> None:
    found = [(item(n, 1.0), "a") for n in range(4)]
    assert [i.score for i in spread(found)] == [SAME_PAGE**n for n in range(4)]
