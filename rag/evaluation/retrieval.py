"""Retrieval figures: right pages of PDFs, right texts of a collection.

A collection's texts become documents of a ledger, so that they are searched as PDFs are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from rag.evaluation import datasets as collections
from rag.evaluation.datasets import QuestionSet
from rag.evaluation.scoring import first_hit, ndcg_at, recall_at
from rag.indexing.incoming import Pending, StageTimes, document_row
from rag.indexing.indexer import Indexer
from rag.indexing.questions.maker import Question
from rag.storage.ledger import FileRow
from rag.types.answers import Passage
from rag.types.documents import Document, Page
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.indexing.incoming import IndexEngines
    from rag.protocols import Retriever
    from rag.storage.ledger import Ledger

Mode = Literal["shared", "single"]
Search = Callable[[str, int, "Collection[str] | None"], Sequence[Passage]]
"""Question, number of passages, ids of the only documents (``None``: all)."""
Told = Callable[[int, int], None]
"""Hears how many questions are done, and of how many."""
DEPTH = 10
CUTOFF = 100  # of recall, as BEIR has it
_PER_TEXT = 3  # passages looked at for each text wanted: long texts have several


class Searching:
    """A retriever, its passages, and which questions it would not let through to a model."""

    def __init__(self, retriever: Retriever, *, min_relevance: float) -> None:
        """``min_relevance`` is that of the settings."""
        self._retriever = retriever
        self._min_relevance = min_relevance
        self._refused: dict[str, bool] = {}

    def __call__(
        self, question: str, k: int, documents: Collection[str] | None
    ) -> Sequence[Passage]:
        """Return at most ``k`` passages, best first; satisfies ``Search``."""
        found = self._retriever.search(question, k=k, documents=documents)
        if documents is None:
            weak = found.relevance < self._min_relevance
            self._refused[question] = weak or not found.passages
        return found.passages

    def refuses(self, question: str) -> bool:
        """Say whether the app would answer, without a model, that the documents are silent."""
        if question not in self._refused:
            self(question, 1, None)
        return self._refused[question]


@dataclass(frozen=True, slots=True)
class PageFigures:
    """How a set of questions about PDFs did. Each rank is of the first right passage."""

    name: str
    asked: tuple[Question, ...]
    ranks: Mapping[Mode, tuple[int | None, ...]]
    seconds: tuple[float, ...]  # of searching everything
    left_out: Mapping[str, int]


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
    collection: collections.TextCollection,
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


def index_texts(
    ledger: Ledger,
    engines: IndexEngines,
    items: Iterable[collections.Item],
    *,
    report: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> dict[str, str]:
    """Index what is not there yet; return the item's id for each document's id.

    What an earlier, interrupted run has indexed is not done again.
    """
    item_of = {_identity(item): item for item in items}
    done = ledger.complete_documents(engines.space)
    missing = [identity for identity in item_of if identity not in done]
    indexer = Indexer(ledger, engines, index=None, times=StageTimes())
    run = indexer.run(_pending(missing, item_of), embedded=lambda *_: None, cancelled=cancelled)
    for finished, _ in enumerate(run, start=1):
        report(Progress("embed", finished, len(missing), "texts"))
    return {identity: item.id for identity, item in item_of.items()}


def _identity(item: collections.Item) -> str:
    return sha256(f"{item.id}\0{item.title}\0{item.text}".encode()).hexdigest()


def _pending(identities: Iterable[str], item_of: dict[str, collections.Item]) -> Iterator[Pending]:
    for identity in identities:
        item = item_of[identity]
        document = Document(identity, item.title, (Page(1, item.text),))
        file = FileRow(item.id, len(item.text), 0, identity)
        yield Pending(document, document_row(document, [file]))
