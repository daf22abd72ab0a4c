"""Follows an answer while it is written: each sentence is judged, and its place found."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar

from rag.protocols import Cancelled, never
from rag.text.sentences import split_sentences
from rag.types.answers import Sentence

T = TypeVar("T")
_TICK_S = 0.05  # how soon Stop is noticed


class BackgroundThread:
    """One question's thread. Use it as a context manager; its end waits for nothing.

    What is under way then ends by itself, what waits is never begun.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="places")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def __call__(self, find: Callable[[], T]) -> Future[T]:
        """Begin ``find``, after what was begun before."""
        return self._thread.submit(find)


def wait_for(future: Future[Any], cancelled: Cancelled) -> bool:
    """Wait for a result; return false if the person stopped waiting."""
    while not future.done():
        if cancelled():
            return False
        wait([future], timeout=_TICK_S)
    return True


Judge = Callable[[str, int, int], Sentence | None]
"""Judges ``text[start:end]``; ``None`` for a piece without words."""
Locate = Callable[[Sentence], tuple[Sentence, Future[Sentence]]]
"""Looks up in the reader's own thread where a judged sentence's evidence stands; the second is
what it becomes with what takes longer to find."""


@dataclass(frozen=True, slots=True)
class _Job:
    piece: str  # of the answer: what stands before the sentence, and the sentence
    start: int  # of the piece in what the model wrote
    verdict: Future[Sentence | None]  # offsets into ``piece``


def _as_it_is(sentence: Sentence) -> tuple[Sentence, Future[Sentence]]:
    same: Future[Sentence] = Future()
    same.set_result(sentence)
    return sentence, same


class SentenceChecker:
    """Takes the pieces of one answer; gives what to show of it, and its judged sentences.

    A sentence has ended when the next one begins: "3." may still become 3.5. Judging happens
    in a thread of its own, so that no token waits for it. With ``drop`` nothing is shown
    before it is judged, and what is unsupported never is. Use it as a context manager.
    """

    def __init__(self, judge: Judge, locate: Locate = _as_it_is, *, drop: bool) -> None:
        self._judge = judge
        self._locate = locate
        self._drop = drop
        self._waiting = ""  # written, not yet ended
        self._written = 0  # characters before it
        self._jobs: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._placing: deque[tuple[Sentence, Future[Sentence]]] = deque()
        self.text = ""  # as shown so far
        self.sentences: list[Sentence] = []  # offsets into ``text``
        self.left_out = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def take(self, piece: str, *, last: bool = False) -> str:
        """Add a piece of the answer, the last one if so; return what to show now."""
        self._waiting += piece
        self._hand_over(last=last)
        if not self._drop:
            self.text += piece
            return piece
        before = len(self.text)
        self._collect(wait=last)
        return self.text[before:]

    def judged(self, *, last: bool = False, cancelled: Cancelled = never) -> list[Sentence]:
        """Return the sentences judged and found since this was asked before.

        With ``last``, wait for all; those whose places are not found when it is ``cancelled``
        come without them.
        """
        if last:
            self._hand_over(last=True)
        self._collect(wait=last)
        fresh = []
        while self._placing and (last or self._placing[0][1].done()):
            known, place = self._placing.popleft()
            fresh.append(place.result() if wait_for(place, cancelled) else known)
        self.sentences += fresh
        return fresh

    def _hand_over(self, *, last: bool) -> None:
        """Give the sentences that have ended to the thread that judges."""
        spans = split_sentences(self._waiting)
        done = 0
        for start, end in spans if last else spans[:-1]:
            piece = self._waiting[done:end]
            verdict = self._thread.submit(self._judge, piece, start - done, end - done)
            self._jobs.append(_Job(piece, self._written + done, verdict))
            done = end
        self._waiting = self._waiting[done:]
        self._written += done

    def _collect(self, *, wait: bool) -> None:
        """Take what is judged, in order; all of it, if ``wait``."""
        while self._jobs and (wait or self._jobs[0].verdict.done()):
            job = self._jobs.popleft()
            sentence = job.verdict.result()
            if self._drop and sentence is not None and sentence.verdict == "unsupported":
                self.left_out += 1
                continue
            moved = job.start
            if self._drop:
                piece = job.piece if self.text else job.piece.lstrip()
                moved = len(self.text) + len(piece) - len(job.piece)
                self.text += piece
            if sentence is not None:
                self._keep(sentence, moved)

    def _keep(self, sentence: Sentence, moved: int) -> None:
        placed = replace(sentence, start=sentence.start + moved, end=sentence.end + moved)
        self._placing.append(self._locate(placed))
