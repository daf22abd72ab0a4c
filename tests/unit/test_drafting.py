"""Guessing how an answer goes on: where from, how far, and when not at all."""

from __future__ import annotations

import random

import pytest

from rag.generate.drafting import LENGTHS, Lookup, Pace

RULES = [1, 2, 3, 4]
PASSAGES = [10, 11, 12, 13, 14, 15, 16, 10, 11, 20, 21]


def guess(lookup: Lookup, most: int = 4) -> list[int]:
    agreement, place = lookup.match()
    return lookup.read(place, most) if agreement else []


def test_the_longest_agreement_wins_over_the_first() -> None:
    lookup = Lookup([5, 7, 100, 101, 6, 5, 7, 200, 201, 9])
    lookup.extend([6, 5, 7])
    assert lookup.match()[0] == 3
    assert guess(lookup, 2) == [200, 201]


def test_among_equals_a_passage_wins_over_the_rules() -> None:
    text = [7, 8, 100, 9, 7, 8, 200, 7]
    assert guess(Lookup([*text, 55, 7, 8], passages_from=0), 1) == [200]
    rules_last = Lookup([50, 7, 8, 200, 60, 61], passages_from=0)
    rules_last.extend([7, 8])
    assert guess(rules_last, 1) == [200]
    early = Lookup([*RULES, 30, *RULES, 40, 99, *RULES], passages_from=5)
    assert guess(early, 1) == [40]


def test_the_place_that_was_copied_from_wins_over_a_later_one() -> None:
    lookup = Lookup([10, 11, 12, 13, 14, 90, 91, 14, 70])
    lookup.extend([11])
    assert guess(lookup, 2) == [12, 13]
    lookup.extend([12, 13, 14])  # both were right, and one more
    assert guess(lookup, 1) == [90]
    alone = Lookup([10, 11, 12, 13, 14, 90, 91, 14, 70])
    alone.extend([14])
    assert guess(alone, 1) == [70]


def test_an_answer_may_repeat_itself() -> None:
    lookup = Lookup(PASSAGES)
    lookup.extend([60, 61, 62, 63, 60, 61])
    assert guess(lookup, 2) == [62, 63]


def test_without_any_agreement_nothing_is_guessed() -> None:
    lookup = Lookup(PASSAGES)
    lookup.extend([999])
    assert lookup.match() == (0, 0)
    assert Lookup([]).match() == (0, 0)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_found_is_as_long_as_what_a_plain_search_finds(seed: int) -> None:
    chance = random.Random(seed)
    ids = [chance.randrange(6) for _ in range(120)]
    lookup = Lookup(ids)
    last = len(ids) - 1

    def agreement(end: int) -> int:
        length = 0
        while length < 16 and length <= end and ids[end - length] == ids[last - length]:
            length += 1
        return length

    longest, place = lookup.match()
    assert longest == max(agreement(end) for end in range(last))
    assert agreement(place - 1) == longest


def test_a_long_agreement_is_followed_further_than_a_short_one() -> None:
    pace = Pace()
    assert pace.length(12, 500) > pace.length(1, 500) >= 0
    assert pace.length(0, 500) == 0


def test_no_guess_reaches_past_the_end_of_the_answer() -> None:
    assert Pace().length(16, 3) <= 3
    assert Pace().length(16, 1) == 0


def test_guesses_that_prove_wrong_are_given_up_and_tried_again_later() -> None:
    pace = Pace()
    chosen: list[int] = []
    for _ in range(500):
        pace.took(0, 0.010)
        chosen.append(pace.length(2, 100))
        if chosen[-1]:
            pace.took(chosen[-1], 0.012)
            pace.learn(2, chosen[-1], 0)
    assert chosen.count(0) > 400
    assert any(chosen[100:])


def test_guesses_that_prove_right_grow() -> None:
    pace = Pace()
    before = pace.length(2, 100)
    for _ in range(30):
        pace.took(0, 0.010)
        length = pace.length(2, 100)
        pace.took(length, 0.011)
        pace.learn(2, length, length)
    assert pace.length(2, 100) == LENGTHS[-1] > before


def test_where_a_longer_pass_costs_as_much_as_its_tokens_none_is_guessed() -> None:
    pace = Pace()
    for _ in range(6):
        pace.took(0, 0.010)
        for length in LENGTHS:
            pace.took(length, 0.010 * (length + 1))
    assert [pace.length(n, 100) for n in (1, 2, 3, 5, 9)] == [0, 0, 0, 0, 0]
