"""From the search to the answer: the gate, the model's window, and what the answer used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rag.answering.explain.outcomes import outcome
from rag.answering.explain.values import Outcome, Step
from rag.text.messages import Text
from rag.types.answers import Answer, Finished

if TYPE_CHECKING:
    from rag.answering.explain.search_steps import SentencePassages
    from rag.answering.explain.values import SentenceQuestion
    from rag.answering.pipeline import RagPipeline
    from rag.protocols import Cancelled, TextGenerator
    from rag.retrieval.trace import SearchTrace
    from rag.types.answers import Passage


Followed = tuple[Outcome, list[Step]]
_QUOTED = 300  # characters of an answer in a step


class Prompting:
    """Follows a sentence that was found to the end."""

    def __init__(
        self,
        pipeline: RagPipeline,
        loaded: Callable[[], TextGenerator | None],
        asked: SentenceQuestion,
        pieces: SentencePassages,
        trace: SearchTrace,
    ) -> None:
        self._pipeline = pipeline
        self._loaded = loaded
        self._asked = asked
        self._pieces = pieces
        self._trace = trace

    def follow(self, words: Text, cancelled: Cancelled) -> Followed:
        """Return what became of it and the steps; ``words`` are those to ask with."""
        found = self._trace.found
        least = self._pipeline.settings.min_relevance
        refused = self._pipeline.refuses(found)
        numbers = {"relevance": round(found.relevance, 4), "least": least}
        gate = Step("gate", _gate_says(found.relevance, least), numbers, passed=not refused)
        if refused:
            relevance = f"{found.relevance:.2f}"
            lost = outcome("gate", words=words, relevance=relevance, least=f"{least:.2f}")
            return lost, [gate]
        if self._asked.answer:
            done, steps = self._answer(cancelled)
        else:
            done, steps = self._window(self._loaded())
        return done, [gate, *steps]

    def _window(self, generator: TextGenerator | None) -> Followed:
        """Say whether there is room, if a model is at hand that can count."""
        passages = self._trace.found.passages
        if generator is None:
            return outcome("prompt", place=self._shown(passages)), []
        messages, kept, dropped = self._pipeline.fitted(
            self._pipeline.made_whole(self._trace.found), generator, self._asked.history
        )
        place = self._shown(kept)
        step = _window_step(
            generator.context_tokens,
            generator.count_tokens(messages),
            len(dropped),
            fits=place is not None,
        )
        if place is None:
            return outcome("budget", window=generator.context_tokens), [step]
        return outcome("prompt", place=place), [step]

    def _answer(self, cancelled: Cancelled) -> Followed:
        """Ask the model, and see what its answer is drawn from."""
        answer: Answer | None = None
        for event in self._pipeline.ask(
            self._asked.question,
            history=self._asked.history,
            documents=self._asked.documents,
            cancelled=cancelled,
        ):
            if isinstance(event, Finished):
                answer = event.answer
        assert answer is not None, "a stream of events ends with Finished"
        place = self._shown(answer.passages)
        generator = self._loaded()
        window = generator.context_tokens if generator else 0
        fits = _window_step(
            window, answer.usage.prompt_tokens, len(answer.dropped), fits=place is not None
        )
        if place is None:
            return outcome("budget", window=window), [fits]
        return self._used(answer, place, fits)

    def _used(self, answer: Answer, place: int, fits: Step) -> Followed:
        drawn = [e for s in answer.sentences for e in s.evidence]
        document, start, end = self._span()
        used = any(
            answer.passages[e.passage].chunk.document_id == document
            and e.start < end
            and e.end > start
            for e in drawn
        )
        numbers = {"text": answer.text, "verdict": answer.verdict, "model": answer.model}
        step = Step("answer", _answer_says(answer), numbers, passed=used)
        return outcome("used" if used else "unused", place=place), [fits, step]

    def _span(self) -> tuple[str, int, int]:
        place = self._pieces.place
        return place.document_id, place.start, place.end

    def _shown(self, passages: tuple[Passage, ...]) -> int | None:
        return self._pieces.shown([passage.id for passage in passages])


def _gate_says(relevance: float, least: float) -> Text:
    return Text(
        f"How likely an answer is among what was found: {relevance:.2f}; at least {least:.2f}"
        " is asked for.",
        f"找到的内容中含有答案的可能性：{relevance:.2f}，要求不低于 {least:.2f}。",
    )


def _window_step(window: int, prompt: int, dropped: int, *, fits: bool) -> Step:
    what = Text(
        f"The prompt takes {prompt} tokens of {window}; {dropped} passages were left out.",
        f"提示词占 {prompt} / {window} 词元；有 {dropped} 段放不下。",
    )
    numbers = {"prompt_tokens": prompt, "window": window, "dropped": dropped}
    return Step("budget", what, numbers, passed=fits)


def _answer_says(answer: Answer) -> Text:
    text = " ".join(answer.text.split())
    text = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
    return Text(f"{answer.model} answered: {text}", f"{answer.model} 的回答：{text}")
