from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import ConfigError
from rag.evaluation.runs import (
    EvaluationRun,
    QuestionOutcome,
    compare,
    earlier,
    keep,
    load,
)
from rag.indexing.questions.maker import Question
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.evaluations import EvaluationRow, list_evaluations
from tests.libraries import PageLibrary


def run(*right: float, languages: str = "ez", **settings: object) -> EvaluationRun:
    outcomes = [
        QuestionOutcome("home", str(n), "en" if languages[n % len(languages)] == "e" else "zh",
                {"shared.hit@5": (share, 1.0)})
        for n, share in enumerate(right)
    ]  # fmt: skip
    return EvaluationRun(
        row({"chunking": "a/1", **settings}, "home"), outcomes, {"home": {"needs_vision": 2}}
    )


def row(settings: dict[str, object], *sets: str, source: str = "set") -> EvaluationRow:
    return EvaluationRow(0, 0.0, "", source, settings, sets)


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("lease", ["The rent is 950 euros."])
    return made


def test_a_run_comes_back_as_it_was_kept(library: PageLibrary) -> None:
    kept = run(1.0, 0.0)
    number = keep(library.ledger, kept, documents={})
    (listed,) = list_evaluations(library.ledger, "set")
    found = load(library.ledger, listed)
    assert (found.row.id, found.outcomes) == (number, kept.outcomes)
    assert (found.left_out, found.row.settings) == (kept.left_out, kept.row.settings)
    assert list_evaluations(library.ledger, "another") == []


def test_the_last_run_of_the_same_sets_is_compared_with_unless_one_is_named(
    library: PageLibrary,
) -> None:
    ledger = library.ledger
    with pytest.raises(ConfigError, match="no earlier run"):
        earlier(ledger, "set", sets=["home"])
    first = keep(ledger, run(1.0, name="x"), documents={})
    second = keep(ledger, run(0.0), documents={})
    assert earlier(ledger, "set", sets=["home"]).id == second
    assert earlier(ledger, "set", named=str(first)).id == first
    for wanted in ({"sets": ["away"]}, {"named": "nobody"}):
        with pytest.raises(ConfigError):
            earlier(ledger, "set", **wanted)


def test_a_comparison_names_settings_and_languages(library: PageLibrary) -> None:
    before = run(*[1.0] * 20)
    keep(library.ledger, before, documents={})
    kept = load(library.ledger, *list_evaluations(library.ledger, "set"))
    after = run(*[float(n % 2) for n in range(20)], chunking="b/2")
    found = compare(kept, after)
    assert found.settings == {"chunking": ("a/1", "b/2")}
    assert [(change.language, change.after) for change in found.changes] == [
        ("", 0.5),
        ("en", 0.0),
        ("zh", 1.0),
    ]
    assert [change.language for change in found.fell] == ["", "en"]
    with pytest.raises(ConfigError, match="none of these questions"):
        compare(EvaluationRun(row({}), [], {}), after)


def test_questions_made_of_a_document_are_forgotten_with_it(library: PageLibrary) -> None:
    question = Question("q", "own", "en", ("lease.pdf",), "How much?", ("950",), (1,), True)
    made = EvaluationRun(row({}, source="own"), [], {}, [question])
    keep(library.ledger, made, documents={"lease.pdf": "lease"})
    (kept,) = list_evaluations(library.ledger, "own")
    assert load(library.ledger, kept).questions == [question]
    library.ledger.forget("lease")
    assert load(library.ledger, kept).questions == []
