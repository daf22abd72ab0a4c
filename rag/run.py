"""What has become of one question so far, and the times it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from time import perf_counter

from rag.beside import Beside, came
from rag.protocols import Cancelled
from rag.text.messages import Language
from rag.types.answers import (
    Delta,
    FinishReason,
    Notice,
    Passage,
    Retrieved,
    SearchResult,
    Sentence,
    Usage,
)


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
class Run:
    """What has become of one question so far."""

    found: SearchResult
    language: Language
    clock: Clock
    model: str
    beside: Beside
    text: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    finish: FinishReason = "stop"
    kept: tuple[Passage, ...] | None = None
    dropped: tuple[Passage, ...] = ()
    left_out: int = 0
    sentences: tuple[Sentence, ...] = ()
    notices: list[Notice] = field(default_factory=list)
    places: Future[tuple[Passage, ...]] | None = None
    """The passages with their boxes, until those are taken."""

    @property
    def shown(self) -> tuple[Passage, ...]:
        """The passages that the model sees."""
        return self.found.passages if self.kept is None else self.kept

    def retrieved(self, *, placed: bool = False) -> Retrieved:
        """Return what to tell of the passages."""
        found = self.found
        return Retrieved(self.shown, self.dropped, found.searched, found.lines, placed)

    def place(self, cancelled: Cancelled | None = None) -> bool:
        """Give the passages their boxes if those are found; say whether that happened now.

        With ``cancelled`` they are waited for, until it says so.
        """
        if self.places is None or not (
            self.places.done() if cancelled is None else came(self.places, cancelled)
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

    def take(self, delta: Delta) -> None:
        """Count a piece of the answer."""
        if delta.tokens:
            self.clock.first()
        self.tokens += delta.tokens
        self.finish = delta.finish or self.finish

    def told(self, notices: Iterable[Notice]) -> Iterator[Notice]:
        """Pass notices on, and keep them."""
        for notice in notices:
            self.notices.append(notice)
            yield notice

    def begin_anew(self) -> None:
        """Forget what an attempt had written."""
        self.text, self.tokens, self.finish = "", 0, "stop"
        self.clock.again()
