"""Question in, events out: retrieve, gate, fit, generate, cite.

The command line, the screen, the evaluation and the tests all read this one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from rag.checking import Checker
from rag.generate.citations import Linker
from rag.generate.prompt import fit
from rag.protocols import Cancelled, never
from rag.types import (
    Answer,
    Checked,
    Delta,
    Event,
    Finished,
    FinishReason,
    Message,
    Passage,
    Retrieved,
    SearchResult,
    Sentence,
    Usage,
    Verdict,
)
from rag.words import Language, Text, detect_language

if TYPE_CHECKING:
    from rag.locator import Locator
    from rag.protocols import Analyser, Embedder, Retriever, TextGenerator

NOT_IN_DOCUMENTS = Text(
    "Your documents do not hold the answer to this question.",
    "你的文档中没有这个问题的答案。",
)

NOTHING_LEFT = Text(
    "Nothing that the model wrote is supported by your documents.",
    "模型写出的内容都没有文档依据。",
)


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


@dataclass(frozen=True, slots=True)
class AskSettings:
    """What one answer may use."""

    k: int = 5
    max_tokens: int = 512
    temperature: float = 0.0
    min_relevance: float = 0.3
    drop_unsupported: bool = False


class RagPipeline:
    """Answers questions from an index. Holds no state between questions."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        generator: Callable[[Callable[[], bool]], TextGenerator | None],
        locator: Locator,
        embedder: Embedder,
        analyser: Analyser,
        settings: AskSettings,
    ) -> None:
        """``generator(cancelled)`` waits until a model is loaded; ``None`` = cancelled."""
        self._retriever = retriever
        self._generator = generator
        self._locator = locator
        self._embedder = embedder
        self._analyser = analyser
        self._settings = settings

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

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Collection[str] | None = None,
        cancelled: Cancelled = never,
    ) -> Iterator[Event]:
        """Yield ``Retrieved`` (again if the budget cut passages), the text, then ``Finished``.

        The text comes in deltas, and after each sentence comes its ``Checked``.
        """
        clock = _Clock()
        language = detect_language(question)
        found = self.search(question, k=self._settings.k, documents=documents, history=history)
        clock.retrieved()
        yield Retrieved(found.passages, searched=found.searched)
        if self.refuses(found):
            yield from self._refuse(found, language, clock)
            return
        generator = self._generator(cancelled)
        if generator is None:
            yield Finished(self._answer(_Run(found, language, clock, "", finish="cancelled"), ()))
            return
        yield from self._generate(
            generator, _Run(found, language, clock, generator.name), history, cancelled
        )

    def refuses(self, found: SearchResult) -> bool:
        """Return whether the model is not even asked: nothing found looks like an answer."""
        return not found.passages or found.relevance < self._settings.min_relevance

    def fitted(
        self, found: SearchResult, generator: TextGenerator, history: Sequence[Message] = ()
    ) -> tuple[list[Message], tuple[Passage, ...], tuple[Passage, ...]]:
        """Return the prompt, the passages in it, and those that the budget leaves out.

        Raises:
            PromptTooLong: the question does not fit even alone.
        """
        return fit(
            found.question,
            found.passages,
            history=history,
            budget=generator.context_tokens - self._settings.max_tokens,
            count=generator.count_tokens,
        )

    def _refuse(self, found: SearchResult, language: Language, clock: _Clock) -> Iterator[Event]:
        text = NOT_IN_DOCUMENTS.say(language)
        yield Delta(text, 0, "stop")
        run = _Run(found, language, clock, "", text=text)
        sentences = (Sentence(0, len(text), "not_in_documents"),)
        yield Finished(self._answer(run, sentences))

    def _generate(
        self,
        generator: TextGenerator,
        run: _Run,
        history: Sequence[Message],
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        messages, run.kept, run.dropped = self.fitted(run.found, generator, history)
        if run.dropped:
            yield Retrieved(run.shown, run.dropped, run.found.searched)
        run.prompt_tokens = generator.count_tokens(messages)
        run.clock.asked()
        with self._checker(run) as checker:
            for delta in generator.stream(
                messages,
                max_tokens=self._settings.max_tokens,
                temperature=self._settings.temperature,
                cancelled=cancelled,
            ):
                run.take(delta)
                yield replace(delta, text=checker.take(delta.text, last=delta.finish is not None))
                yield from map(Checked, checker.judged())
            run.clock.ended()
            yield from map(Checked, checker.judged(last=True))
        yield from self._finished(run, checker)

    def _finished(self, run: _Run, checker: Checker) -> Iterator[Event]:
        run.text, run.left_out = checker.text, checker.left_out
        if run.left_out and not run.text.strip():
            run.text = NOTHING_LEFT.say(run.language)
            yield Delta(run.text, 0)
        yield Finished(self._answer(run, tuple(checker.sentences)))

    def _checker(self, run: _Run) -> Checker:
        linker = Linker(
            run.shown,
            terms=self._analyser.terms,
            embed=self._embedder.embed_passages,
            question=run.found.question,
        )

        def located(sentence: Sentence) -> Sentence:
            return self._locator.proven([sentence], run.shown)[0]

        return Checker(linker.judge, located, drop=self._settings.drop_unsupported)

    def _answer(self, run: _Run, sentences: tuple[Sentence, ...]) -> Answer:
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
        )


class _Clock:
    """Stops the times of one answer."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._retrieved = self._asked = self._first = self._ended = 0.0

    def retrieved(self) -> None:
        self._retrieved = perf_counter()

    def asked(self) -> None:
        self._asked = perf_counter()

    def first(self) -> None:
        self._first = self._first or perf_counter()

    def ended(self) -> None:
        self._ended = perf_counter()

    def usage(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        ended = self._ended or perf_counter()
        # a wait for the model to load belongs to no stage of the answer
        waited = self._asked - self._retrieved if self._asked else 0.0
        return Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            retrieve_s=self._retrieved - self._began,
            first_token_s=(self._first or ended) - self._asked if self._asked else 0.0,
            total_s=ended - self._began - waited,
        )


@dataclass(slots=True)
class _Run:
    """What has become of one question so far."""

    found: SearchResult
    language: Language
    clock: _Clock
    model: str
    text: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    finish: FinishReason = "stop"
    kept: tuple[Passage, ...] | None = None
    dropped: tuple[Passage, ...] = ()
    left_out: int = 0

    @property
    def shown(self) -> tuple[Passage, ...]:
        return self.found.passages if self.kept is None else self.kept

    def take(self, delta: Delta) -> None:
        if delta.tokens:
            self.clock.first()
        self.tokens += delta.tokens
        self.finish = delta.finish or self.finish
