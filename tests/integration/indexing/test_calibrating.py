"""A library is asked about itself when it has been indexed, and again when it has changed much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.app import wiring
from rag.app.container import Container
from rag.errors import DownloadFailed, IndexMismatch, OutOfMemory, RagError
from rag.indexing import calibration as calibrating
from rag.indexing.calibration import is_due, keep, kept, when_due
from rag.indexing.questions.maker import questions_apart
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.relevance import Calibration
from rag.retrieval.retriever import HybridRetriever
from rag.storage.vectors.manager import exact_index
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.progress import Progress
from tests.factories import settings
from tests.libraries import PageLibrary
from tests.pdfs import write_pdf

TOWNS: tuple[str, ...] = ("Aldova", "Brinmar", "Corvale", "Dunmere", "Elstow", "Farnley")
TOWNS += ("Garrow", "Hexton", "Ilmar", "Jorvik", "Kelso", "Lorne")


def told(town: str, number: int) -> list[str]:
    opened = f"The museum of {town} was opened by its mayor on March 3, {1921 + number}."
    holds = f"The collection in {town} holds {4812 + number} paintings from local families."
    barley = f"Farmers around {town} delivered {731 + number} tons of barley to the brewery."
    return [f"{opened}\n{holds}", barley]


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    made = PageLibrary(tmp_path, HashingEmbedder())
    for number, town in enumerate(TOWNS):
        made.add(f"guide{number}", told(town, number))
    return made


def ask(library: PageLibrary, *, stop_after: int | None = None) -> list[Progress]:
    heard: list[Progress] = []
    when_due(
        library.ledger,
        lambda _: library.retriever,
        heard.append,
        lambda: stop_after is not None and len(heard) >= stop_after,
    )
    return heard


def test_what_it_learns_is_kept_and_asked_for_once(library: PageLibrary) -> None:
    assert is_due(library.ledger, library.version)
    assert kept(library.ledger, library.version) == {}
    heard = ask(library)
    found = kept(library.ledger, library.version)["en"]
    assert found.threshold is not None
    assert found.questions >= 12
    assert heard[-1].stage == "check"
    assert heard[-1].done == found.questions
    assert not is_due(library.ledger, library.version)


def test_it_is_due_again_when_the_library_has_grown_or_shrunk_by_a_quarter(
    library: PageLibrary,
) -> None:
    ask(library)
    library.add("one more", ["The ferry to Marrow leaves at nine in the morning."])
    assert not is_due(library.ledger, library.version)
    library.add("many more", [f"Ferry number {n} leaves for Marrow at dawn." for n in range(8)])
    assert is_due(library.ledger, library.version)
    ask(library)
    assert not is_due(library.ledger, library.version)
    for number in range(6):
        library.ledger.forget(f"guide{number}")
    assert is_due(library.ledger, library.version)


def test_what_is_broken_off_leaves_what_was_known(library: PageLibrary) -> None:
    ask(library, stop_after=3)
    assert kept(library.ledger, library.version) == {}
    ask(library)
    before = kept(library.ledger, library.version)
    library.add("many more", [f"Ferry number {n} leaves for Marrow at dawn." for n in range(8)])
    ask(library, stop_after=3)
    assert before
    assert kept(library.ledger, library.version) == before


def test_a_library_of_a_few_sentences_is_asked_once_and_left_alone(tmp_path: Path) -> None:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("note", ["Milk, eggs, bread."])
    assert ask(made) == []
    assert kept(made.ledger, made.version) == {}
    assert not is_due(made.ledger, made.version)


@pytest.mark.parametrize("known", [{"method": 0, "passages": 24}, {"method": 99}, None])
def test_what_another_version_left_is_no_obstacle(
    library: PageLibrary, known: dict[str, int] | None
) -> None:
    library.ledger.set_meta(f"calibration {library.version.id}", json.dumps(known))
    assert kept(library.ledger, library.version) == {}
    assert is_due(library.ledger, library.version)
    ask(library)
    assert kept(library.ledger, library.version)


@pytest.mark.parametrize("error", [IndexMismatch, DownloadFailed, OutOfMemory])
def test_without_its_embedder_a_library_is_asked_another_time(
    error: type[RagError], library: PageLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    def not_to_be_had(_: IndexVersion) -> HybridRetriever:
        raise error(Text("It is not to be had.", "无法获得。"), hint=Text("Wait.", "请稍候。"))

    when_due(library.ledger, not_to_be_had, lambda _: None, lambda: False)
    assert "It is not to be had." in caplog.text
    assert is_due(library.ledger, library.version)
    ask(library)
    assert kept(library.ledger, library.version)


def test_a_question_is_asked_with_its_document_and_without(library: PageLibrary) -> None:
    ((question, document),) = questions_apart(library.ledger, most=1, seed=1)
    trial = calibrating.ask(library.retriever, library.store, question, document)
    assert trial is not None
    assert trial.by_words
    assert trial.there > trial.hidden
    assert library.retriever.search(question.text, k=1).passages[0].chunk.document_id == document


def test_questions_are_bounded_by_time(
    library: PageLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "_BUDGET_S", -1.0)
    assert ask(library) == []
    assert not is_due(library.ledger, library.version)


def test_a_sync_asks_and_a_rebuild_asks_the_new_index(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    for number, town in enumerate(TOWNS):
        write_pdf(folder / f"guide{number}.pdf", told(town, number))
    chosen = settings(folder, RAGDESK_RETRIEVE__INDEX="numpy")
    container = Container(chosen)
    ledger = container.ledger()
    heard: list[Progress] = []
    try:
        library = wiring.library(container, ledger, index=None)
        library.sync(report=heard.append)
        first = ledger.active_version()
        assert first is not None
        assert kept(ledger, first)["en"].questions >= 12
        assert heard[-1].stage == "check"
        library.sync(report=heard.append)
        assert heard[-1].stage == "scan"  # nothing has changed: nobody asks
        library.rebuild(everything=True, wanted=lambda _: False)
        second = ledger.active_version()
        assert second is not None
        assert second != first
        assert kept(ledger, second)["en"].questions >= 12
        assert library.rollback() == first
        assert kept(ledger, first)
        engines, index = wiring.index_engines(container, ledger, first), exact_index(ledger, first)
        searching = wiring.retriever(container, ledger, engines, index)
        question = "Which mayor opened the museum of Corvale on March 3?"
        before = searching.search(question, k=1)
        strict = Calibration(threshold=60.0, questions=20)
        keep(ledger, first, {"en": strict})
        after = searching.search(question, k=1)
        assert [p.id for p in after.passages] == [p.id for p in before.passages]
        assert after.relevance < 0.001 < before.relevance
        asking = wiring.retriever(container, ledger, engines, index, plain=True)
        never_asked = Calibration(threshold=None)
        keep(ledger, first, {"en": never_asked})
        assert asking.search(question, k=1).relevance == searching.search(question, k=1).relevance
        keep(ledger, first, {"en": strict})
        assert asking.search(question, k=1).relevance > after.relevance  # it starts from nothing
    finally:
        container.close()
        ledger.close()
