"""A search can be followed passage by passage, and the tracer tells what the search did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from rag.answering.explain.explainer import lost_in_search
from rag.answering.explain.steps import SentencePassages, search_steps
from rag.answering.explain.values import SentencePlace
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.retriever import HybridRetriever
from rag.retrieval.trace import Tracer
from rag.text.messages import Text
from rag.types.answers import AlsoSearched
from tests.libraries import PageLibrary

PAGES = [f"Entry {n} about {'boats' if n >= 20 else 'trains'} in the harbour." for n in range(30)]


class ByPage(HashingEmbedder):
    """Holds the first pages for the nearest to every question."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.dim = "by page", 2

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        angles = np.array(
            [float(text.split()[1].strip(":")) / 30 for text in texts], dtype=np.float32
        )
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def embed_query(self, text: str) -> np.ndarray:
        return np.array([1.0, 0.0], dtype=np.float32)


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    return PageLibrary(tmp_path, ByPage())


def tracer(library: PageLibrary, *, candidates: int) -> tuple[Tracer, HybridRetriever]:
    store = library.store
    retriever = HybridRetriever(
        store, library.lexical, library.index, library.embedder, candidates=candidates
    )
    return Tracer(retriever, store, library.analyser), retriever


def test_the_trace_says_what_the_search_returns(library: PageLibrary) -> None:
    ids = library.add("log", PAGES)
    follow, retriever = tracer(library, candidates=50)
    found = retriever.search("boats", k=5)
    traced = follow.trace("boats", ids, k=5, documents=None, everything=["log"])
    assert traced.found.passages == found.passages
    assert traced.found.relevance == found.relevance
    places = {i: trace.place for i, trace in traced.passages.items()}
    assert [p.id for p in found.passages] == sorted(ids, key=lambda i: places[i] or 99)[:5]
    for passage in found.passages:
        assert traced.passages[passage.id].meaning.rank == passage.ranks.dense
        assert traced.passages[passage.id].words.rank == passage.ranks.lexical


def test_a_passage_that_no_leg_proposed_has_its_rank_among_all(library: PageLibrary) -> None:
    ids = library.add("log", PAGES)
    follow, _ = tracer(library, candidates=5)
    traced = follow.trace("boats", [ids[15]], k=1, documents=None, everything=["log"])
    passage = traced.passages[ids[15]]
    assert passage.words.rank is None, "it has none of the words"
    assert passage.meaning.rank == 16
    assert not passage.meaning.proposed
    assert (passage.fused, passage.place) == (None, None)
    assert passage.missing == ("boat",)


@pytest.mark.parametrize(
    ("kind", "key"), [("computed_from", "lines"), ("also_called", "other_names")]
)
def test_what_was_also_searched_for_is_told_with_the_fusion(
    library: PageLibrary, kind: Literal["computed_from", "also_called"], key: str
) -> None:
    ids = library.add("log", PAGES)
    follow, _ = tracer(library, candidates=50)
    traced = follow.trace("boats", ids, k=1, documents=None, everything=["log"])
    found = replace(traced.found, also=AlsoSearched(kind, "ships"))
    traced = replace(traced, found=found)
    (fusion,) = (
        s for s in search_steps(traced, traced.passages[ids[0]], k=1) if s.stage == "fusion"
    )
    assert "with those for “ships”" in fusion.what.en
    told = {name: fusion.numbers[name] for name in ("lines", "other_names")}
    assert told == {"lines": None, "other_names": None, key: "ships"}


def test_what_is_proposed_and_comes_too_late_to_be_looked_at_is_lost_in_fusion(
    library: PageLibrary,
) -> None:
    ids = library.add("log", PAGES)
    follow, _ = tracer(library, candidates=10)
    traced = follow.trace("boats", ids, k=1, documents=None, everything=["log"])
    late = [t for t in traced.passages.values() if t.fused is not None and t.place is None]
    assert late, "twenty were proposed, and ten are looked at"
    place = SentencePlace("log", "log.pdf", "log.pdf", 1, 0, 10, "", 1.0)
    pieces = SentencePassages(place, (late[0].id,), ())
    lost = lost_in_search(pieces, late[0], traced, k=1, words=Text("", ""))
    assert lost is not None
    assert lost.code == "fusion"
    assert search_steps(traced, late[0], k=1)[-1].passed is False


def test_words_to_ask_with_are_those_that_few_passages_have(library: PageLibrary) -> None:
    library.add("log", [*PAGES, "Entry 30: the dredger named Wanda lies in the harbour."])
    follow, _ = tracer(library, candidates=10)
    words = follow.telling_words("What lies in the harbour?", "The dredger named Wanda lies")
    assert words[:1] != ["harbour"]
    assert {"dredger", "Wanda"} <= set(words)
    assert "lies" not in words, "the question has it"
