"""Question in, events out: retrieve, gate, fit, generate, check; and the state of one answer.

The command line, the screen, the evaluation and the tests all read this one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from rag.answering.excerpts import Excerpts
from rag.answering.oom_fallback import SEARCHING, Attempts, Budget, Lowering, OutOfMemoryFallback
from rag.answering.prompt_reuse import Fitted, PromptReuse
from rag.answering.quotation import Quoter
from rag.answering.sentence_check import BackgroundThread, SentenceChecker, wait_for
from rag.errors import OutOfMemory, PromptTooLong
from rag.protocols import Cancelled, never
from rag.retrieval.query.content_words import content_terms
from rag.text.language import detect_language
from rag.text.messages import Language, Text
from rag.types.answers import (
    UNSURE,
    Answer,
    AnswerMessage,
    Checked,
    Delta,
    Event,
    Finished,
    FinishReason,
    Message,
    Passage,
    Quoted,
    Retrieved,
    SearchResult,
    Sentence,
    Usage,
    Verdict,
)
from rag.verification.linker import Linker
from rag.verification.subject import Subject

if TYPE_CHECKING:
    from rag.answering.highlights import Highlighter
    from rag.protocols import Analyser, Embedder, Retriever, TextGenerator, Vector
    from rag.types.answers import TypedDraft


def overall(sentences: Sequence[Sentence]) -> Verdict:
    """Return the verdict on a whole answer: as good as its sentences are.

    Sentences that only say that the documents are silent count when nothing else is said.
    """
    claims = [s.verdict for s in sentences if s.verdict != "not_in_documents"]
    if not claims:
        return "not_in_documents" if sentences else "unsupported"
    if all(verdict == "supported" for verdict in claims):
        return "supported"
    return "unsupported" if all(verdict == "unsupported" for verdict in claims) else "weak"


Instead = Callable[[str, "Collection[str] | None", Cancelled], "Iterator[Event] | None"]
"""Answers a question over these documents, ``None`` is all, that they hold no answer to."""
Complete = Callable[[Sequence[Passage]], tuple[Passage, ...]]
"""Adds to passages what belongs to them."""


@dataclass(frozen=True, slots=True)
class AskSettings:
    """What one answer may use."""

    k: int = 5
    max_tokens: int = 512
    temperature: float = 0.0
    min_relevance: float = 0.3
    sure_relevance: float = 0.8
    drop_unsupported: bool = False
    passage_tokens: int = 0  # of the passages, that the model reads; 0 is all


class Clock:
    """Stops the times of one answer."""

    def __init__(self, *, now: Callable[[], float] = perf_counter) -> None:
        """``now`` tells the time in seconds."""
        self._now = now
        self._began = self._now()
        self._retrieved = self._asked = self._first = self._ended = 0.0
        self._asked_first = 0.0  # as ``_asked``, but of the first attempt

    def retrieved(self) -> None:
        """Say that the passages are found."""
        self._retrieved = self._now()

    def asked(self) -> None:
        """Say that the model begins, for the first time or anew."""
        self._asked = self._now()
        self._asked_first = self._asked_first or self._asked

    def first(self) -> None:
        """Say that a token has come."""
        self._first = self._first or self._now()

    def ended(self) -> None:
        """Say that the last token has come."""
        self._ended = self._now()

    def again(self) -> None:
        """Count anew: what an attempt took that failed is in the whole alone."""
        self._first = self._ended = 0.0

    def usage(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        """Return what the answer cost."""
        ended = self._ended or self._now()
        # a wait for the model to load belongs to no stage of the answer
        waited = self._asked_first - self._retrieved if self._asked else 0.0
        return Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            retrieve_s=self._retrieved - self._began,
            first_token_s=(self._first or ended) - self._asked if self._asked else 0.0,
            failed_s=self._asked - self._asked_first,
            total_s=ended - self._began - waited,
        )


@dataclass(slots=True)
class AnswerState:
    """What has become of one question so far."""

    found: SearchResult
    language: Language
    clock: Clock
    model: str
    beside: BackgroundThread
    text: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    subject: Subject = field(default_factory=Subject)
    finish: FinishReason = "stop"
    kept: tuple[Passage, ...] | None = None
    dropped: tuple[Passage, ...] = ()
    left_out: int = 0
    sentences: tuple[Sentence, ...] = ()
    notices: list[AnswerMessage] = field(default_factory=list)
    places: Future[tuple[Passage, ...]] | None = None
    """The passages with their boxes, until those are taken."""
    quotation: tuple[Sentence, Future[Sentence]] | None = None
    """The place that was quoted, and what it becomes with its boxes."""

    @property
    def shown(self) -> tuple[Passage, ...]:
        """The passages that the model sees."""
        return self.found.passages if self.kept is None else self.kept

    def retrieved(self, *, placed: bool = False) -> Retrieved:
        """Return what to tell of the passages."""
        found = self.found
        return Retrieved(self.shown, self.dropped, found.searched, found.also, placed)

    def place(self, cancelled: Cancelled | None = None) -> bool:
        """Give the passages their boxes if those are found; say whether that happened now.

        With ``cancelled`` they are waited for, until it says so.
        """
        if self.places is None or not (
            self.places.done() if cancelled is None else wait_for(self.places, cancelled)
        ):
            return False
        boxes = {passage.id: passage.boxes for passage in self.places.result()}
        self.places = None

        def placed(passages: Iterable[Passage]) -> tuple[Passage, ...]:
            return tuple(replace(p, boxes=boxes.get(p.id, p.boxes)) for p in passages)

        self.found = replace(self.found, passages=placed(self.found.passages))
        self.kept = None if self.kept is None else placed(self.kept)
        self.dropped = placed(self.dropped)
        return True

    def quoted(self, cancelled: Cancelled) -> Sentence | None:
        """Return the quotation, with its boxes unless it is ``cancelled`` before they are found."""
        if self.quotation is None:
            return None
        known, placed = self.quotation
        return placed.result() if wait_for(placed, cancelled) else known

    def take(self, delta: Delta) -> None:
        """Count a piece of the answer."""
        if delta.tokens:
            self.clock.first()
        self.tokens += delta.tokens
        self.finish = delta.finish or self.finish

    def told(self, notices: Iterable[AnswerMessage]) -> Iterator[AnswerMessage]:
        """Pass notices on, and keep them."""
        for notice in notices:
            self.notices.append(notice)
            yield notice

    def begin_anew(self) -> None:
        """Forget what an attempt had written."""
        self.text, self.tokens, self.finish = "", 0, "stop"
        self.clock.again()


NOT_IN_DOCUMENTS = Text(
    "Your documents do not hold the answer to this question.",
    "你的文档中没有这个问题的答案。",
)

NOTHING_LEFT = Text(
    "Nothing that the model wrote is supported by your documents.",
    "模型写出的内容都没有文档依据。",
)


class RagPipeline:
    """Answers questions from an index. Of one question the next knows what memory allows."""

    def __init__(  # noqa: PLR0913 - each is one part of the app
        self,
        *,
        retriever: Retriever,
        generator: Callable[[Callable[[], bool]], TextGenerator | None],
        highlighter: Highlighter,
        embedder: Embedder,
        analyser: Analyser,
        settings: AskSettings,
        complete: Complete = tuple,
        fallback: OutOfMemoryFallback | None = None,
        continuing: PromptReuse | None = None,
        instead: Instead = lambda *_: None,
        embed_query: Callable[[str], Vector] | None = None,
        subject_of: Callable[[str], Subject] = lambda _: Subject(),
    ) -> None:
        """``generator(cancelled)`` waits until a model is loaded; ``None`` = cancelled.

        ``embed_query`` is the embedder's, or one that remembers what it was just asked.
        ``instead`` answers what the documents hold no answer to, if it is not about them.
        ``complete`` adds to the passages found what belongs to them before the model reads
        them. ``fallback`` and ``continuing`` outlive the pipeline; ``None`` makes one for it alone.
        """
        self._retriever = retriever
        self._generator = generator
        self._highlighter = highlighter
        self._embedder = embedder
        self._analyser = analyser
        self._settings = settings
        self._complete = complete
        self._fallback = fallback or OutOfMemoryFallback()
        self._continuing = continuing or PromptReuse()
        self._instead = instead
        self.subject_of = subject_of
        """What a question, or a follow-up made whole, is about."""
        words = partial(content_terms, analyser=analyser)
        self._excerpts = Excerpts(words, analyser.terms, settings.passage_tokens)
        self._quoter = Quoter(
            words,
            analyser.terms,
            embed_query=embed_query or embedder.embed_query,
            embed=embedder.embed_passages,
        )

    @property
    def settings(self) -> AskSettings:
        """What one answer may use."""
        return self._settings

    def search(
        self,
        question: str,
        *,
        k: int,
        documents: Collection[str] | None = None,
        history: Sequence[Message] = (),
    ) -> SearchResult:
        """Return passages with their boxes; no model is asked."""
        found = self._retriever.search(question, k=k, documents=documents, history=history)
        return replace(found, passages=self._highlighter.placed(found.passages))

    def made_whole(self, found: SearchResult) -> SearchResult:
        """Return what was found, with what belongs to each passage."""
        return replace(found, passages=self._complete(found.passages))

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        direct: bool = True,
        cancelled: Cancelled = never,
    ) -> Iterator[Event]:
        """Yield ``Retrieved`` (again if the budget cut passages), the text, then ``Finished``.

        The text comes in deltas, and after each sentence comes its ``Checked``. Boxes are found
        beside the model, and come with one more ``Retrieved`` that is ``placed``. Unless
        ``direct``, nothing but the documents is asked.
        """
        clock = Clock()
        language = detect_language(question)
        notices: list[AnswerMessage] = []
        search = partial(
            self._retriever.search,
            question,
            k=self._settings.k,
            documents=documents,
            history=history,
        )
        found = self.made_whole((yield from self._sparing(search, notices)))
        clock.retrieved()
        if direct and self.refuses(found):
            other = self._instead(question, documents, cancelled)
            if other is not None:
                yield from other
                return
        with BackgroundThread() as beside:
            run = AnswerState(found, language, clock, "", notices=notices, beside=beside)
            run.places = (
                beside(self._highlighter.placing(found.passages)) if found.passages else None
            )
            yield run.retrieved()
            if self.refuses(found):
                yield from self._refuse(run)
            else:
                yield from self._quote(run)
                yield from self._ask_model(run, history, cancelled)
            if run.place(cancelled):
                yield run.retrieved(placed=True)
            yield Finished(self._answer(run, run.quoted(cancelled)))

    def _quote(self, run: AnswerState) -> Iterator[Event]:
        run.subject = self.subject_of(run.found.searched or run.found.question)

        def about(passage: Passage) -> bool:
            held = frozenset(self._analyser.terms(passage.document))
            return not run.subject.foreign(passage.chunk.document_id, held)

        try:
            found = self._quoter.best(run.found.question, run.found.passages, about=about)
        except OutOfMemory:
            return  # a full card costs the quotation, and nothing else
        if found is not None:
            run.quotation = self._highlighter.proven_beside(found, run.found.passages, run.beside)
            yield Quoted(run.quotation[0])

    def _ask_model(
        self, run: AnswerState, history: Sequence[Message], cancelled: Cancelled
    ) -> Iterator[Event]:
        generator = self._generator(cancelled)
        if generator is None:
            run.finish = "cancelled"
            return
        run.model = generator.name
        if run.found.relevance < self._settings.sure_relevance:
            yield from run.told([UNSURE])
        climb = self._fallback.begin()
        while not (yield from self._tried(climb, generator, run, history, cancelled)):
            run.begin_anew()
        yield from run.told(climb.ended(run.finish))

    def _sparing(
        self, search: Callable[[], SearchResult], notices: list[AnswerMessage]
    ) -> Generator[Event, None, SearchResult]:
        """Search; where the embedder's card is full, the embedder leaves it."""
        climb = self._fallback.begin(SEARCHING)
        while True:
            try:
                return search()
            except OutOfMemory as error:
                failure = error
            for notice in climb.lower(failure, Budget(0, 0, 0)):
                notices.append(notice)
                yield notice

    def _tried(
        self,
        climb: Attempts,
        generator: TextGenerator,
        run: AnswerState,
        history: Sequence[Message],
        cancelled: Cancelled,
    ) -> Generator[Event, None, bool]:
        """Generate; return false if memory ran out and less is to be tried."""
        means = self._means(run.found, generator)
        try:
            yield from self._generate(generator, run, history, cancelled)
        except PromptTooLong:
            if climb.failure is None:
                raise
            raise climb.failure from None  # less than the question itself cannot be asked
        except OutOfMemory as error:
            failure = error  # told out here, where nothing refers to the attempt any more
        else:
            return True
        tried = Budget(len(run.shown), run.prompt_tokens, means.max_tokens, run.tokens)
        yield from run.told(climb.lower(failure, tried, generator))
        return False

    def _means(self, found: SearchResult, generator: TextGenerator) -> Lowering:
        settings = self._settings
        return self._fallback.means(
            Lowering(len(found.passages), settings.max_tokens, generator.context_tokens)
        )

    def refuses(self, found: SearchResult) -> bool:
        """Return whether the model is not even asked: nothing found looks like an answer."""
        return not found.passages or found.relevance < self._settings.min_relevance

    def ahead(self, draft: TypedDraft, generator: TextGenerator) -> list[Message] | None:
        """Return the prompt that ``ask`` would send; ``None`` where it would send none."""
        found = self._retriever.search(
            draft.question,
            k=self._settings.k,
            documents=draft.documents or None,
            history=draft.history,
        )
        if self.refuses(found):
            return None
        return self.fitted(self.made_whole(found), generator, draft.history).messages

    def fitted(
        self, found: SearchResult, generator: TextGenerator, history: Sequence[Message] = ()
    ) -> Fitted:
        """Return the prompt, the passages in it, and those that the budget leaves out.

        Raises:
            PromptTooLong: the question does not fit even alone.
        """
        means = self._means(found, generator)
        fitted = self._continuing.fit(
            found.question,
            found.passages[: means.passages],
            history=history,
            budget=means.budget,
            count=generator.count_tokens,
            excerpts=self._excerpts,
        )
        return fitted._replace(dropped=(*fitted.dropped, *found.passages[means.passages :]))

    def _refuse(self, run: AnswerState) -> Iterator[Event]:
        run.text = NOT_IN_DOCUMENTS.say(run.language)
        run.sentences = (Sentence(0, len(run.text), "not_in_documents"),)
        yield Delta(run.text, 0, "stop")
        run.clock.ended()

    def _generate(
        self,
        generator: TextGenerator,
        run: AnswerState,
        history: Sequence[Message],
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        fitted = self.fitted(run.found, generator, history)
        run.kept, run.dropped = fitted.kept, fitted.dropped
        if run.dropped:
            yield run.retrieved()
        self._continuing.asked(run.found.question, fitted, history)
        run.prompt_tokens = generator.count_tokens(fitted.messages)
        run.clock.asked()
        means = self._means(run.found, generator)
        with self._checker(run) as checker:
            for delta in generator.stream(
                fitted.messages,
                max_tokens=means.max_tokens,
                temperature=self._settings.temperature,
                cancelled=cancelled,
            ):
                run.take(delta)
                yield replace(delta, text=checker.take(delta.text, last=delta.finish is not None))
                yield from map(Checked, checker.judged())
                if run.place():
                    yield run.retrieved(placed=True)
            run.clock.ended()
            yield from map(Checked, checker.judged(last=True, cancelled=cancelled))
        run.text, run.left_out = checker.text, checker.left_out
        run.sentences = tuple(checker.sentences)
        if run.left_out and not run.text.strip():
            run.text = NOTHING_LEFT.say(run.language)
            yield Delta(run.text, 0)

    def linker(self, question: str, passages: Sequence[Passage], subject: Subject) -> Linker:
        """Return what judges the sentences of an answer."""
        return Linker(
            passages,
            terms=self._analyser.terms,
            embed=self._embedder.embed_passages,
            question=question,
            subject=subject,
        )

    def _checker(self, run: AnswerState) -> SentenceChecker:
        linker = self.linker(run.found.question, run.shown, run.subject)
        located = partial(self._highlighter.proven_beside, passages=run.shown, beside=run.beside)
        return SentenceChecker(linker.judge, located, drop=self._settings.drop_unsupported)

    def _answer(self, run: AnswerState, quotation: Sentence | None) -> Answer:
        sentences = run.sentences
        return Answer(
            question=run.found.question,
            text=run.text,
            language=run.language,
            verdict=overall(sentences),
            passages=run.shown,
            dropped=run.dropped,
            sentences=sentences,
            left_out=run.left_out,
            usage=run.clock.usage(run.prompt_tokens, run.tokens),
            model=run.model,
            finish=run.finish,
            notices=tuple(run.notices),
            relevance=run.found.relevance,
            quotation=quotation,
        )
