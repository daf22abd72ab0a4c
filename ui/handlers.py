"""Turn what the app says into screens. No Gradio here, so that plain tests can read it.

A screen is a value: the finished turns and, while an answer is under way, the live one.
Handlers take one and give the next; the layout puts them into ``gr.State`` and draws them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from rag.errors import RagError, UnknownChat
from rag.generation.streaming import Stopped, ticking
from rag.protocols import never
from rag.text.messages import LANGUAGES, Text
from rag.types.answers import (
    Answer,
    AnswerMessage,
    AskMode,
    Checked,
    Delta,
    Event,
    Finished,
    Passage,
    Quoted,
    ReadingProgress,
    Retrieved,
)
from ui.tabs import LAST, PageSizes, Problem, Screen, Ticket, Turn, history_of, passage_of
from ui.words import WORDS, say

if TYPE_CHECKING:
    from rag.app.app import App


T = TypeVar("T")
logger = logging.getLogger(__name__)

TICK_S = 0.05  # how soon Stop is noticed, and the shortest time between two redraws
MODEL_LOOK_S = 0.5  # how often the progress of a download is read while a question waits
STOP_GRACE_S = 1.5  # after Stop, the engine may still hand over the checked partial answer


def respond(
    app: App,
    screen: Screen,
    question: str,
    *,
    documents: Collection[str],
    mode: AskMode = "auto",
    ticket: Ticket,
) -> Iterator[Screen]:
    """Yield a screen for every change until the answer is done, stopped or failed.

    The last one is empty if the conversation was left meanwhile.

    ``documents`` limits the search; empty searches all. ``mode`` says whether documents are
    read whole. ``ticket`` is the right to ask: it says when the app is free and when the person
    pressed Stop. While text streams, at most one screen per ``TICK_S`` is drawn.
    """
    turn = Turn(question, documents=tuple(sorted(documents)))
    yield replace(screen, live=turn)
    try:
        while not ticket.stopped() and not ticket.wait(TICK_S):
            if turn.stage != "queued":
                turn = replace(turn, stage="queued")
                yield replace(screen, live=turn)
        ask = partial(
            app.ask,
            question,
            history=history_of(screen.turns),
            documents=documents or None,
            mode=mode,
            cancelled=ticket.stopped,
        )
        for grown in _turns(app, turn, ask, ticket=ticket):
            turn = grown
            if turn.stage not in LAST:
                yield replace(screen, live=turn)
    except RagError as error:
        turn = replace(turn, stage="failed", problem=Problem(error.message, error.hint))
    except Exception as error:  # the rim: a bug ends in words, not in a spinner
        logger.exception("answering failed")
        turn = replace(turn, stage="failed", problem=_inside(error))
    finally:
        left = ticket.release()
    if left:
        yield Screen()
    else:
        yield Screen(turns=(*screen.turns, turn), chat=_kept(app, screen.chat, turn))


def opened(app: App, chat: int) -> Screen:
    """Return a kept chat as it was shown.

    Raises:
        RagError: there is no such chat, or it cannot be read.
    """
    turns = tuple(
        _answered(app, Turn(kept.question, documents=kept.documents), kept.answer)
        for kept in app.chats.turns(chat)
    )
    return Screen(turns, chat=chat)


def _kept(app: App, chat: int | None, turn: Turn) -> int | None:
    """Keep an answer; a chat that was deleted meanwhile begins anew."""
    if turn.answer is None or not turn.text:
        return chat
    try:
        try:
            return app.chats.add(chat, turn.answer, documents=turn.documents)
        except UnknownChat:
            return app.chats.add(None, turn.answer, documents=turn.documents)
    except RagError as error:  # the answer is there all the same
        logger.warning("the answer was not kept: %s", error.message)
        return chat


def _inside(error: Exception) -> Problem:
    kind = type(error).__name__
    words = Text(*(say("error_inside", language, kind=kind) for language in LANGUAGES))
    return Problem(words, WORDS["error_inside_hint"])


def _turns(
    app: App, turn: Turn, ask: Callable[[], Iterator[Event]], *, ticket: Ticket
) -> Iterator[Turn]:
    """Yield the live turn as it grows; the last one is ``done`` or ``stopped``."""
    if ticket.stopped():
        yield replace(turn, stage="stopped")
        return
    pace = _Pace()
    yield (turn := replace(turn, stage="searching"))
    with closing(pumped(ask, tick_s=TICK_S)) as events:
        for event in events:
            turn = _next(app, turn, event, ticket=ticket, pace=pace)
            if turn.stage == "done" or ticket.discarded or pace.stopped_for(turn) > STOP_GRACE_S:
                break
            if pace.due(turn):
                yield turn
    yield turn if turn.stage == "done" else replace(turn, stage="stopped")


def pumped(source: Callable[[], Iterator[T]], *, tick_s: float) -> Generator[T | None]:
    """Yield what ``source()`` yields, and ``None`` whenever ``tick_s`` passed without anything.

    It is read in another thread, so that waiting for it can be interrupted.

    Closing this iterator returns at once; the thread lets go of the source at its next item.
    What the source raises is raised here.
    """

    def produce(emit: Callable[[T], None], stopped: Stopped) -> None:
        given = source()
        try:
            for item in given:
                emit(item)
                if stopped():
                    break
        finally:
            if isinstance(given, Generator):
                given.close()

    return ticking(produce, cancelled=never, tick_s=tick_s, patience_s=0)


def _next(app: App, turn: Turn, event: Event | None, *, ticket: Ticket, pace: _Pace) -> Turn:
    """Return the turn after ``event``, or after a moment without one (``None``)."""
    if ticket.stopped() and not isinstance(event, Finished):
        return replace(turn, stage="stopping")  # what still comes in is not shown any more
    if event is None:
        return _while_waiting(app, turn, pace)
    return _after(app, turn, event)


class _Pace:
    """When to redraw, and when to look at things that cost something."""

    def __init__(self) -> None:
        self._drawn: Turn | None = None
        self._drawn_at = self._looked_at = 0.0
        self._stopped_at: float | None = None

    def due(self, turn: Turn) -> bool:
        """Say whether ``turn`` shall be drawn now; a new stage always is."""
        changed_stage = self._drawn is None or self._drawn.stage != turn.stage
        rested = monotonic() - self._drawn_at >= TICK_S
        if turn == self._drawn or not (changed_stage or rested):
            return False
        self._drawn, self._drawn_at = turn, monotonic()
        return True

    def look(self) -> bool:
        """Say at most every ``MODEL_LOOK_S`` that it is time to look."""
        if monotonic() - self._looked_at < MODEL_LOOK_S:
            return False
        self._looked_at = monotonic()
        return True

    def stopped_for(self, turn: Turn) -> float:
        """Return the seconds since ``turn`` was first seen to be stopping."""
        if turn.stage != "stopping":
            return 0.0
        self._stopped_at = self._stopped_at or monotonic()
        return monotonic() - self._stopped_at


def _after(app: App, turn: Turn, event: Event) -> Turn:
    match event:
        case Retrieved():
            return _found(app, turn, event)
        case ReadingProgress():
            return replace(turn, stage="reading", reading=event, read=0.0)
        case AnswerMessage():
            return _noticed(turn, event)
        case Delta():
            return _grown(turn, event)
        case Quoted() | Checked():
            return _proved(turn, event)
        case Finished(answer=answer):
            return _answered(app, turn, answer)


def _answered(app: App, turn: Turn, answer: Answer) -> Turn:
    return replace(
        turn,
        stage="done",
        text=answer.text,
        answer=answer,
        passages=answer.passages,
        dropped=answer.dropped,
        page_sizes=_page_sizes(app, (*answer.passages, *answer.dropped), answer),
    )


def _found(app: App, turn: Turn, event: Retrieved) -> Turn:
    found = (*event.passages, *event.dropped)
    turn = replace(
        turn,
        passages=event.passages,
        dropped=event.dropped,
        page_sizes=_page_sizes(app, found),
    )
    if event.placed:  # comes at any time, and is no step of the answer
        return turn
    return replace(turn, stage="reading", searched=event.searched, also=event.also)


def _proved(turn: Turn, event: Quoted | Checked) -> Turn:
    if isinstance(event, Quoted):
        return replace(turn, early=event.sentence)
    return replace(turn, checked=(*turn.checked, event.sentence))


def _grown(turn: Turn, delta: Delta) -> Turn:
    if delta.text:
        return replace(turn, stage="writing", text=turn.text + delta.text)
    return turn if delta.prompt_read is None else replace(turn, read=delta.prompt_read)


def _noticed(turn: Turn, notice: AnswerMessage) -> Turn:
    turn = replace(turn, noticed=(*turn.noticed, notice))
    return replace(turn, stage="reading", text="", checked=()) if notice.anew else turn


def _while_waiting(app: App, turn: Turn, pace: _Pace) -> Turn:
    """Say that the model is being fetched or loaded where that is why nothing happens."""
    if turn.stage not in {"searching", "model", "reading"} or not pace.look():
        return turn
    state = app.state()
    if state.model_state in {"downloading", "loading"}:
        return replace(turn, stage="model", progress=state.model_progress)
    if turn.stage == "model":
        began = turn.passages or turn.reading
        return replace(turn, stage="reading" if began else "searching", progress=None)
    return turn


def _page_sizes(app: App, passages: Iterable[Passage], answer: Answer | None = None) -> PageSizes:
    """Return the size of every page that something may be marked on.

    A page whose size cannot be had is left out; the viewer then says that its place is not
    known.
    """
    sizes: dict[tuple[str, int], tuple[float, float]] = {}
    for document, page in sorted(_pages(passages, answer)):
        try:
            sizes[document, page] = app.page_size(document, page)
        except RagError as error:
            logger.info("no size of page %d of %.12s: %s", page, document, error.message)
    return sizes


def _pages(passages: Iterable[Passage], answer: Answer | None) -> set[tuple[str, int]]:
    pages: set[tuple[str, int]] = set()
    for passage in passages:
        document = passage.chunk.document_id
        pages |= {(document, passage.chunk.first_page)}
        pages |= {(document, box.page) for box in passage.boxes}
    for sentence in answer.sentences if answer else ():
        for item in sentence.evidence:
            cited = passage_of(answer.passages if answer else (), item)
            if cited:
                pages |= {(cited.chunk.document_id, box.page) for box in item.boxes}
    return pages
