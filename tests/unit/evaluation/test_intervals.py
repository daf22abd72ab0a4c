from __future__ import annotations

import pytest

from rag.evaluation.runs import QuestionOutcome, Share, differences, intervals


def outcomes(figure: str, *shares: Share, name: str = "s") -> list[QuestionOutcome]:
    return [QuestionOutcome(name, str(n), "en", {figure: share}) for n, share in enumerate(shares)]


def test_an_interval_narrows_with_the_number_of_questions() -> None:
    """For a share p of n questions it is about p ± 1.96 · sqrt(p · (1 - p) / n)."""
    for count in (100, 400):
        half = outcomes("f", *[(float(n % 2), 1.0) for n in range(count)])
        low, high = intervals(half)["f"]
        expected = 1.96 * 0.5 / count**0.5
        assert (0.5 - low, high - 0.5) == pytest.approx((expected, expected), rel=0.15)


def test_a_precision_counts_only_what_was_refused() -> None:
    refused = outcomes("gate.precision", (1.0, 1.0), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    assert intervals(refused)["gate.precision"] == (1.0, 1.0)
    assert intervals(outcomes("gate.precision", (0.0, 0.0))) == {}


def test_the_same_questions_are_compared_pair_by_pair() -> None:
    """Half the questions are hard in both runs; unpaired, that would hide the fall of six."""
    before = outcomes("f", *[(float(n % 2), 1.0) for n in range(100)])
    after = outcomes("f", *[(float(n % 2 and n > 12), 1.0) for n in range(100)])
    (found,) = differences(before, after)
    assert (found.before, found.after, found.questions) == (0.5, 0.44, 100)
    assert found.low < -0.06 < found.high < 0
    assert found.fell
    assert not found.rose
    _, high_after = intervals(after)["f"]
    assert high_after > 0.5


def test_one_question_more_or_less_is_chance() -> None:
    all_right = outcomes("f", *[(1.0, 1.0)] * 14)
    one_wrong = outcomes("f", *[(1.0, 1.0)] * 13, (0.0, 1.0))
    (found,) = differences(all_right, one_wrong)
    assert not found.fell
    (same,) = differences(all_right, all_right)
    assert (same.low, same.high, same.fell, same.rose) == (0.0, 0.0, False, False)


def test_more_false_refusals_are_worse_and_seconds_are_not_judged() -> None:
    few = outcomes("gate.false_refusals", *[(0.0, 1.0)] * 20)
    many = outcomes("gate.false_refusals", *[(1.0, 1.0)] * 10, *[(0.0, 1.0)] * 10)
    assert [found.fell for found in differences(few, many)] == [True]
    assert [found.rose for found in differences(many, few)] == [True]
    slow = outcomes("seconds.search", (9.0, 1.0))
    assert differences(outcomes("seconds.search", (1.0, 1.0)), slow) == []


def test_only_questions_of_both_runs_are_compared() -> None:
    before = outcomes("f", (1.0, 1.0), (0.0, 1.0))
    after = [*outcomes("f", (1.0, 1.0)), *outcomes("f", (0.0, 1.0), name="other")]
    (found,) = differences(before, after)
    assert (found.questions, found.before, found.after) == (1, 1.0, 1.0)
