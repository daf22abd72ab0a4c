"""In a large library rare words choose the candidates; common ones still help to order them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.bm25 import BM25Index
from rag.storage.ledger import DocumentRow, FileRow, IndexedChunks, Ledger
from rag.storage.passages import LedgerPassages
from rag.types.documents import Chunk, Document, Page

ANALYSER = BilingualAnalyser()
TEXTS = [
    *(f"the company paid rent in month {n}" for n in range(40)),
    "the company sold a zeppelin and paid for it in the month after",
    "a zeppelin flew over the lake",
    "the company bought a second zeppelin, paid rent, and the company kept it",
    *(f"nothing of this kind stands in line {n} of the annex" for n in range(100)),
]


def stored(folder: Path, *documents: list[str]) -> LedgerPassages:
    """Return a library of documents with a text a page; their ids are their numbers."""
    ledger = Ledger(folder / "library.db")
    version = ledger.create_version(embedder="none", dim=1, chunking="none", analyser=ANALYSER.name)
    for order, texts in enumerate(documents):
        pages = tuple(Page(number, text) for number, text in enumerate(texts, start=1))
        document = Document(str(order) * 64, "Title", pages)
        chunks = [
            Chunk(document.id, at, at + len(p.text), p.number, p.number, p.text)
            for at, p in zip(document.page_starts(), pages, strict=True)
        ]
        indexed = IndexedChunks(
            chunks,
            [" ".join(ANALYSER.terms(text)) for text in texts],
            [order.to_bytes() + n.to_bytes(31) for n in range(len(texts))],
            np.ones((len(texts), 1), dtype=np.float32),
        )
        files = [FileRow(f"{order}.pdf", 1, 1, document.id)]
        ledger.commit_document(DocumentRow(document, "en", "ready", None, files), version, indexed)
    return LedgerPassages(ledger, version)


@pytest.fixture
def store(tmp_path: Path) -> LedgerPassages:
    return stored(tmp_path, TEXTS)


def ranked(store: LedgerPassages, question: str, *, most: int) -> list[tuple[int, float]]:
    found = BM25Index(store, ANALYSER, most_scored=most).search(question, k=10, documents=None)
    return [(store.passages([i])[i].chunk.first_page, score) for i, score in found]


def test_a_question_of_few_occurrences_is_scored_as_ever(store: LedgerPassages) -> None:
    whole = ranked(store, "Which company paid rent for a zeppelin?", most=10_000)
    assert whole[0][0] == 43
    assert len(whole) == 10


def test_rare_words_choose_and_common_ones_order(store: LedgerPassages) -> None:
    whole = dict(ranked(store, "Which company paid rent for a zeppelin?", most=10_000))
    few = ranked(store, "Which company paid rent for a zeppelin?", most=10)
    assert [page for page, _ in few] == [43, 41, 42]
    for page, score in few[:2]:  # nearly the score with candidates that all words chose
        assert score == pytest.approx(whole[page], rel=0.2)


def test_a_question_of_common_words_alone_is_answered_by_the_rarest(store: LedgerPassages) -> None:
    found = ranked(store, "company rent", most=1)
    assert len(found) == 10
    assert all("rent" in TEXTS[page - 1] for page, _ in found)
    assert found == ranked(store, "company rent", most=41)
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)


def test_words_that_stand_nowhere_find_nothing(store: LedgerPassages) -> None:
    assert ranked(store, "xylophone", most=1) == []
    assert ranked(store, "xylophone", most=10_000) == []


def test_within_a_document_a_word_that_all_of_it_says_counts_little(tmp_path: Path) -> None:
    """In the library the bank's name is rare, in its own report it tells nothing."""
    report = [
        *(f"Zenith bank and Zenith bank again, line {n}" for n in range(400)),
        "Card fees of the second quarter",
    ]
    store = stored(tmp_path, report, ["fees of others"] * 800)
    own = "0" * 64
    question = "What were the fees at Zenith?"
    index = BM25Index(store, ANALYSER)
    assert store.document_frequency(["zenith", "fee"], [own]) == ({"zenith": 400, "fee": 1}, 401)
    assert store.document_frequency(["zenith"]) == ({"zenith": 400}, 1201)
    (best, _), *_ = index.search(question, k=5, documents=[own])
    assert store.passages([best])[best].chunk.first_page == 401
    (best, _), *_ = index.search(question, k=200, documents=[own])  # all are candidates
    assert store.passages([best])[best].chunk.first_page == 401
    # many documents are nearly the library: words are not counted anew among theirs
    among_many = BM25Index(store, ANALYSER, most_within=400)
    (best, _), *_ = among_many.search(question, k=5, documents=[own])
    assert store.passages([best])[best].chunk.first_page == 1


def test_no_document_is_asked_and_none_is_found(store: LedgerPassages) -> None:
    assert store.document_frequency(["zeppelin"], []) == ({"zeppelin": 0}, 0)
    assert BM25Index(store, ANALYSER).search("zeppelin", k=5, documents=[]) == []
