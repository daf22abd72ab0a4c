"""Follows the passages of a sentence: through the search, the gate, the window and the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answering.explain.outcomes import outcome
from rag.answering.explain.values import Number, Outcome, SentencePlace, Step
from rag.text.messages import Text
from rag.types.answers import Answer, Finished

if TYPE_CHECKING:
    from rag.answering.explain.values import SentenceQuestion, Stage
    from rag.answering.pipeline import RagPipeline
    from rag.protocols import Cancelled, TextGenerator
    from rag.retrieval.trace import PassageTrace, RetrieverTrace, SearchTrace
    from rag.types.answers import Passage


_WHOLE = 0.95  # of the sentence's letters: what is cut off beyond is a matter of white space
_SMALL = 0.005  # BM25 scores of a small library are tiny
_LISTED = 6  # words named in a step


@dataclass(frozen=True, slots=True)
class SentencePassages:
    """The passages that hold a sentence: any of ``whole``, or all of ``parts`` together."""

    place: SentencePlace
    whole: tuple[int, ...]
    parts: tuple[int, ...]

    @classmethod
    def of(cls, place: SentencePlace, over: Sequence[tuple[int, int, int]]) -> SentencePassages:
        """Sort the passages ``(id, start, end)`` that touch the sentence."""
        length = place.end - place.start
        whole = [
            chunk_id
            for chunk_id, start, end in over
            if min(end, place.end) - max(start, place.start) >= _WHOLE * length
        ]
        return cls(place, tuple(whole), () if whole else tuple(item[0] for item in over))

    @property
    def ids(self) -> tuple[int, ...]:
        """All passages concerned."""
        return self.whole or self.parts

    def telling(self, trace: SearchTrace) -> PassageTrace:
        """Return the passage on which it hangs: the best whole one, or the worst part."""
        traces = sorted((trace.passages[i] for i in self.ids), key=_standing)
        return traces[0] if self.whole else traces[-1]

    def shown(self, ids: Sequence[int]) -> int | None:
        """Return the 1-based place of the sentence among shown passages, if it is all there."""
        places = [ids.index(i) + 1 for i in self.ids if i in ids]
        complete = bool(places) if self.whole else len(places) == len(self.parts) > 0
        return min(places) if complete else None


def _standing(trace: PassageTrace) -> tuple[float, float, float]:
    """Return what sorts passages by how far they came."""
    far = float("inf")
    rankings = [
        found_by.rank for found_by in (trace.words, trace.meaning) if found_by.rank is not None
    ]
    return (trace.place or far, trace.fused or far, min(rankings, default=far))


def best(candidates: Sequence[SentencePassages], trace: SearchTrace) -> SentencePassages:
    """Return the place of the sentence that came farthest."""
    return min(candidates, key=lambda pieces: _standing(pieces.telling(trace)))


def passage_step(pieces: SentencePassages) -> Step:
    """Say whether the sentence stands whole in a passage."""
    if pieces.whole:
        return Step(
            "passage",
            Text("It stands whole in one passage.", "它完整地在一个段落中。"),
            passed=True,
        )
    count = len(pieces.parts)
    what = Text(f"It was cut into {count} passages.", f"它被切分到 {count} 个段落中。")
    return Step("passage", what, {"pieces": count})


def search_steps(trace: SearchTrace, passage: PassageTrace, *, k: int) -> list[Step]:
    """Say what both retrievers, their fusion, the spreading of pages and a reranker did with it."""
    proposed = passage.fused is not None  # by a retriever, in other words or by its page
    steps = [
        _words(passage, lost=not proposed),
        _retriever_step("meaning", passage.meaning, not proposed),
    ]
    if not proposed:
        return steps
    steps.append(_fusion(trace, passage))
    if passage.place is not None:
        steps.append(_pages(passage, k=k))
        if passage.reread is not None:
            steps.append(_reread(passage, k=k))
        steps.append(_within(trace, passage, k=k))
    return steps


def _words(passage: PassageTrace, *, lost: bool) -> Step:
    step = _retriever_step("words", passage.words, lost)
    shared = " ".join(passage.shared[:_LISTED]) or "–"
    missing = " ".join(passage.missing[:_LISTED]) or "–"
    what = Text(
        f"{step.what.en} Words of the question in it: {shared}; not in it: {missing}.",
        f"{step.what.zh}问题中的词，它含有：{shared}；不含：{missing}。",
    )
    numbers = {**step.numbers, "shared": shared, "missing": missing}
    return Step("words", what, numbers, passed=step.passed)


_LEGS = {"words": Text("By its words", "按词语"), "meaning": Text("By its meaning", "按语义")}


def _retriever_step(stage: Stage, found_by: RetrieverTrace, lost: bool) -> Step:  # noqa: FBT001 - a private step
    name = _LEGS[stage]
    numbers: dict[str, Number] = {
        "rank": found_by.rank, "score": _rounded(found_by.score), "best": _rounded(found_by.best),
        "last": _rounded(found_by.last), "candidates": found_by.candidates,
    }  # fmt: skip
    if found_by.rank is None:
        what = Text(f"{name.en}: not found.", f"{name.zh}：未找到。")
    else:
        scores, best = _written(found_by.score), _written(found_by.best)
        beyond = Text("", "")
        if not found_by.proposed:
            beyond = Text(
                f", behind the {found_by.candidates} candidates",
                f"，在 {found_by.candidates} 个候选之后",
            )
        what = Text(
            f"{name.en}: rank {found_by.rank}{beyond.en} (score {scores}, best {best}).",
            f"{name.zh}：第 {found_by.rank} 名{beyond.zh}（得分 {scores}，最高 {best}）。",
        )
    passed = True if found_by.proposed else False if lost else None
    return Step(stage, what, numbers, passed=passed)


def _fusion(trace: SearchTrace, passage: PassageTrace) -> Step:
    weight = round(100 * trace.lexical_weight)
    looked_at = passage.place is not None
    second = trace.found.also
    also = (
        Text(f", with those for “{second.text}”", f"，并计入“{second.text}”的检索结果")
        if second
        else Text("", "")
    )
    what = Text(
        f"Both together (words count {weight} %){also.en}: rank {passage.fused}.",
        f"两者合并（词语占 {weight}%）{also.zh}：第 {passage.fused} 名。",
    )
    numbers = {
        "rank": passage.fused,
        "score": _rounded(passage.fused_score),
        "lexical_weight": _rounded(trace.lexical_weight),
        "looked_at": trace.looked_at,
        "lines": second.text if second and second.kind == "computed_from" else None,
        "other_names": second.text if second and second.kind == "also_called" else None,
    }
    return Step("fusion", what, numbers, passed=looked_at)


def pushed(passage: PassageTrace, *, k: int) -> bool:
    """Tell whether spreading pages took the passage out of the first ``k``."""
    return passage.spread is not None and (passage.fused or 0) <= k < passage.spread


def outdone(passage: PassageTrace, *, k: int) -> bool:
    """Tell whether a reranker took the passage out of the first ``k``."""
    if passage.reread is None or passage.place is None or passage.spread is None:
        return False
    return passage.spread <= k < passage.place


def _pages(passage: PassageTrace, *, k: int) -> Step:
    before = passage.before_on_page
    what = Text(
        f"After pages are spread: rank {passage.spread}"
        f" (better passages of the same page: {before}).",
        f"分散到不同页面后：第 {passage.spread} 名（同一页更好的段落：{before}）。",
    )
    numbers: dict[str, Number] = {"rank": passage.spread, "before": before}
    if passage.reread is None:  # else the score is the reranker's
        numbers["score"] = _rounded(passage.score)
    return Step("pages", what, numbers, passed=not pushed(passage, k=k))


def _reread(passage: PassageTrace, *, k: int) -> Step:
    what = Text(
        f"Read together with the question by the reranker: rank {passage.reread}; with pages"
        f" spread again: {passage.place}.",
        f"重排模型与问题一起阅读后：第 {passage.reread} 名；再次分散到不同页面后：第"
        f" {passage.place} 名。",
    )
    numbers = {"rank": passage.reread, "place": passage.place, "score": _rounded(passage.score)}
    return Step("reranker", what, numbers, passed=not outdone(passage, k=k))


def _within(trace: SearchTrace, passage: PassageTrace, *, k: int) -> Step:
    inside = passage.place is not None and passage.place <= k
    last = trace.last_score
    what = Text(
        f"The model is given the first {k}; the last of them has the score {last:.2f}, this"
        f" {passage.score or 0:.2f}.",
        f"给模型前 {k} 段；其中最后一段得分 {last:.2f}，它得分 {passage.score or 0:.2f}。",
    )
    numbers = {"k": k, "last_score": _rounded(last), "score": _rounded(passage.score)}
    return Step("k", what, numbers, passed=inside)


def _written(score: float | None) -> str:
    if score is None:
        return "–"
    return f"{score:.2f}" if abs(score) >= _SMALL or not score else f"{score:.1g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


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
        messages, kept, dropped, _ = self._pipeline.fitted(
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
