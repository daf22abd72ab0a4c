"""A search with a reranker: it orders the first passages anew, and the search tells so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rag.answering.explain.explainer import lost_in_search
from rag.answering.explain.steps import SentencePassages, search_steps
from rag.answering.explain.values import SentencePlace
from rag.app.container import Container
from rag.config import RerankerSettings, Settings
from rag.errors import ConfigError, RagError, UnknownModel
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.reranker import CrossEncoderReranker
from rag.retrieval.retriever import HybridRetriever
from rag.retrieval.trace import Tracer
from rag.text.messages import Text
from rag.types.answers import Message, Passage
from tests.libraries import PageLibrary
from tests.tiny_encoder import write_tiny_reranker

PAGES = [f"Entry {n:02} about boats in the harbour." for n in range(20)]


class ByNumber:
    """Stands in for a model: the later an entry, the better, and it remembers what it read."""

    name = "by number"

    def __init__(self) -> None:
        self.read: list[tuple[str, int]] = []

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        self.read.append((question, len(passages)))
        scored = [replace(p, score=int(p.chunk.text.split()[1]) / 100) for p in passages]
        best_first = sorted(scored, key=lambda p: -p.score)
        return [
            replace(p, ranks=replace(p.ranks, rerank=rank))
            for rank, p in enumerate(best_first, start=1)
        ]


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    found = PageLibrary(tmp_path, HashingEmbedder())
    found.add("log", PAGES)
    return found


@pytest.fixture
def reranker() -> ByNumber:
    return ByNumber()


@pytest.fixture
def retriever_of(library: PageLibrary, reranker: ByNumber) -> Callable[[int], HybridRetriever]:
    def make(reread: int) -> HybridRetriever:
        return HybridRetriever(
            library.store,
            library.lexical,
            library.index,
            library.embedder,
            candidates=50,
            reranker=reranker,
            reread=reread,
        )

    return make


def numbers(passages: Sequence[Passage]) -> list[int]:
    return [int(p.chunk.text.split()[1]) for p in passages]


def test_the_first_passages_come_in_the_rerankers_order(
    retriever_of: Callable[[int], HybridRetriever], reranker: ByNumber
) -> None:
    found = retriever_of(30).search("boats in the harbour", k=5)
    assert numbers(found.passages) == [19, 18, 17, 16, 15]
    assert [p.ranks.rerank for p in found.passages] == [1, 2, 3, 4, 5]
    assert [p.score for p in found.passages] == [0.19, 0.18, 0.17, 0.16, 0.15]
    assert all(p.ranks.lexical and p.ranks.dense for p in found.passages)
    assert found.seconds.rerank > 0
    assert reranker.read == [("boats in the harbour", 20)]


def test_what_it_does_not_read_stays_behind_in_the_old_order(
    library: PageLibrary, retriever_of: Callable[[int], HybridRetriever], reranker: ByNumber
) -> None:
    before = library.retriever.search("boats in the harbour", k=20)
    found = retriever_of(4).search("boats in the harbour", k=20)
    assert reranker.read[-1][1] == 4
    assert numbers(found.passages[:4]) == sorted(numbers(before.passages[:4]), reverse=True)
    assert numbers(found.passages[4:]) == numbers(before.passages[4:])
    assert all(p.ranks.rerank is None for p in found.passages[4:])
    scores = [p.score for p in found.passages]
    assert scores == sorted(scores, reverse=True)


def test_whether_an_answer_is_there_is_judged_as_without_it(
    library: PageLibrary, retriever_of: Callable[[int], HybridRetriever]
) -> None:
    for question in ("boats in the harbour", "the price of tea"):
        plain = library.retriever.search(question, k=5)
        assert retriever_of(30).search(question, k=5).relevance == plain.relevance


def test_a_follow_up_is_read_with_what_it_refers_to(
    retriever_of: Callable[[int], HybridRetriever], reranker: ByNumber
) -> None:
    turns = [Message("user", "Which boats lie in the harbour?")]
    found = retriever_of(30).search("And entry 03?", k=3, history=turns)
    assert len(reranker.read) == 1, "once for both readings"
    assert reranker.read[0][0] == found.searched
    assert "boats" in found.searched


def test_nothing_found_nothing_read(
    library: PageLibrary, retriever_of: Callable[[int], HybridRetriever], reranker: ByNumber
) -> None:
    assert retriever_of(30).search("boats", k=5, documents=["no such"]).passages == ()
    assert [count for _, count in reranker.read] in ([], [0])


def test_why_a_passage_was_outdone_is_told_with_both_places(
    library: PageLibrary, retriever_of: Callable[[int], HybridRetriever]
) -> None:
    retriever = retriever_of(30)
    plain = library.retriever.search("boats in the harbour", k=3)
    lowest = min(plain.passages, key=lambda p: numbers([p])[0])
    tracer = Tracer(retriever, library.store, library.analyser)
    traced = tracer.trace(
        "boats in the harbour", [lowest.id], k=3, documents=None, everything=["log"]
    )
    passage = traced.passages[lowest.id]
    assert passage.spread is not None
    assert passage.spread <= 3 < (passage.place or 0)
    pieces = SentencePassages(
        SentencePlace("log", "log.pdf", "log.pdf", 1, 0, 10, "", 1.0), (lowest.id,), ()
    )
    lost = lost_in_search(pieces, passage, traced, k=3, words=Text("", ""))
    assert lost is not None
    assert lost.code == "reranked"
    assert f"in place {passage.place}" in lost.what.en
    steps = {step.stage: step for step in search_steps(traced, passage, k=3)}
    assert steps["pages"].passed is True
    assert steps["reranker"].passed is False
    assert steps["reranker"].numbers["rank"] == passage.reread
    assert steps["k"].passed is False


@pytest.fixture
def factory_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Container]:
    """Return a function that makes a container with that reranker; all weights are tiny ones."""
    write_tiny_reranker(tmp_path / "model")
    monkeypatch.setattr(Container, "weights", lambda *_: tmp_path / "model")

    def make(name: str) -> Container:
        return Container(Settings(reranker=RerankerSettings(model=name, device="cpu")))

    return make


def test_the_setting_brings_the_model_and_it_is_loaded_once(
    factory_of: Callable[[str], Container],
) -> None:
    container = factory_of("mmarco-mMiniLMv2-L12-H384-v1")
    loaded = container.reranker()
    assert isinstance(loaded, CrossEncoderReranker)
    assert loaded.name == "mmarco-mMiniLMv2-L12-H384-v1"
    assert container.reranker() is loaded
    assert loaded in container.movable(), "else it would stay on a card that is full"
    assert factory_of("").reranker() is None


@pytest.mark.parametrize(
    ("name", "error"), [("multilingual-e5-small", ConfigError), ("no-such-model", UnknownModel)]
)
def test_a_name_that_is_no_reranker_is_an_error_in_words(
    name: str, error: type[RagError], factory_of: Callable[[str], Container]
) -> None:
    with pytest.raises(error, match=name) as caught:
        factory_of(name).reranker()
    assert caught.value.hint.zh
