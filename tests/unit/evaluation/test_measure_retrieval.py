from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from rag.evaluation.datasets import Item, Query, QuestionSet
from rag.evaluation.datasets import TextCollection as Texts
from rag.evaluation.figures import of_pages, of_texts, value
from rag.evaluation.retrieval import measure_pages, measure_texts
from rag.indexing.questions.maker import Question
from rag.types.answers import Passage
from rag.types.documents import Chunk


def passage(document: str, page: int) -> Passage:
    chunk = Chunk(document, 0, 1, page, page, "x", "", 1)
    return Passage(0, chunk, f"{document}.pdf", f"{document}.pdf")


def question(document: str, *pages: int, answerable: bool = True) -> Question:
    return Question("q", "set", "en", (f"{document}.pdf",), "?", (), pages, answerable)


def test_each_question_is_asked_of_everything_and_of_its_own_document() -> None:
    everything = [passage("b", 1), passage("a", 9), passage("a", 2), passage("b", 2)]

    def search(_: str, k: int, documents: Collection[str] | None) -> Sequence[Passage]:
        return [p for p in everything if documents is None or p.chunk.document_id in documents][:k]

    asked = (question("a", 2), question("b", 2), question("c", 1), question("a"))
    figures = measure_pages(
        QuestionSet("s", asked, {"needs_vision": 3}), search, documents={"a.pdf": "a", "b.pdf": "b"}
    )
    assert figures.ranks == {"shared": (3, 4, None), "single": (2, 2, None)}
    outcomes = of_pages(figures)
    assert len(outcomes) == 3
    assert value(outcomes, "single.hit@5") == pytest.approx(2 / 3)
    assert value(outcomes, "shared.mrr") == pytest.approx((1 / 3 + 1 / 4) / 3)
    assert figures.left_out == {"needs_vision": 3}


def test_a_text_stands_where_its_best_passage_does() -> None:
    def search(query: str, k: int, _: Collection[str] | None) -> Sequence[Passage]:
        order = {"first": "aab", "second": "bba", "none": ""}[query]
        return [passage(name, 1) for name in order][:k]

    collection = Texts(
        "t",
        (Item("A", "", "one"), Item("B", "", "two")),
        (
            Query("1", "first", {"A": 1.0}),
            Query("2", "second", {"A": 1.0, "B": 0.0}),
            Query("3", "none", {"B": 1.0}),
        ),
    )
    told: list[tuple[int, int]] = []
    figures = measure_texts(
        collection,
        search,
        item_of={"a": "A", "b": "B"},
        told=lambda done, total: told.append((done, total)),
    )
    assert figures.texts == 2
    outcomes = of_texts(figures)
    assert value(outcomes, "hit@1") == pytest.approx(1 / 3)
    assert value(outcomes, "hit@5") == pytest.approx(2 / 3)
    assert value(outcomes, "recall@100") == pytest.approx(2 / 3)
    assert value(outcomes, "ndcg@10") == pytest.approx((1 + 0.6309 + 0) / 3, abs=1e-4)
    assert told == [(1, 3), (2, 3), (3, 3)]
