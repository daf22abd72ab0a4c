"""What a question about whole documents is about, and what reading that would take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import TooMuchToRead
from rag.retrieval.query.named_places import Named, loosely_named, named_documents
from rag.retrieval.query.whole_document import may_be_whole, whole_task
from rag.text.messages import Text
from rag.text.parse_errors import attempt
from rag.types.answers import Offer

if TYPE_CHECKING:
    from rag.protocols import Retriever, WholeDocuments
    from rag.types.answers import AskMode, Readable, Task


_LOOKED_AT = 50  # best passages whose documents count as relevant


class ReadingPace:
    """How fast the model reads, as measured. Shared by all questions of a process."""

    def __init__(self) -> None:
        self._tokens_per_second: float | None = None

    def tell(self, *, tokens: int, seconds: float) -> None:
        """Take a measurement: ``tokens`` as the embedder counts, notes on them written too."""
        if tokens > 0 and seconds > 0:
            self._tokens_per_second = tokens / seconds

    def seconds(self, tokens: int) -> float | None:
        """Return how long reading takes; ``None`` before anything was measured."""
        return None if self._tokens_per_second is None else tokens / self._tokens_per_second


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What is read, in order."""

    question: str
    task: Task
    documents: tuple[Readable, ...]
    left_out: int  # documents of the library that are not read


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    task: Task
    forced: bool
    in_library: int


class ReadingPlanner:
    """Decides whether documents are read whole, and which."""

    def __init__(
        self, *, shelf: WholeDocuments, retriever: Retriever, limit: int, pace: ReadingPace
    ) -> None:
        """``limit`` is in passages; more is read only if asked for."""
        self._shelf = shelf
        self._retriever = retriever
        self._limit = limit
        self._pace = pace

    def plan(
        self, question: str, *, documents: Collection[str] | None, mode: AskMode
    ) -> ReadingPlan | Offer | None:
        """Return what to read, or what reading would take, or ``None`` for an ordinary question.

        Raises:
            TooMuchToRead: everything is asked for, and nothing says of which documents.
        """
        if mode == "passages" or (mode == "auto" and not may_be_whole(question)):
            return None
        names = self._shelf.names()
        chosen = names if documents is None else {i: names[i] for i in names if i in documents}
        ordinary: tuple[Named, Task | None] = (Named((), question), None)
        named, task = attempt(
            lambda: _task_of(question, chosen),
            instead=ordinary,
            what="what a question asks for",
        )
        if task is None and mode == "auto":
            return None
        shelf = {document.id: document for document in self._shelf.documents()}
        asked = _Asked(question, task or "answer", mode == "whole", len(shelf))
        if meant := [shelf[i] for i in named.ids if i in shelf]:
            return self._meant(asked, meant)
        within = [document for document in shelf.values() if document.id in chosen]
        if not within:
            return None
        if documents is not None:
            return self._meant(asked, within)
        return self._any(asked, within)

    def _meant(self, asked: _Asked, documents: Sequence[Readable]) -> ReadingPlan | Offer:
        """Return the plan for documents that the person named or picked."""
        if not asked.forced and _passages(documents) > self._limit:
            return self._offer(documents)
        left_out = asked.in_library - len(documents)
        return ReadingPlan(asked.question, asked.task, tuple(documents), left_out)

    def _any(self, asked: _Asked, library: Sequence[Readable]) -> ReadingPlan | Offer | None:
        """Return the plan for a question that says nothing of documents.

        A small library is read; in a large one, the documents that the search finds, as many
        as the limit allows, are.
        """
        if _passages(library) <= self._limit:
            return self._meant(asked, library)
        if asked.task == "summary":
            raise self._too_much(library)
        found = self._retriever.search(asked.question, k=_LOOKED_AT)
        ranked = dict.fromkeys(passage.chunk.document_id for passage in found.passages)
        known = {document.id: document for document in library}
        chosen: list[Readable] = []
        for document in (known[i] for i in ranked if i in known):
            if chosen and _passages([*chosen, document]) > self._limit:
                break
            chosen.append(document)
        return self._meant(asked, chosen) if chosen else None

    def _offer(self, documents: Sequence[Readable]) -> Offer:
        return Offer(
            passages=_passages(documents),
            documents=len(documents),
            pages=sum(document.pages for document in documents),
            seconds=self._pace.seconds(sum(document.tokens for document in documents)),
        )

    def _too_much(self, library: Sequence[Readable]) -> TooMuchToRead:
        pages = sum(document.pages for document in library)
        return TooMuchToRead(
            Text(
                f"This asks for all of {len(library):,} documents with {pages:,} pages, which "
                "is more than can be read at once.",
                f"这个问题涉及全部 {len(library):,} 份文档共 {pages:,} 页，无法一次读完。",
            ),
            hint=Text(
                "Name a document in the question, or pick documents (`--document` on the "
                "command line).",
                "请在问题中写出文档名称，或选定文档（命令行用 `--document`）。",
            ),
        )


def _task_of(question: str, names: Mapping[str, Iterable[str]]) -> tuple[Named, Task | None]:
    """Return the documents that a question names, and what it wants of whole documents.

    "Summarise the Kelp report" names a document by one word that its name alone has.
    """
    named = named_documents(question, names)
    task = whole_task(named.question, documents=len(named.ids))
    if not named.ids:
        loosely = loosely_named(question, names)
        meant = whole_task(loosely.question, documents=len(loosely.ids)) if loosely.ids else None
        if meant == "summary":  # figures are compared, and lists asked for, within documents
            return loosely, meant
    return named, task


def _passages(documents: Sequence[Readable]) -> int:
    return sum(document.passages for document in documents)
