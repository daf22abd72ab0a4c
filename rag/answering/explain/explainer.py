"""The use case: a question and a sentence in, the stage that lost the sentence out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rag.answering.explain.outcomes import outcome
from rag.answering.explain.steps import (
    Prompting,
    SentencePassages,
    best,
    outdone,
    passage_step,
    pushed,
    search_steps,
)
from rag.answering.explain.values import Explanation, Outcome, SentencePlace, SentenceQuestion, Step
from rag.protocols import Cancelled, never
from rag.text.messages import Text, shown

if TYPE_CHECKING:
    from rag.answering.explain.finding import Finder, Outside
    from rag.answering.pipeline import RagPipeline
    from rag.protocols import TextGenerator
    from rag.retrieval.trace import PassageTrace, SearchTrace, Tracer
    from rag.storage.passages import StoredTexts


_HINTED = 5  # words of the passage that a question may take up


class Explainer:
    """Follows sentences through one library. Holds no state between questions."""

    def __init__(
        self,
        *,
        whereabouts: StoredTexts,
        finder: Finder,
        outside: Outside,
        tracer: Tracer,
        pipeline: RagPipeline,
        loaded: Callable[[], TextGenerator | None] = lambda: None,
    ) -> None:
        """``loaded`` returns the model if it is at hand; it is not waited for."""
        self._whereabouts = whereabouts
        self._finder = finder
        self._outside = outside
        self._tracer = tracer
        self._pipeline = pipeline
        self._loaded = loaded

    def explain(self, asked: SentenceQuestion, *, cancelled: Cancelled = never) -> Explanation:
        """Return which stage lost the sentence, with the steps up to there.

        Raises:
            RagError: the model was to be asked and failed.
        """
        documents: list[str] | None = None
        if asked.document is not None:
            documents, missing = self._outside.document(asked.document)
            if missing is not None:
                return self._lost(asked, missing, None, [_file(missing)])
        places = self._finder.in_texts(asked.sentence, documents)
        nearest = places[0] if places else None
        if nearest is None or not nearest.found:
            found = self._outside.whereabouts(asked.sentence, documents, nearest)
            return self._lost(asked, found, nearest, [_not_found(nearest, found)])
        return self._follow(asked, places, cancelled)

    def _lost(
        self,
        asked: SentenceQuestion,
        found: Outcome,
        place: SentencePlace | None,
        steps: list[Step],
    ) -> Explanation:
        return Explanation(asked.question, asked.sentence, found, place, tuple(steps))

    def _follow(
        self, asked: SentenceQuestion, places: list[SentencePlace], cancelled: Cancelled
    ) -> Explanation:
        steps = [_read(places)]
        indexed = [place for place in places if place.document_id in self._whereabouts.complete()]
        if not indexed:
            missing = outcome("not_embedded", document=shown(places[0].document))
            return self._lost(asked, missing, places[0], [*steps, _file(missing)])
        scope = asked.documents
        inside = [p for p in indexed if scope is None or p.document_id in scope]
        if not inside:
            missing = outcome("out_of_scope", document=shown(places[0].document))
            return self._lost(asked, missing, places[0], [*steps, _file(missing)])
        return self._search(asked, inside, steps, cancelled)

    def _search(
        self,
        asked: SentenceQuestion,
        places: list[SentencePlace],
        steps: list[Step],
        cancelled: Cancelled,
    ) -> Explanation:
        candidates = [self._pieces(place) for place in places]
        k = self._pipeline.settings.k
        trace = self._tracer.trace(
            asked.question,
            sorted({i for pieces in candidates for i in pieces.ids}),
            k=k,
            documents=asked.documents,
            everything=self._whereabouts.complete(),
            history=asked.history,
        )
        pieces = best([pieces for pieces in candidates if pieces.ids], trace)
        passage = pieces.telling(trace)
        steps += [passage_step(pieces), *search_steps(trace, passage, k=k)]
        lost = lost_in_search(pieces, passage, trace, k=k, words=self._hint(asked))
        if lost is not None:
            return self._lost(asked, lost, pieces.place, steps)
        prompting = Prompting(self._pipeline, self._loaded, asked, pieces, trace)
        found, more = prompting.follow(self._hint(asked), cancelled)
        return self._lost(asked, found, pieces.place, [*steps, *more])

    def _hint(self, asked: SentenceQuestion) -> Text:
        words = self._tracer.telling_words(asked.question, asked.sentence)[:_HINTED]
        if not words:
            return Text("", "")
        return Text(f" ({', '.join(words)})", f"（{'、'.join(words)}）")

    def _pieces(self, place: SentencePlace) -> SentencePassages:
        over = self._whereabouts.passages_over(place.document_id, place.start, place.end)
        return SentencePassages.of(place, over)


def lost_in_search(
    pieces: SentencePassages, passage: PassageTrace, trace: SearchTrace, *, k: int, words: Text
) -> Outcome | None:
    """Return at which stage of the search it was lost; ``None`` if it is among the first."""
    if passage.place is not None and passage.place <= k:
        return None
    values: dict[str, object] = {
        "document": shown(pieces.place.document),
        "words": words,
        "place": passage.place or passage.fused,
        "looked_at": trace.looked_at,
        "before": passage.fused,
        "spread": passage.spread,
        "candidates": max(passage.words.candidates, passage.meaning.candidates),
        "k": k,
        "pieces": len(pieces.parts),
        "overlap": max(20, (pieces.place.end - pieces.place.start) // 4),
    }
    if pieces.parts:
        return outcome("cut", **values)
    if passage.fused is None:
        return outcome("not_found", **values)
    if passage.place is None:
        return outcome("fusion", **values)
    if outdone(passage, k=k):
        return outcome("reranked", **values)
    return outcome("pages" if passage.reread is None and pushed(passage, k=k) else "k", **values)


def _read(places: list[SentencePlace]) -> Step:
    """Say where the sentence was found."""
    first = places[0]
    others = len(places) - 1
    alike = round(100 * first.likeness)
    what = Text(
        f"It stands in {shown(first.document)} on page {first.page} ({alike} % alike)"
        + (f", and in {others} other places." if others else "."),
        f"它在 {shown(first.document)} 第 {first.page} 页（相似度 {alike}%）"
        + (f"，另有 {others} 处。" if others else "。"),
    )
    numbers = {"page": first.page, "likeness": round(first.likeness, 4), "places": len(places)}
    return Step("text", what, numbers, passed=True)


def _not_found(nearest: SentencePlace | None, found: Outcome) -> Step:
    if nearest is None:
        return Step("text", found.what, passed=False)
    quote = " ".join(nearest.quote.split())
    alike = round(100 * nearest.likeness)
    other = Text("", "") if nearest.same_numbers else Text(", other numbers", "，数字不同")
    what = Text(
        f"In no text. The nearest ({alike} % alike{other.en}) is on page {nearest.page} of"
        f" {shown(nearest.document)}: “{quote}”",
        f"文本中没有。最接近的（相似度 {alike}%{other.zh}）在 {shown(nearest.document)} 第"
        f" {nearest.page} 页：“{quote}”",
    )
    numbers = {"page": nearest.page, "likeness": round(nearest.likeness, 4)}
    return Step("text", what, numbers, passed=False)


def _file(found: Outcome) -> Step:
    return Step("file", found.what, passed=False)
