"""A library's own questions: where the gate lies, and how far meaning is trusted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rag.retrieval.fusion import lexical_weight
from rag.retrieval.relevance import (
    LEAST,
    UNKNOWN,
    Calibration,
    Signs,
    Trial,
    as_rows,
    calibrate,
    log_odds,
    of_rows,
    relevance,
)

DEFAULT_GATE = 0.3


def trials(there: list[float], hidden: list[float], *, meaning: float = 1.0) -> list[Trial]:
    by_meaning = round(meaning * len(there))
    return [
        Trial("en", a, b, by_words=True, by_meaning=number < by_meaning)
        for number, (a, b) in enumerate(zip(there, hidden, strict=True))
    ]


def test_where_the_two_lie_far_apart_the_gate_lies_just_above_what_is_hidden() -> None:
    hidden = [number / 20 for number in range(20)]
    found = calibrate(trials([15.0] * 20, hidden))["en"]
    assert found.threshold == pytest.approx(max(hidden))
    assert found.questions == 20


def test_where_they_overlap_the_gate_stays_well_below_what_is_there() -> None:
    there = [6.0 + number / 10 for number in range(40)]
    found = calibrate(trials(there, [8.0] * 40))["en"]
    assert found.threshold is not None
    assert found.threshold < 6.2 - 4
    lower = calibrate(trials([value - 3 for value in there], [8.0] * 40))["en"]
    assert lower.threshold is not None
    assert lower.threshold < found.threshold


def test_however_hard_the_questions_something_is_refused() -> None:
    found = calibrate(trials([-9.0] * 20, [-9.5] * 20))["en"]
    assert found.threshold is not None
    assert 0.05 < 1 / (1 + math.exp(-found.threshold)) < 0.15


def test_a_few_questions_say_nothing() -> None:
    assert calibrate(trials([9.0] * (LEAST - 1), [0.0] * (LEAST - 1))) == {}
    assert set(calibrate(trials([9.0] * LEAST, [0.0] * LEAST))) == {"en"}


@pytest.mark.parametrize(("share", "trust"), [(0.0, 0), (0.15, 0), (0.3, 0.5), (0.4, 1), (1.0, 1)])
def test_an_embedder_is_trusted_as_far_as_it_finds_what_words_find(
    share: float, trust: float
) -> None:
    found = calibrate(trials([9.0] * 20, [0.0] * 20, meaning=share))["en"]
    assert found.meaning == pytest.approx(trust)


def test_questions_led_to_another_language_speak_of_the_embedder_alone() -> None:
    straight = trials([9.0] * LEAST, [0.0] * LEAST, meaning=0.0)
    astray = [replace(one, there=-50.0, hidden=50.0, astray=True) for one in straight]
    both = calibrate([*straight, *astray])["en"]
    assert both.threshold == calibrate(straight)["en"].threshold
    assert both.questions == 2 * LEAST
    alone = calibrate(astray)["en"]
    assert alone.threshold is None
    assert not alone.knows_the_language
    assert UNKNOWN.knows_the_language


def test_meaning_is_not_blamed_where_words_find_nothing() -> None:
    none = [Trial("zh", 5, 0, by_words=False, by_meaning=False)] * LEAST
    assert calibrate(none)["zh"].meaning == 1


def test_words_get_what_meaning_is_not_trusted_with() -> None:
    full = lexical_weight(coverage=0.5, across_languages=False)
    assert lexical_weight(coverage=0.5, across_languages=False, meaning=0) == 1
    half = lexical_weight(coverage=0.5, across_languages=False, meaning=0.5)
    assert half == pytest.approx((1 + full) / 2)
    across = lexical_weight(coverage=0.5, across_languages=True)
    assert lexical_weight(coverage=0.5, across_languages=True, meaning=0) == across


def test_what_lies_at_the_library_s_threshold_lies_at_the_gate() -> None:
    signs = Signs(coverage=0.4, headroom=0.1)
    at = Calibration(threshold=log_odds(signs))
    assert relevance(signs, at) == pytest.approx(DEFAULT_GATE)
    assert relevance(Signs(0.45, 0.1), at) > DEFAULT_GATE > relevance(Signs(0.35, 0.1), at)
    assert relevance(signs, UNKNOWN) == relevance(signs)


def test_questions_in_another_language_and_unheard_of_models_keep_their_own_rules() -> None:
    strict = Calibration(threshold=20.0)
    across = Signs(0.1, 0.2, across_languages=True)
    assert relevance(across, strict) == relevance(across)
    assert relevance(Signs(1, 1, unheard_of=True), Calibration(threshold=-2.0)) == 0


def test_it_is_kept_as_it_was() -> None:
    found = calibrate(trials([9.0] * 20, [0.5] * 20))
    assert of_rows(as_rows(found)) == found  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        of_rows({"en": {"another": 1}})
