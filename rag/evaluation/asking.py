"""Asks questions, and says what became of each: right pages, right texts, answers, refusals.

A collection's texts become documents of a ledger, so that they are searched as PDFs are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter
from typing import TYPE_CHECKING

from rag.evaluation.datasets import Item, QuestionSet, TextCollection
from rag.evaluation.runs import SECONDS, QuestionOutcome, Share
from rag.evaluation.scoring import (
    AnswerScore,
    first_hit,
    ndcg_at,
    recall_at,
    score_answer,
    short_answers,
)
from rag.indexing.incoming import Pending, StageTimes, document_row
from rag.indexing.indexer import Indexer
from rag.indexing.questions.maker import Question
from rag.storage.ledger import FileRow
from rag.text.language import detect_language
from rag.types.answers import Answer, Evidence, Passage
from rag.types.documents import Document, Page
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.indexing.incoming import IndexEngines
    from rag.protocols import Retriever
    from rag.storage.ledger import Ledger

Search = Callable[[str, int, "Collection[str] | None"], Sequence[Passage]]
"""Question, number of passages, ids of the only documents (``None``: all)."""
Ask = Callable[[Question], Answer]
Told = Callable[[int, int], None]
"""Hears how many questions are done, and of how many."""
CUTS = (1, 5, 10)
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


# ---- pages --------------------------------------------------------------------------------


def measure_pages(
    questions: QuestionSet,
    search: Search,
    *,
    documents: Mapping[str, str],
    told: Told = lambda _done, _total: None,
) -> list[QuestionOutcome]:
    """Ask each question of the whole library ("shared"), and of its own document ("single").

    Counted are hit@k, whether the right page is among the first k, and 1 / rank of the first
    right one. ``documents`` gives the id of each file name; a question whose document is not
    there finds nothing.
    """
    asked = questions.with_pages()
    found = []
    for number, question in enumerate(asked, start=1):
        began = perf_counter()
        shares = _page_shares("shared", _rank(question, search, None))
        took = perf_counter() - began
        own = documents.get(question.documents[0])
        shares |= _page_shares("single", _rank(question, search, [own]) if own else None)
        found.append(outcome(question, {**shares, SECONDS[0]: (took, 1.0)}))
        told(number, len(asked))
    return found


def outcome(question: Question, shares: Mapping[str, Share]) -> QuestionOutcome:
    """Return what became of a question."""
    return QuestionOutcome(question.set, question.id, question.language, shares)


def _rank(question: Question, search: Search, documents: Collection[str] | None) -> int | None:
    passages = search(question.text, max(CUTS), documents)
    return first_hit(passages, document=question.documents[0], pages=question.pages)


def _page_shares(mode: str, rank: int | None) -> dict[str, Share]:
    hits = {f"{mode}.hit@{k}": _hit(rank, k) for k in CUTS}
    return {**hits, f"{mode}.mrr": (1 / rank if rank else 0.0, 1.0)}


def _hit(rank: int | None, k: int) -> Share:
    return float(rank is not None and rank <= k), 1.0


# ---- refusals and answers -----------------------------------------------------------------


def refusal(prefix: str, question: Question, *, refused: bool) -> dict[str, Share]:
    """Return a question's shares of precision, recall and F1 of refusing.

    F1 = 2 x right / (refused + without an answer), summed over questions.
    """
    without = not question.answerable
    right = float(refused and without)
    return {
        f"{prefix}.precision": (right, float(refused)),
        f"{prefix}.recall": (right, float(without)),
        f"{prefix}.f1": (2 * right, float(refused) + float(without)),
        f"{prefix}.false_refusals": (float(refused and not without), float(not without)),
    }


@dataclass(frozen=True, slots=True)
class Answered:
    """What one answer came to. ``None``: not judged by this."""

    question: Question
    answer: Answer
    seconds: float
    right_page: bool | None  # its first citation; None: nothing was cited
    score: AnswerScore | None  # against short answers only

    @property
    def refused(self) -> bool:
        """Whether the app said that the documents do not hold the answer."""
        return self.answer.verdict == "not_in_documents"


def measure_answers(
    questions: Sequence[Question], ask: Ask, *, told: Told = lambda _done, _total: None
) -> list[Answered]:
    """Ask every question and judge what comes back."""
    found = []
    for number, question in enumerate(questions, start=1):
        began = perf_counter()
        answer = ask(question)
        found.append(judge(question, answer, seconds=perf_counter() - began))
        told(number, len(questions))
    return found


def judge(question: Question, answer: Answer, *, seconds: float) -> Answered:
    """Compare an answer with what is known to be right."""
    first = next((s.evidence[0] for s in answer.sentences if s.evidence), None)
    short = short_answers(question.answers) if question.answerable else ()
    return Answered(
        question,
        answer,
        seconds,
        None if first is None else _is_right(first, question),
        score_answer(answer.text, short) if short else None,
    )


def _is_right(evidence: Evidence, question: Question) -> bool:
    return evidence.document in question.documents[:1] and evidence.page in question.pages


def of_answer(one: Answered) -> QuestionOutcome:
    """Return what an answer came to: right page cited, short answer, refusal."""
    shares = refusal("abstention", one.question, refused=one.refused)
    if one.right_page is not None and one.question.pages:
        shares["citation.page_precision"] = (float(one.right_page), 1.0)
    if one.score is not None:
        for name in ("exact", "contains", "f1", "grade"):
            shares[f"answer.{name}"] = (getattr(one.score, name), 1.0)
    shares[SECONDS[1]] = (one.seconds, 1.0)
    return outcome(one.question, shares)


# ---- collections of texts -----------------------------------------------------------------


def measure_texts(
    collection: TextCollection,
    search: Search,
    *,
    item_of: Mapping[str, str],
    told: Told = lambda _done, _total: None,
) -> list[QuestionOutcome]:
    """Ask each query; a text stands where its best passage does.

    ``item_of`` gives the item's id of each document id.
    """
    found = []
    for number, query in enumerate(collection.queries, start=1):
        began = perf_counter()
        passages = search(query.text, _PER_TEXT * CUTOFF, None)
        took = perf_counter() - began
        ranked = list(dict.fromkeys(item_of[p.chunk.document_id] for p in passages))
        relevant = {item for item, gain in query.relevant.items() if gain > 0}
        rank = next((r for r, i in enumerate(ranked, start=1) if i in relevant), None)
        shares: dict[str, Share] = {
            "ndcg@10": (ndcg_at(ranked, query.relevant, 10), 1.0),
            f"recall@{CUTOFF}": (recall_at(ranked, relevant, CUTOFF), 1.0),
            "hit@1": _hit(rank, 1),
            "hit@5": _hit(rank, 5),
            SECONDS[0]: (took, 1.0),
        }
        language = detect_language(query.text)
        found.append(QuestionOutcome(collection.name, query.id, language, shares))
        told(number, len(collection.queries))
    return found


def index_texts(
    ledger: Ledger,
    engines: IndexEngines,
    items: Iterable[Item],
    *,
    report: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> dict[str, str]:
    """Index what is not there yet; return the item's id for each document's id.

    What an earlier, interrupted run has indexed is not done again.
    """
    item_of = {_identity(item): item for item in items}
    done = ledger.complete_documents(engines.version)
    missing = [identity for identity in item_of if identity not in done]
    indexer = Indexer(ledger, engines, index=None, times=StageTimes())
    run = indexer.run(_pending(missing, item_of), embedded=lambda *_: None, cancelled=cancelled)
    for finished, _ in enumerate(run, start=1):
        report(Progress("embed", finished, len(missing), "texts"))
    return {identity: item.id for identity, item in item_of.items()}


def _identity(item: Item) -> str:
    return sha256(f"{item.id}\0{item.title}\0{item.text}".encode()).hexdigest()


def _pending(identities: Iterable[str], item_of: dict[str, Item]) -> Iterator[Pending]:
    for identity in identities:
        item = item_of[identity]
        document = Document(identity, item.title, (Page(1, item.text),))
        file = FileRow(item.id, len(item.text), 0, identity)
        yield Pending(document, document_row(document, [file]))
