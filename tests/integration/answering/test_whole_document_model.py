"""A small model reads a small document whole, within a small window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.answering.pipeline import AskSettings, RagPipeline
from rag.answering.whole_document.asker import WholeDocumentAsker
from rag.answering.whole_document.notes import NoteEngines
from rag.answering.whole_document.scope import ReadingPace, ReadingPlanner
from rag.generation.llamacpp import LlamaCppGenerator
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.passages import LedgerDocuments, LedgerPassages
from rag.types.answers import Answer, Finished
from tests.fake_reader import locator_over
from tests.libraries import PageLibrary

pytestmark = [pytest.mark.model, pytest.mark.slow]

LEASE = (
    "The lease of the flat in Mill Street 4 begins on 1 March 2021. The monthly rent is 950 euros.",
    "The tenant pays a deposit of 1900 euros. The deposit is returned within 60 days.",
    "Pets are not allowed. Smoking is not allowed on the balcony.",
    "The landlord repairs the heating. The tenant cleans the stairs every second week.",
)


@pytest.fixture(scope="module")
def model(model_path: Callable[[str], Path]):
    name = "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M"
    loaded = LlamaCppGenerator.load(model_path(name), name=name, context_tokens=2048)
    yield loaded
    loaded.close()


def test_everything_is_read_and_what_is_said_is_proved(
    model: LlamaCppGenerator, tmp_path: Path
) -> None:
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("lease", LEASE)
    answer = ask(library, model, "Summarise this lease", tmp_path)
    assert answer.coverage is not None
    assert (answer.coverage.read, answer.coverage.of) == (4, 4)
    assert "950" in answer.text
    supported = [s for s in answer.sentences if s.verdict == "supported"]
    assert supported
    assert all(s.evidence for s in supported)


def ask(library: PageLibrary, model: LlamaCppGenerator, question: str, folder: Path) -> Answer:
    store = LedgerPassages(library.ledger, library.version)
    highlighter, shelf = (
        locator_over(folder, store),
        LedgerDocuments(library.ledger, library.version),
    )
    settings, pace = AskSettings(max_tokens=200), ReadingPace()
    pipeline = RagPipeline(
        retriever=library.retriever,
        generator=lambda _: model,
        highlighter=highlighter,
        embedder=library.embedder,
        analyser=library.analyser,
        settings=settings,
    )
    planner = ReadingPlanner(shelf=shelf, retriever=library.retriever, limit=300, pace=pace)
    parts = NoteEngines(
        shelf, lambda _: model, highlighter, library.embedder, library.analyser, settings, pace
    )
    events = list(
        WholeDocumentAsker(pipeline, planner, parts).ask(
            question, documents=["lease"], mode="whole"
        )
    )
    last = events[-1]
    assert isinstance(last, Finished)
    return last.answer
