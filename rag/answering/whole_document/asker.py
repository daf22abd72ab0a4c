"""Answers questions about whole documents by reading all of them in steps.

Passages are read in groups that fit the model's window. What is noted down of each group is
held against the group's own passages, and what nothing there supports is dropped, so that a
small model's inventions go no further. Notes that do not fit together are shortened, as often
as it takes; lists and counts are put together by code. The answer's sentences are linked to
the passages that the notes came from, never to the notes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from rag.answering.oom_fallback import READING, Budget
from rag.answering.pipeline import NOT_IN_DOCUMENTS, NOTHING_LEFT, overall
from rag.answering.sentence_check import BackgroundThread, SentenceChecker
from rag.answering.whole_document.notes import (
    GROUP_TOKENS,
    NOTE_TOKENS,
    NoteEngines,
    NoteTaker,
    distinct,
    listed,
    only_cited,
    write_messages,
)
from rag.errors import OutOfMemory
from rag.generation.prompt import too_long
from rag.protocols import Cancelled, never
from rag.text.language import detect_language
from rag.text.sentences import split_sentences
from rag.types.answers import (
    Answer,
    AnswerMessage,
    Checked,
    Coverage,
    Delta,
    Event,
    Finished,
    FinishReason,
    Offer,
    Passage,
    ReadingProgress,
    Retrieved,
    Sentence,
    Usage,
)
from rag.verification.linker import Linker

if TYPE_CHECKING:
    from rag.answering.pipeline import RagPipeline
    from rag.answering.whole_document.scope import ReadingPlan, ReadingPlanner
    from rag.protocols import TextGenerator
    from rag.types.answers import AskMode, Message, ReadingStep, TypedDraft


class WholeDocumentAsker:
    """Answers from passages, or from whole documents where the question is about them."""

    def __init__(self, pipeline: RagPipeline, planner: ReadingPlanner, parts: NoteEngines) -> None:
        self._pipeline = pipeline
        self._planner = planner
        self._parts = parts

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        mode: AskMode = "auto",
        cancelled: Cancelled = never,
    ) -> Iterator[Event]:
        """Yield the events of one answer; ``mode`` says whether documents are read whole.

        Of whole documents: ``ReadingProgress`` again and again, then deltas and ``Finished``. Else
        see ``RagPipeline.ask``.

        Raises:
            TooMuchToRead: everything is asked for, and nothing says of which documents.
        """
        plan = self._planner.plan(question, documents=documents, mode=mode)
        if plan is not None and not isinstance(plan, Offer):
            yield from self._read(plan, cancelled)
            return
        for event in self._pipeline.ask(
            question,
            history=history,
            documents=documents,
            direct=mode == "auto",
            cancelled=cancelled,
        ):
            yield (
                Finished(replace(event.answer, offer=plan))
                if isinstance(event, Finished)
                else event
            )

    def _read(self, plan: ReadingPlan, cancelled: Cancelled) -> Iterator[Event]:
        """Read, again with less memory where it runs out."""
        climb, notices = self._parts.fallback.begin(READING), list[AnswerMessage]()
        while True:
            run = _Run(self._parts, plan, cancelled, notices)
            try:
                yield from run.events()
            except OutOfMemory as error:
                failure = error
            else:
                return
            tried = Budget(0, GROUP_TOKENS, NOTE_TOKENS, run.written)
            for notice in climb.lower(failure, tried, self._parts.generator(cancelled)):
                notices.append(notice)
                yield notice

    def ahead(self, draft: TypedDraft, generator: TextGenerator) -> list[Message] | None:
        """Return the prompt of what is being typed; ``None`` where none can be told yet."""
        scope = draft.documents or None
        plan = self._planner.plan(draft.question, documents=scope, mode=draft.mode)
        if plan is not None and not isinstance(plan, Offer):
            return None  # read in steps, and the first of them is not known before
        return self._pipeline.ahead(draft, generator)


class _Run:
    """The way of one answer: read, put together, prove."""

    def __init__(
        self,
        parts: NoteEngines,
        plan: ReadingPlan,
        cancelled: Cancelled,
        notices: Sequence[AnswerMessage] = (),
    ) -> None:
        self._parts = parts
        self._notices = notices
        self._plan = plan
        self._cancelled = cancelled
        self._language = detect_language(plan.question)
        self._began = perf_counter()
        self._first = self._ended = 0.0  # when the answer's first token came, and its last
        self._of = sum(document.passages for document in plan.documents)
        self._taker: NoteTaker | None = None
        self._text = ""
        self._tokens = 0
        self._finish: FinishReason = "stop"
        self._left_out = 0  # unsupported sentences
        self._sentences: tuple[Sentence, ...] = ()
        self._sources: list[Passage] = []  # what evidence points into

    def events(self) -> Iterator[Event]:
        tokens = sum(document.tokens for document in self._plan.documents)
        yield self._reading("read", 0, tokens)
        model = self._parts.generator(self._cancelled)
        if model is None:
            self._finish = "cancelled"
        else:
            passages = self._parts.shelf.passages([d.id for d in self._plan.documents])
            self._of = len(passages)
            self._taker = NoteTaker(self._parts, model, self._plan, passages, self._cancelled)
            for read, left in self._taker.read(tokens):
                yield self._reading("read", read, left)
            yield from self._conclude(self._taker)
        yield Finished(self._answer())

    def _conclude(self, taker: NoteTaker) -> Iterator[Event]:
        if self._cancelled_in(taker):
            return
        if not taker.notes:
            self._text = NOT_IN_DOCUMENTS.say(self._language)
            self._sentences = (Sentence(0, len(self._text), "not_in_documents"),)
            yield Delta(self._text, 0, "stop")
        elif self._plan.task in {"list", "count"}:
            self._list(taker)
            yield Retrieved(tuple(self._sources))
            self._first = self._ended = perf_counter()
            yield Delta(self._text, 0, "stop")
            self._sentences = self._parts.highlighter.proven(
                self._sentences, self._sources, cancelled=self._cancelled
            )
            yield from map(Checked, self._sentences)
        else:
            yield from self._compose(taker)

    def _list(self, taker: NoteTaker) -> None:
        """Put the notes together; what is no item (counts, names) is not judged."""
        counted = self._plan.task == "count"
        taker.notes = distinct(taker.notes, terms=self._parts.analyser.terms)
        made = listed(taker.notes, counted=counted, language=self._language)
        self._text, self._sources = made.text, taker.sources()
        judge = self._linker().judge
        found = (
            judge(made.text, start, end)
            for start, end in split_sentences(made.text)
            if any(first <= start < last for first, last in made.items)
        )
        cited = only_cited([one for one in found if one is not None], self._sources)
        self._sentences, self._sources = cited

    def _compose(self, taker: NoteTaker) -> Iterator[Event]:
        """Shorten the notes until they fit, then let the model write."""
        model, plan = taker.model, self._plan
        longest = min(self._parts.settings.max_tokens, taker.context_tokens // 3)
        budget = taker.context_tokens - longest
        while True:
            messages = write_messages(plan.task, plan.question, taker.notes, self._language)
            if model.count_tokens(messages) <= budget:
                break
            if len(taker.notes) == 1:
                raise too_long(budget)
            yield self._reading("condense", taker.seen, 0)
            taker.condense()
            if self._cancelled_in(taker):
                return
        yield self._reading("compose", taker.seen, 0)
        taker.prompt_tokens += model.count_tokens(messages)
        self._sources = taker.sources()
        yield Retrieved(tuple(self._sources))
        yield from self._write(model, messages, longest)

    def _write(
        self, model: TextGenerator, messages: list[Message], longest: int
    ) -> Iterator[Event]:
        """Stream the answer; each sentence is judged as it ends."""
        with BackgroundThread() as beside, self._checker(beside) as checker:
            for delta in model.stream(
                messages,
                max_tokens=longest,
                temperature=self._parts.settings.temperature,
                cancelled=self._cancelled,
            ):
                if delta.tokens:
                    self._first = self._first or perf_counter()
                self._tokens += delta.tokens
                self._finish = delta.finish or self._finish
                yield replace(delta, text=checker.take(delta.text, last=delta.finish is not None))
                yield from map(Checked, checker.judged())
            self._ended = perf_counter()
            yield from map(Checked, checker.judged(last=True, cancelled=self._cancelled))
        self._text, self._left_out = checker.text, checker.left_out
        self._sentences = tuple(checker.sentences)
        if self._left_out and not self._text.strip():
            self._text = NOTHING_LEFT.say(self._language)
            yield Delta(self._text, 0)

    @property
    def written(self) -> int:
        """Tokens of the answer so far."""
        return self._tokens

    def _cancelled_in(self, taker: NoteTaker) -> bool:
        if taker.stopped:
            self._finish = "cancelled"
        return taker.stopped

    def _reading(self, step: ReadingStep, read: int, left: int) -> ReadingProgress:
        seconds = self._parts.pace.seconds(left) if step == "read" else None
        return ReadingProgress(self._coverage(read), step, seconds)

    def _coverage(self, read: int) -> Coverage:
        documents = self._plan.documents
        return Coverage(
            read=read,
            of=self._of,
            documents=tuple(document.name for document in documents),
            pages=sum(document.pages for document in documents),
            left_out=self._plan.left_out,
        )

    # -- proof -----------------------------------------------------------------------------

    def _linker(self) -> Linker:
        return Linker(
            self._sources,
            terms=self._parts.analyser.terms,
            embed=self._parts.embedder.embed_passages,
            question=self._plan.question,
        )

    def _checker(self, beside: BackgroundThread) -> SentenceChecker:
        locate = partial(
            self._parts.highlighter.proven_beside, passages=self._sources, beside=beside
        )
        drop = self._parts.settings.drop_unsupported
        return SentenceChecker(self._linker().judge, locate, drop=drop)

    def _answer(self) -> Answer:
        taker = self._taker
        sentences, passages = self._cited()
        return Answer(
            question=self._plan.question,
            text=self._text,
            language=self._language,
            verdict=overall(sentences),
            passages=passages,
            sentences=sentences,
            usage=self._usage(taker),
            model=taker.model.name if taker else "",
            finish=self._finish,
            left_out=self._left_out,
            coverage=self._coverage(taker.seen if taker else 0),
            notices=tuple(self._notices),
        )

    def _cited(self) -> tuple[tuple[Sentence, ...], tuple[Passage, ...]]:
        """Return the sentences, and of all sources those that they point to."""
        sentences, passages = only_cited(self._sentences, self._sources)
        return sentences, self._parts.highlighter.placed(passages, cancelled=self._cancelled)

    def _usage(self, taker: NoteTaker | None) -> Usage:
        """Return what it cost; ``completion_tokens`` are the answer's, without the notes."""
        ended = self._ended or perf_counter()
        return Usage(
            prompt_tokens=taker.prompt_tokens if taker else 0,
            completion_tokens=self._tokens,
            first_token_s=(self._first or ended) - self._began,
            total_s=ended - self._began,
        )
