"""Floors of the check of sentences on real answers that people labelled: what was reached.

The goals (2 % wrong, 5 % doubted, 95 % proven) are in docs/decisions.md, "The check on real
answers"; where a floor is below its goal, the goal is not reached yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.eval.measure_labels import Judged, figures, labelled, measured
from tests.eval.test_retrieval_floors import library

pytestmark = [pytest.mark.eval, pytest.mark.model, pytest.mark.timeout(7200)]
__all__ = ["library"]


@pytest.fixture(scope="module")
def judged(library: Path, models_folder: Path) -> Iterator[list[Judged]]:
    os.environ["RAGDESK_MODELS__FOLDER"] = str(models_folder)
    try:
        yield [*measured(library, aside=False), *measured(library, aside=True)]
    finally:
        del os.environ["RAGDESK_MODELS__FOLDER"]


def test_most_labelled_answers_can_still_be_judged(judged):
    answers = len(labelled(aside=False)) + len(labelled(aside=True))
    assert len({one.answer for one in judged}) >= 0.8 * answers


def test_what_is_shown_as_supported_is(judged):
    found = figures(judged)
    assert found.shown >= 320
    assert found.wrong <= 0.13
    assert found.caught >= 0.73
    assert found.weak <= 0.17


def test_what_the_default_model_is_shown_to_be_supported_is(judged):
    found = figures([one for one in judged if "1.5B" in one.model])
    assert found.wrong <= 0.08
    assert found.doubted <= 0.03


def test_true_sentences_are_not_shown_as_unsupported(judged):
    assert figures(judged).doubted <= 0.065


def test_the_marked_place_proves_the_sentence(judged):
    assert figures(judged).proven >= 0.95
