"""Question in, events out: retrieve, gate, fit, generate, cite.

The command line, the screen, the evaluation and the tests all read this one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rag.asking import AskSettings, Complete, overall
from rag.beside import Beside
from rag.checking import Checker
from rag.errors import OutOfMemory, PromptTooLong
from rag.generate.continuing import Continuing
from rag.ladder import SEARCHING, Climb, Ladder, Means, Tried
from rag.protocols import Cancelled, never
from rag.run import Clock, Run
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.answers import (
    UNSURE,
    Answer,
    Checked,
    Delta,
    Event,
    Finished,
    Message,
    Notice,
    Passage,
    SearchResult,
    Sentence,
)
from rag.verification.linker import Linker

if TYPE_CHECKING:
    from rag.locator import Locator
    from rag.protocols import Analyser, Embedder, Retriever, TextGenerator
    from rag.types.answers import Draft

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
        locator: Locator,
        embedder: Embedder,
        analyser: Analyser,
        settings: AskSettings,
        complete: Complete = tuple,
        ladder: Ladder | None = None,
        continuing: Continuing | None = None,
    ) -> None:
        """``generator(cancelled)`` waits until a model is loaded; ``None`` = cancelled.

        ``complete`` adds to the passages found what belongs to them before the model reads
        them. ``ladder`` and ``continuing`` outlive the pipeline; ``None`` makes one for it alone.
        """
        self._retriever = retriever
        self._generator = generator
        self._locator = locator
        self._embedder = embedder
        self._analyser = analyser
        self._settings = settings
        self._complete = complete
        self._ladder = ladder or Ladder()
        self._continuing = continuing or Continuing()

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
        return replace(found, passages=self._locator.placed(found.passages))

    def made_whole(self, found: SearchResult) -> SearchResult:
        """Return what was found, with what belongs to each passage."""
        return replace(found, passages=self._complete(found.passages))

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        cancelled: Cancelled = never,
    ) -> Iterator[Event]:
        """Yield ``Retrieved`` (again if the budget cut passages), the text, then ``Finished``.

        The text comes in deltas, and after each sentence comes its ``Checked``. Boxes are found
        beside the model, and come with one more ``Retrieved`` that is ``placed``.
        """
        clock = Clock()
        language = detect_language(question)
        notices: list[Notice] = []
        search = partial(
            self._retriever.search,
            question,
            k=self._settings.k,
            documents=documents,
            history=history,
        )
        found = self.made_whole((yield from self._sparing(search, notices)))
        clock.retrieved()
        with Beside() as beside:
            run = Run(found, language, clock, "", notices=notices, beside=beside)
            run.places = beside(self._locator.placing(found.passages)) if found.passages else None
            yield run.retrieved()
            if self.refuses(found):
                yield from self._refuse(run)
            else:
                yield from self._ask_model(run, history, cancelled)
            if run.place(cancelled):
                yield run.retrieved(placed=True)
            yield Finished(self._answer(run, run.sentences))

    def _ask_model(
        self, run: Run, history: Sequence[Message], cancelled: Cancelled
    ) -> Iterator[Event]:
        generator = self._generator(cancelled)
        if generator is None:
            run.finish = "cancelled"
            return
        run.model = generator.name
        if run.found.relevance < self._settings.sure_relevance:
            yield from run.told([UNSURE])
        climb = self._ladder.begin()
        while not (yield from self._tried(climb, generator, run, history, cancelled)):
            run.begin_anew()
        yield from run.told(climb.ended(run.finish))

    def _sparing(
        self, search: Callable[[], SearchResult], notices: list[Notice]
    ) -> Generator[Event, None, SearchResult]:
        """Search; where the embedder's card is full, the embedder leaves it."""
        climb = self._ladder.begin(SEARCHING)
        while True:
            try:
                return search()
            except OutOfMemory as error:
                failure = error
            for notice in climb.lower(failure, Tried(0, 0, 0)):
                notices.append(notice)
                yield notice

    def _tried(
        self,
        climb: Climb,
        generator: TextGenerator,
        run: Run,
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
        tried = Tried(len(run.shown), run.prompt_tokens, means.max_tokens, run.tokens)
        yield from run.told(climb.lower(failure, tried, generator))
        return False

    def _means(self, found: SearchResult, generator: TextGenerator) -> Means:
        settings = self._settings
        return self._ladder.means(
            Means(len(found.passages), settings.max_tokens, generator.context_tokens)
        )

    def refuses(self, found: SearchResult) -> bool:
        """Return whether the model is not even asked: nothing found looks like an answer."""
        return not found.passages or found.relevance < self._settings.min_relevance

    def ahead(self, draft: Draft, generator: TextGenerator) -> list[Message] | None:
        """Return the prompt that ``ask`` would send; ``None`` where it would send none."""
        found = self._retriever.search(
            draft.question,
            k=self._settings.k,
            documents=draft.documents or None,
            history=draft.history,
        )
        if self.refuses(found):
            return None
        return self.fitted(self.made_whole(found), generator, draft.history)[0]

    def fitted(
        self, found: SearchResult, generator: TextGenerator, history: Sequence[Message] = ()
    ) -> tuple[list[Message], tuple[Passage, ...], tuple[Passage, ...]]:
        """Return the prompt, the passages in it, and those that the budget leaves out.

        Raises:
            PromptTooLong: the question does not fit even alone.
        """
        means = self._means(found, generator)
        messages, kept, dropped = self._continuing.fit(
            found.question,
            found.passages[: means.passages],
            history=history,
            budget=means.budget,
            count=generator.count_tokens,
        )
        return messages, kept, (*dropped, *found.passages[means.passages :])

    def _refuse(self, run: Run) -> Iterator[Event]:
        run.text = NOT_IN_DOCUMENTS.say(run.language)
        run.sentences = (Sentence(0, len(run.text), "not_in_documents"),)
        yield Delta(run.text, 0, "stop")
        run.clock.ended()

    def _generate(
        self,
        generator: TextGenerator,
        run: Run,
        history: Sequence[Message],
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        messages, run.kept, run.dropped = self.fitted(run.found, generator, history)
        if run.dropped:
            yield run.retrieved()
        self._continuing.asked(run.found.question, run.shown, history)
        run.prompt_tokens = generator.count_tokens(messages)
        run.clock.asked()
        means = self._means(run.found, generator)
        with self._checker(run) as checker:
            for delta in generator.stream(
                messages,
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

    def _checker(self, run: Run) -> Checker:
        linker = Linker(
            run.shown,
            terms=self._analyser.terms,
            embed=self._embedder.embed_passages,
            question=run.found.question,
        )

        located = partial(self._locator.proven_beside, passages=run.shown, beside=run.beside)
        return Checker(linker.judge, located, drop=self._settings.drop_unsupported)

    def _answer(self, run: Run, sentences: tuple[Sentence, ...]) -> Answer:
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
        )
