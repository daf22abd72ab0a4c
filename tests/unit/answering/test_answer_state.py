"""The times of one answer."""

from __future__ import annotations

import pytest

from rag.answering.pipeline import Clock
from rag.types.answers import Usage


class Watch:
    """A time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def usage(*stages: tuple[float, str], watch: Watch | None = None) -> Usage:
    """Return the times of an answer whose stages come so many seconds one after another."""
    watch = watch or Watch()
    clock = Clock(now=watch)
    for seconds, stage in stages:
        watch.now += seconds
        getattr(clock, stage)()
    return clock.usage(10, 6)


ONCE = [(1.0, "retrieved"), (10.0, "asked"), (2.0, "first"), (3.0, "ended")]


def test_waiting_for_the_model_to_load_is_no_part_of_an_answer() -> None:
    found = usage(*ONCE)
    assert (found.retrieve_s, found.first_token_s, found.total_s) == (1.0, 2.0, 6.0)
    assert found.failed_s == 0.0
    assert found.tokens_per_second == pytest.approx(6 / 3)


def test_an_attempt_that_ran_out_of_memory_is_in_the_whole_alone() -> None:
    failed = [(1.0, "retrieved"), (10.0, "asked"), (0.5, "first"), (3.5, "again")]
    found = usage(*failed, (1.0, "asked"), (2.0, "first"), (3.0, "ended"))
    assert found.total_s == 1.0 + 0.5 + 3.5 + 1.0 + 2.0 + 3.0
    assert (found.retrieve_s, found.failed_s, found.first_token_s) == (1.0, 5.0, 2.0)
    assert found.tokens_per_second == pytest.approx(6 / 3), "as without it"


def test_an_attempt_that_failed_after_its_last_token_does_not_end_the_answer() -> None:
    assert usage(*ONCE, (4.0, "again"), (1.0, "asked"), (2.0, "first"), (3.0, "ended")) == usage(
        *ONCE[:2], (10.0, "again"), (0.0, "asked"), (2.0, "first"), (3.0, "ended")
    )


def test_an_answer_without_a_model_took_its_search() -> None:
    found = usage((1.0, "retrieved"))
    assert (found.retrieve_s, found.first_token_s, found.total_s) == (1.0, 0.0, 1.0)
