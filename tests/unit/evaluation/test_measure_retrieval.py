from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from rag.evaluation.asking import measure_pages, measure_texts
from rag.evaluation.datasets import Item, Query, QuestionSet
from rag.evaluation.datasets import TextCollection as Texts
from rag.evaluation.runs import value
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
    outcomes = measure_pages(
        QuestionSet("s", asked, {"needs_vision": 3}), search, documents={"a.pdf": "a", "b.pdf": "b"}
    )
    assert len(outcomes) == 3
    for mode, ranks in {"shared": (3, 4, None), "single": (2, 2, None)}.items():
        mrr = [1 / rank if rank else 0.0 for rank in ranks]
        assert [one.shares[f"{mode}.mrr"][0] for one in outcomes] == mrr
    assert value(outcomes, "single.hit@5") == pytest.approx(2 / 3)
    assert value(outcomes, "shared.mrr") == pytest.approx((1 / 3 + 1 / 4) / 3)


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
    outcomes = measure_texts(
        collection,
        search,
        item_of={"a": "A", "b": "B"},
        told=lambda done, total: told.append((done, total)),
    )
    assert value(outcomes, "hit@1") == pytest.approx(1 / 3)
    assert value(outcomes, "hit@5") == pytest.approx(2 / 3)
    assert value(outcomes, "recall@100") == pytest.approx(2 / 3)
    assert value(outcomes, "ndcg@10") == pytest.approx((1 + 0.6309 + 0) / 3, abs=1e-4)
    assert told == [(1, 3), (2, 3), (3, 3)]
