"""Any LangChain chat model as the one that answers.

The model is asked on an event loop of its own, so that a cancel closes the connection at once,
whatever the model is waiting for. Nothing is traced: LangSmith, which LangChain reports to
when an environment variable says so, never sees a question.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import Context
from functools import lru_cache
from typing import TypeVar

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.messages import BaseMessage, convert_to_messages
from langsmith import tracing_context

from rag.errors import RagError
from rag.generation.engine_errors import failed, prompt_too_long, unloaded
from rag.generation.prompt import plain_turns
from rag.generation.streaming import Bridge, Stopped
from rag.generation.thoughts import without_thoughts
from rag.types.answers import Delta, FinishReason, Message

logger = logging.getLogger(__name__)

_POLL_S = 0.05  # how often a cancel is looked for while the model is silent
_RETRY_S = (0.25, 1.0)  # pauses before a lost connection is tried again
_COUNTED = 32  # prompts whose length is remembered
_CUT = frozenset({"length", "max_tokens"})
_REASONS = ("finish_reason", "stop_reason", "done_reason")
"""Under these keys models say why they ended; each maker has a word of its own."""


class LangChainGenerator:
    """Streams answers from a LangChain chat model."""

    def __init__(  # noqa: PLR0913 - each is a way in which models differ
        self,
        model: BaseChatModel,
        *,
        name: str,
        context_tokens: int,
        count: Count | None = None,
        explain: Callable[[BaseException], RagError | None] = lambda _: None,
        lost: Callable[[BaseException], bool] = lambda _: False,
        says_why: bool = False,
        close: Work | None = None,
    ) -> None:
        """Take over a model.

        ``count`` counts the tokens of a prompt; ``None`` takes the model's own counting, and a
        model that has none is estimated, upwards: see ``count_of``. ``explain`` puts what its
        library raises into words; ``None`` leaves that to the general ones. ``lost`` says whether
        an error means that the connection broke, so that it may be tried again. ``says_why`` is
        whether it always says why it ended, so that an answer without a reason was cut off.
        ``close`` runs on the loop of the answers when no more is asked.
        """
        self.name = name
        self.context_tokens = context_tokens
        self._model = model
        self._explain, self._lost, self._says_why = explain, lost, says_why
        known = count or count_of(model)
        # fitting a prompt asks for the same again
        self._count = lru_cache(maxsize=_COUNTED)(lambda turns: known(plain_turns(turns)))
        self._loop = Loop(close)
        self._finalizer = weakref.finalize(self, self._loop.stop)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens as the model's side would, or estimate them, never too low.

        Raises:
            ModelError: the server that counts is gone.
        """
        if self._loop.closed:
            raise unloaded(self.name)
        return self._count(tuple(messages))

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Stopped,
    ) -> Iterator[Delta]:
        """Yield text as it arrives; see ``rag.protocols.TextGenerator``.

        A lost connection is tried again, twice, as long as nothing has arrived.

        Raises:
            PromptTooLong: the prompt does not fit the window.
            ModelError: the model broke off, is closed, or did nothing but think.
        """
        deltas = self._stream(
            messages, max_tokens=max_tokens, temperature=temperature, cancelled=cancelled
        )
        return without_thoughts(self.name, deltas)

    def _stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Stopped,
    ) -> Iterator[Delta]:
        if cancelled():
            yield Delta("", 0, "cancelled")
            return
        spent = self.count_tokens(messages)
        if spent >= self.context_tokens:
            raise prompt_too_long(spent, self.context_tokens)
        room = min(max_tokens, self.context_tokens - spent)
        answer = _Answer(plain_turns(messages), room, temperature)
        cancel = self._loop.submit(lambda: self._ask(answer), answer.bridge)
        if cancel is None:
            raise unloaded(self.name)
        try:
            for delta in answer.bridge.ticks(_POLL_S):
                if cancelled():
                    yield Delta("", 0, "cancelled")
                    return
                if delta is not None:
                    yield delta
        except asyncio.CancelledError:  # it was closed meanwhile
            raise unloaded(self.name) from None
        finally:
            cancel()

    def prepare(self, messages: Sequence[Message], *, cancelled: Stopped) -> None:
        """Do nothing: what is still being typed is not sent to a server that others share."""

    def memory_bytes(self) -> None:
        """Return ``None``: what it takes where it runs is not known here."""

    def close(self) -> None:
        """End the running answers and let go of the connections."""
        self._finalizer()

    async def _ask(self, answer: _Answer) -> None:
        with tracing_context(enabled=False):
            for pause in (*_RETRY_S, None):
                try:
                    await self._stream_into(answer)
                except RagError:
                    raise
                except Exception as error:
                    if pause is None or answer.begun or not self._lost(error):
                        raise self._explain(error) or failed(self.name, str(error)) from error
                    logger.info("%s: the connection was lost; trying again", self.name)
                    await asyncio.sleep(pause)
                else:
                    return

    async def _stream_into(self, answer: _Answer) -> None:
        chunks = self._model.astream(
            answer.turns, max_tokens=answer.room, temperature=answer.temperature
        )
        try:
            async for chunk in chunks:
                answer.take(chunk)
                if answer.full:
                    break
        finally:
            await chunks.aclose()  # type: ignore[attr-defined] # it is an async generator
        answer.end(says_why=self._says_why)


class _Answer:
    """One answer as it arrives. Filled on the loop's thread, read by who asked."""

    def __init__(self, turns: Turns, room: int, temperature: float) -> None:
        self.turns = turns
        self.room = room  # tokens
        self.temperature = temperature
        self.bridge: Bridge[Delta] = Bridge()
        self.begun = False
        self._pieces = 0  # with text; a server sends one for each token
        self._reported: int | None = None  # tokens, by the model's own count
        self._finish: FinishReason | None = None

    @property
    def full(self) -> bool:
        """Whether it is as long as was asked, and the model goes on all the same."""
        return self._pieces > self.room and self._finish is None

    def take(self, chunk: BaseMessage) -> None:
        """Take one message of the model."""
        usage = getattr(chunk, "usage_metadata", None)
        if usage:
            self._reported = max(self._reported or 0, int(usage.get("output_tokens", 0)))
        for key in _REASONS:
            if reason := chunk.response_metadata.get(key):
                self._finish = "length" if reason in _CUT else "stop"
        text = chunk.text
        if not text:
            return
        self.begun = True
        self._pieces += 1
        if self._pieces <= self.room:
            self.bridge.put(Delta(str(text), 1))

    def end(self, *, says_why: bool) -> None:
        """Close the answer; the last delta sets its count of tokens right.

        Raises:
            EOFError: it ended in the middle.
        """
        if self.full:
            self._finish = "length"
        if self._finish is None:
            if says_why:
                raise EOFError
            self._finish = "stop"
        shown = min(self._pieces, self.room)
        rest = max(0, min(self._reported or 0, self.room) - shown)
        self.bridge.put(Delta("", rest, self._finish))


Turns = Sequence[dict[str, str]]
Count = Callable[[Turns], int]

TEMPLATE_TOKENS = 96
"""What chat templates add of their own at most: a default system prompt, a date."""

TURN_TOKENS = 12
"""Marks around one turn: who speaks, where it ends."""

_WORD = re.compile(r"[a-z]+")
_BEFORE_WORD = re.compile(r" (?=[A-Za-z])")  # is part of the word's first token


def count_of(model: BaseChatModel) -> Count:
    """Return what counts for a model: its own counting, else an estimate that errs upwards.

    LangChain's fallback counts with GPT-2's tokenizer, which it would download, and which is
    not the model's: it is not used.
    """
    if _overrides(model, "get_num_tokens_from_messages"):
        return lambda turns: model.get_num_tokens_from_messages(convert_to_messages(turns))
    if model.custom_get_token_ids is not None or _overrides(model, "get_token_ids"):
        return counted_by_text(lambda text: len(model.get_token_ids(text)))
    return estimate


def _overrides(model: BaseChatModel, method: str) -> bool:
    bases = (BaseLanguageModel, BaseChatModel)
    return all(getattr(type(model), method) is not vars(base).get(method) for base in bases)


def counted_by_text(count_text: Callable[[str], int]) -> Count:
    """Return what counts where only the tokens of plain text are known, not of the template."""
    return lambda turns: _framed(turns, count_text)


def estimate(turns: Turns) -> int:
    """Estimate tokens, never too few for the tokenizers of today's models.

    Two small Latin letters are a token; every capital, digit, mark and line break is one, and
    every other character as many as its bytes. English prose has half as many, so this wastes
    room; it is used only where nobody can count.
    """
    return _framed(turns, _upper_bound)


def _upper_bound(text: str) -> int:
    letters = sum(math.ceil(len(word) / 2) for word in _WORD.findall(text))
    others = _WORD.sub("", _BEFORE_WORD.sub("", text))
    return letters + len(others.encode())


def _framed(turns: Turns, count_text: Callable[[str], int]) -> int:
    texts = sum(count_text(turn["content"]) for turn in turns)
    return texts + TURN_TOKENS * len(turns) + TEMPLATE_TOKENS


T = TypeVar("T")
Work = Callable[[], Coroutine[None, None, None]]

_PATIENCE_S = 2.0  # with what was told to end, before going on without it


class Loop:
    """Starts with its first task. Connections belong to a loop, so a model keeps to one."""

    def __init__(self, close: Work | None = None) -> None:
        """``close`` runs on the loop when it stops, to let go of connections."""
        self._close = close
        self._guard = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self.closed = False

    def submit(self, work: Work, bridge: Bridge[T]) -> Callable[[], None] | None:
        """Start ``work``, which fills ``bridge``; ``None`` if the loop was stopped.

        What is returned ends the work, and waits until its connection is closed.
        """
        with self._guard:
            if self.closed:
                return None
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name="langchain", daemon=True)
                thread.start()
                self._running = loop, thread
            return _begin(self._running[0], work, bridge)

    def stop(self) -> None:
        """Cancel what runs, and end the thread."""
        with self._guard:
            self.closed = True
            running, self._running = self._running, None
        if running is not None:
            loop, thread = running
            asyncio.run_coroutine_threadsafe(self._wind_up(), loop)
            thread.join(_PATIENCE_S)

    async def _wind_up(self) -> None:
        loop = asyncio.get_running_loop()
        others = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        try:
            if self._close is not None:
                await self._close()
        finally:
            loop.call_soon(loop.stop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _begin(loop: asyncio.AbstractEventLoop, work: Work, bridge: Bridge[T]) -> Callable[[], None]:
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        tasks.append(loop.create_task(work()))
        tasks[0].add_done_callback(note)

    def note(task: asyncio.Task[None]) -> None:
        cancelled = task.cancelled()
        error = None if cancelled else task.exception()
        bridge.end(asyncio.CancelledError() if cancelled and not bridge.abandoned else error)

    def cancel() -> None:
        bridge.abandon(0)
        try:
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        except RuntimeError:  # the loop has ended, and this with it
            return
        bridge.abandon(_PATIENCE_S)

    # in a context of its own: what the caller has switched on, such as tracing, stays out
    loop.call_soon_threadsafe(start, context=Context())
    return cancel
