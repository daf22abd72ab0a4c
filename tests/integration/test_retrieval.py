"""A question in, ranked passages out, over a real ledger and a model-free embedder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rag.retrieve.analyser import BilingualAnalyser
from rag.retrieve.hashing import HashingEmbedder
from rag.retrieve.lexical import BM25Index
from rag.retrieve.passage_text import embedding_text, lexical_text
from rag.retrieve.retriever import HybridRetriever
from rag.store.ledger import Ledger
from rag.store.numpy_index import NumpyIndex
from rag.store.passages import LedgerPassages
from rag.store.rows import DocumentRow, FileRow, IndexedChunks
from rag.types import Chunk
from tests.factories import document

ANALYSER = BilingualAnalyser()
EMBEDDER = HashingEmbedder()
CARDS = "cards"
LEASE = "lease"
TEXTS = {
    CARDS: [
        "RTX 4090 的显存带宽是 1.0 TB/s。",
        "The RTX 3090 draws 350 W under load.",
        "梯度检查点会增加约20%的计算时间。",
    ],
    LEASE: [
        "The lease ends on May 5, 2020 and may be renewed once.",
        "Form 10-K lists net income of $1,577.00 million.",
        "The tenant pays the rent on the first day of each month.",
    ],
}


@pytest.fixture
def library(tmp_path):
    """The retriever over TEXTS, one passage a page, with the parts a test may want to turn."""
    return Library(tmp_path)


class Library:
    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "library.db")
        space = self.ledger.create_space(
            embedder=EMBEDDER.name, dim=EMBEDDER.dim, chunking="page", analyser=ANALYSER.name
        )
        self.ledger.activate(space)
        self.index = NumpyIndex(dim=EMBEDDER.dim)
        self.space = space
        for name, texts in TEXTS.items():
            self.add(name, texts)
        store = LedgerPassages(self.ledger, space)
        self.retriever = HybridRetriever(
            store, BM25Index(store, ANALYSER), self.index, EMBEDDER, candidates=50
        )

    def add(self, name, texts):
        made = document(*texts, id=name, title="")
        chunks = [
            Chunk(name, start, start + len(text), number, number, text, "", 1)
            for number, (start, text) in enumerate(
                zip(made.page_starts(), texts, strict=True), start=1
            )
        ]
        embedded = [embedding_text(c, limit=512, count=EMBEDDER.count_tokens) for c in chunks]
        rows = EMBEDDER.embed_passages(embedded)
        indexed = IndexedChunks(
            chunks,
            [" ".join(ANALYSER.terms(lexical_text(c))) for c in chunks],
            [hashlib.sha256(text.encode()).digest() for text in embedded],
            rows,
        )
        files = [FileRow(f"{name}.pdf", 1, 1, name)]
        ids, _ = self.ledger.commit_document(
            DocumentRow(made, "en", "ready", None, files), self.space, indexed
        )
        self.index.put(ids, rows)

    def texts(self, question, **options):
        found = self.retriever.search(question, **{"k": 3} | options)
        return [passage.chunk.text for passage in found.passages]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How much power does the RTX 3090 draw?", TEXTS[CARDS][1]),
        ("显存带宽是多少？", TEXTS[CARDS][0]),
        ("梯度检查点要多少时间？", TEXTS[CARDS][2]),
        ("When does the lease end?", TEXTS[LEASE][0]),
        ("10K income", TEXTS[LEASE][1]),
        ("1577", TEXTS[LEASE][1]),
        ("rtx4090", TEXTS[CARDS][0]),
    ],
)
def test_the_passage_that_answers_comes_first(library, question, text):
    assert library.texts(question)[0] == text


def test_passages_know_their_place_and_their_ranks(library):
    (first, *_) = library.retriever.search("显存带宽", k=2).passages
    assert (first.document, first.chunk.first_page) == ("cards.pdf", 1)
    assert (first.ranks.dense, first.ranks.lexical) == (1, 1)
    assert first.score == pytest.approx(1.0)


def test_scores_fall_and_no_passage_comes_twice(library):
    found = library.retriever.search("the rent of the lease", k=6).passages
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert len({p.id for p in found}) == len(found) == 6


def test_a_document_filter_leaves_nothing_else_in(library):
    found = library.retriever.search(
        "How much power does the RTX 3090 draw?", k=9, documents=["lease"]
    )
    assert {p.document for p in found.passages} == {"lease.pdf"}
    assert len(found.passages) == 3


def test_within_chosen_documents_every_vector_is_scored(library):
    found = library.retriever.search("量子力学", k=9, documents=[LEASE])
    assert sorted(p.ranks.dense for p in found.passages) == [1, 2, 3]


@pytest.mark.parametrize("documents", [[], ["no such document"]])
def test_a_filter_that_names_nothing_finds_nothing(library, documents):
    found = library.retriever.search("lease", k=3, documents=documents)
    assert (found.passages, found.relevance) == ((), 0.0)


@pytest.mark.parametrize("question", ["", "  \n", "\u3000"])
def test_a_blank_question_finds_nothing(library, question):
    found = library.retriever.search(question, k=3)
    assert (found.passages, found.relevance) == ((), 0.0)


def test_a_question_without_words_still_gets_an_answer(library):
    assert len(library.texts("?!")) == 3


def test_an_empty_library_has_no_relevance(tmp_path):
    ledger = Ledger(tmp_path / "empty.db")
    space = ledger.create_space(embedder="e", dim=EMBEDDER.dim, chunking="c", analyser="a")
    store = LedgerPassages(ledger, space)
    retriever = HybridRetriever(
        store,
        BM25Index(store, ANALYSER),
        NumpyIndex(dim=EMBEDDER.dim),
        EMBEDDER,
        candidates=50,
    )
    found = retriever.search("What is the power of the RTX 3090?", k=5)
    assert (found.passages, found.relevance) == ((), 0.0)


def test_a_passage_that_went_is_not_found_though_the_index_still_has_it(library):
    gone = library.ledger.remove_files([f"{LEASE}.pdf"])
    assert gone
    assert set(gone) <= library.index.ids()
    found = library.retriever.search("When does the lease end?", k=5)
    assert {p.document for p in found.passages} == {"cards.pdf"}
    assert len(found.passages) == 3


@pytest.mark.parametrize(
    "question", ["What is the capital of Mongolia?", "蒙古国的首都是哪里？", "Who wrote Faust?"]
)
def test_a_question_about_something_else_is_not_relevant(library, question):
    assert library.retriever.search(question, k=3).relevance < 0.1


@pytest.mark.parametrize(
    "question",
    ["How much power does the RTX 3090 draw?", "显存带宽是多少？", "When does the lease end?"],
)
def test_a_question_that_is_answered_is_relevant(library, question):
    assert library.retriever.search(question, k=3).relevance > 0.5


def test_k_above_the_candidates_is_honoured(library):
    assert len(library.texts("the", k=6)) == 6


def test_times_are_measured(library):
    seconds = library.retriever.search("lease", k=1).seconds
    assert seconds.embed > 0
    assert seconds.dense > 0
    assert seconds.lexical > 0
    assert seconds.fuse > 0
