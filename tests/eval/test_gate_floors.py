"""Floors of the gate before the model and of the trust in meaning, set for each library.

XQuAD's articles: a question's own article is hidden, as if it had never been there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.indexing.calibration import kept
from rag.retrieval.embedding.bert import BertEmbedder
from rag.retrieval.relevance import UNKNOWN
from rag.text.messages import Language
from tests.eval.measure_gate import refusals, xquad

pytestmark = [pytest.mark.eval, pytest.mark.model, pytest.mark.timeout(900)]


def embedder(models_folder: Path, name: str, *, prefixes: bool) -> BertEmbedder:
    return BertEmbedder(
        models_folder / name,
        name=name,
        query_prefix="query: " if prefixes else "",
        passage_prefix="passage: " if prefixes else "",
        max_tokens=512 if prefixes else 256,
        batch=16,
    )


@pytest.mark.parametrize(("language", "better"), [("en", 0.15), ("zh", -0.02)])
def test_what_is_not_there_is_refused_and_what_is_there_is_not(
    language: Language, better: float, eval_sets: Path, models_folder: Path, tmp_path: Path
) -> None:
    e5 = embedder(models_folder, "multilingual-e5-small", prefixes=True)
    library, trials = xquad(e5, language, tmp_path)
    known = kept(library.ledger, library.version)[language]
    assert known.meaning == 1
    assert len(trials) >= 150
    wrong, _, f1 = refusals(trials, known)
    assert wrong <= 0.05
    assert f1 >= 0.9
    assert f1 >= refusals(trials, UNKNOWN)[2] + better  # what one threshold for all would do


def test_an_embedder_is_not_listened_to_in_a_language_that_it_has_not_learnt(
    eval_sets: Path, models_folder: Path, tmp_path: Path
) -> None:
    minilm = embedder(models_folder, "all-MiniLM-L6-v2", prefixes=False)
    library, trials = xquad(minilm, "zh", tmp_path)
    assert kept(library.ledger, library.version)["zh"].meaning < 0.5
    by_words = sum(trial.by_words for trial in trials)
    assert sum(trial.by_meaning for trial in trials) < 0.5 * by_words
