"""Floors of the check of answers: what is wrong is not supported, what is true is not doubted.

Over the same library as the floors of retrieval. No model writes anything: sentences come from
the documents, answers from the sets; ``tests/eval/mutations.py`` changes them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from rag.evaluation.datasets import load_sets
from tests.eval.measure_proof import (
    Judge,
    Verdicts,
    judged_changes,
    linked,
    sampled,
    short_answers,
)
from tests.eval.measure_retrieval import Bench
from tests.eval.mutations import NUMBERS, REPHRASINGS
from tests.eval.test_retrieval_floors import library

pytestmark = [pytest.mark.eval, pytest.mark.model, pytest.mark.timeout(7200)]
__all__ = ["library"]

SENTENCES = 240
ANSWERS = 25
SEED, SEED_OF_ANSWERS = 7, 11


@pytest.fixture(scope="module")
def judge(library: Path, models_folder: Path) -> Iterator[Judge]:
    os.environ["RAGDESK_MODELS__FOLDER"] = str(models_folder)
    bench = Bench(library)
    try:
        yield Judge(bench, meaning=False)
    finally:
        bench.close()
        del os.environ["RAGDESK_MODELS__FOLDER"]


@pytest.fixture(scope="module")
def verdicts(judge: Judge) -> Verdicts:
    rng = Random(SEED)
    return judged_changes(judge, list(sampled(judge.bench, SENTENCES, rng)), rng)


def together(verdicts: Verdicts, kinds: Iterable[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (kind, _), counted in verdicts.items():
        if kind in kinds:
            found += counted
    return found


def test_changed_numbers_are_not_called_supported(verdicts):
    changed = together(verdicts, NUMBERS)
    assert changed.total() >= 80
    assert changed["supported"] / changed.total() <= 0.03


@pytest.mark.parametrize("kind", ["name", "negation added", "negation removed"])
def test_changed_names_and_negations_are_not_called_supported(verdicts, kind):
    changed = together(verdicts, [kind])
    assert changed["supported"] <= 0.05 * changed.total() + 1  # one of a few dozen is chance


def test_true_sentences_are_not_called_unsupported(verdicts):
    true = together(verdicts, REPHRASINGS)
    assert true.total() >= SENTENCES
    assert true["unsupported"] / true.total() <= 0.03
    assert true["supported"] / true.total() >= 0.95


@pytest.mark.parametrize("name", ["ohr_finance", "ohr_law", "zh_pdf_cmrc"])
def test_right_short_answers_lead_to_where_they_stand(judge, eval_sets, name):
    (found,) = [one for one in load_sets(eval_sets) if one.name == name]
    rows = list(
        linked(judge, short_answers(found.questions, ANSWERS, Random(SEED_OF_ANSWERS)), bare=True)
    )
    assert len(rows) >= 10
    assert sum(row.says_it for row in rows) / len(rows) >= 0.9
