"""Retrieval figures: right pages of PDFs, right texts of a collection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from rag.evaluation import collections
from rag.evaluation.scoring import first_hit, hit_at, mrr, ndcg_at, recall_at
from rag.evaluation.sets import Question, QuestionSet
from rag.types import Passage

Mode = Literal["shared", "single"]
Search = Callable[[str, int, "Collection[str] | None"], Sequence[Passage]]
"""Question, number of passages, ids of the only documents (``None``: all)."""
Told = Callable[[int, int], None]
"""Hears how many questions are done, and of how many."""
DEPTH = 10
CUTOFF = 100  # of recall, as BEIR has it
_PER_TEXT = 3  # passages looked at for each text wanted: long texts have several


@dataclass(frozen=True, slots=True)
class PageFigures:
    """How a set of questions about PDFs did. Each rank is of the first right passage."""

    name: str
    asked: tuple[Question, ...]
    ranks: Mapping[Mode, tuple[int | None, ...]]
    seconds: tuple[float, ...]  # of searching everything
    left_out: Mapping[str, int]

    @property
    def questions(self) -> int:
        """How many were asked."""
        return len(self.asked)

    def hit(self, mode: Mode, k: int) -> float:
        """Return hit@k."""
        return hit_at(self.ranks[mode], k)

    def mrr(self, mode: Mode) -> float:
        """Return the mean reciprocal rank, ranks beyond 10 counting as none."""
        return mrr(self.ranks[mode])


@dataclass(frozen=True, slots=True)
class TextFound:
    """How one query of a collection did."""

    query: collections.Query
    ndcg_at_10: float
    recall_at_100: float
    rank: int | None  # of the first right text
    seconds: float


@dataclass(frozen=True, slots=True)
class TextFigures:
    """How a collection of texts did."""

    name: str
    texts: int
    found: tuple[TextFound, ...]


def measure_pages(
    questions: QuestionSet,
    search: Search,
    *,
    documents: Mapping[str, str],
    told: Told = lambda _done, _total: None,
) -> PageFigures:
    """Ask each question of the whole library, and of its own document alone.

    ``documents`` gives the id of each file name; a question whose document is not there finds
    nothing.
    """
    asked = questions.with_pages()
    ranks: dict[Mode, list[int | None]] = {"shared": [], "single": []}
    seconds = []
    for number, question in enumerate(asked, start=1):
        began = perf_counter()
        ranks["shared"].append(_rank(question, search, None))
        seconds.append(perf_counter() - began)
        own = documents.get(question.documents[0])
        ranks["single"].append(_rank(question, search, [own]) if own else None)
        told(number, len(asked))
    return PageFigures(
        questions.name,
        asked,
        {mode: tuple(found) for mode, found in ranks.items()},
        tuple(seconds),
        {str(reason): count for reason, count in questions.left_out.items()},
    )


def _rank(question: Question, search: Search, documents: Collection[str] | None) -> int | None:
    passages = search(question.text, DEPTH, documents)
    return first_hit(passages, document=question.documents[0], pages=question.pages)


def measure_texts(
    collection: collections.Collection,
    search: Search,
    *,
    item_of: Mapping[str, str],
    told: Told = lambda _done, _total: None,
) -> TextFigures:
    """Ask each query; a text stands where its best passage does.

    ``item_of`` gives the item's id of each document id.
    """
    found = []
    for number, query in enumerate(collection.queries, start=1):
        began = perf_counter()
        passages = search(query.text, _PER_TEXT * CUTOFF, None)
        took = perf_counter() - began
        ranked = _first_of_each(item_of[p.chunk.document_id] for p in passages)
        relevant = {item for item, gain in query.relevant.items() if gain > 0}
        rank = next((r for r, i in enumerate(ranked, start=1) if i in relevant), None)
        found.append(
            TextFound(
                query,
                ndcg_at(ranked, query.relevant, 10),
                recall_at(ranked, relevant, CUTOFF),
                rank,
                took,
            )
        )
        told(number, len(collection.queries))
    return TextFigures(collection.name, len(collection.items), tuple(found))


def _first_of_each(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
