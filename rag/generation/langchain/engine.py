"""Any LangChain chat model as the one that answers.

The model is asked on an event loop of its own, so that a cancel closes the connection at once,
whatever the model is waiting for. Nothing is traced: LangSmith, which LangChain reports to
when an environment variable says so, never sees a question.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langsmith import tracing_context

from rag.errors import RagError
from rag.generation.engine_errors import failed, prompt_too_long, unloaded
from rag.generation.langchain.event_loop import Loop, Work
from rag.generation.langchain.token_count import Count, count_of, messages_of
from rag.generation.streaming import Bridge, Stopped
from rag.generation.templates import plain_turns
from rag.types.answers import Delta, FinishReason, Message

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage


logger = logging.getLogger(__name__)

_POLL_S = 0.05  # how often a cancel is looked for while the model is silent
_RETRY_S = (0.25, 1.0)  # pauses before a lost connection is tried again
_COUNTED = 32  # prompts whose length is remembered: fitting one asks for the same again
_CUT = frozenset({"length", "max_tokens"})
_REASONS = ("finish_reason", "stop_reason", "done_reason")
"""Under these keys models say why they ended; each maker has a word of its own."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a kind of model is to be treated.

    ``explain`` puts what its library raises into words; ``None`` leaves that to the general
    ones. ``lost`` says whether an error means that the connection broke, so that it may be
    tried again. ``says_why`` is whether it always says why it ended, so that an answer without
    a reason was cut off. ``kwargs`` go with every request.
    """

    explain: Callable[[BaseException], RagError | None] = lambda _: None
    lost: Callable[[BaseException], bool] = lambda _: False
    says_why: bool = False
    kwargs: tuple[tuple[str, Any], ...] = ()


class LangChainGenerator:
    """Streams answers from a LangChain chat model."""

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str,
        context_tokens: int,
        count: Count | None = None,
        manners: Manners | None = None,
        close: Work | None = None,
    ) -> None:
        """``count`` counts the tokens of a prompt; ``None`` takes the model's own counting.

        A model that has none is estimated, upwards: see ``langchain_count``. ``close`` runs
        on the loop of the answers when no more is asked.
        """
        self.name = name
        self.context_tokens = context_tokens
        self.count = count or count_of(model)
        self._model = model
        self._manners = manners or Manners()
        self._counted: dict[tuple[Message, ...], int] = {}
        self._loop = Loop(close)
        self._finalizer = weakref.finalize(self, self._loop.stop)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count tokens as the model's side would, or estimate them, never too low.

        Raises:
            ModelError: the server that counts is gone.
        """
        if self._loop.closed:
            raise unloaded(self.name)
        key = tuple(messages)
        if key not in self._counted:
            found = self.count(plain_turns(messages))
            while len(self._counted) >= _COUNTED:
                self._counted.pop(next(iter(self._counted)), None)
            self._counted[key] = found
        return self._counted.get(key) or self.count(plain_turns(messages))

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
            ModelError: the model broke off, or is closed.
        """
        if cancelled():
            yield Delta("", 0, "cancelled")
            return
        spent = self.count_tokens(messages)
        if spent >= self.context_tokens:
            raise prompt_too_long(spent, self.context_tokens)
        room = min(max_tokens, self.context_tokens - spent)
        turns = messages_of(plain_turns(messages))
        answer = _Answer(turns, room, self._kwargs(room, temperature))
        cancel = self._loop.submit(lambda: self._ask(answer), answer.bridge)
        if cancel is None:
            raise unloaded(self.name)
        try:
            yield from self._received(answer, cancelled)
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

    def _kwargs(self, room: int, temperature: float) -> dict[str, Any]:
        return {"max_tokens": room, "temperature": temperature, **dict(self._manners.kwargs)}

    def _received(self, answer: _Answer, cancelled: Stopped) -> Iterator[Delta]:
        """Hand on what arrives, until the end, an error or a cancel."""
        for delta in answer.bridge.ticks(_POLL_S):
            if cancelled():
                yield Delta("", 0, "cancelled")
                return
            if delta is not None:
                yield delta

    def _explained(self, error: Exception) -> RagError:
        if isinstance(error, RagError):
            return error
        return self._manners.explain(error) or failed(self.name, str(error))

    async def _ask(self, answer: _Answer) -> None:
        with tracing_context(enabled=False):
            for pause in (*_RETRY_S, None):
                try:
                    await self._stream_into(answer)
                except Exception as error:
                    if pause is None or answer.begun or not self._manners.lost(error):
                        explained = self._explained(error)
                        if explained is error:
                            raise
                        raise explained from error
                    logger.info("%s: the connection was lost; trying again", self.name)
                    await asyncio.sleep(pause)
                else:
                    return

    async def _stream_into(self, answer: _Answer) -> None:
        chunks = self._model.astream(answer.turns, **answer.kwargs)
        try:
            async for chunk in chunks:
                answer.take(chunk)
                if answer.full:
                    break
        finally:
            await chunks.aclose()  # type: ignore[attr-defined] # it is an async generator
        answer.end(says_why=self._manners.says_why)


class _Answer:
    """One answer as it arrives. Filled on the loop's thread, read by who asked."""

    def __init__(self, turns: list[BaseMessage], room: int, kwargs: dict[str, Any]) -> None:
        self.turns = turns
        self.kwargs = kwargs
        self.bridge: Bridge[Delta] = Bridge()
        self.begun = False
        self._room = room
        self._pieces = 0  # with text; a server sends one for each token
        self._reported: int | None = None  # tokens, by the model's own count
        self._finish: FinishReason | None = None

    @property
    def full(self) -> bool:
        """Whether it is as long as was asked, and the model goes on all the same."""
        return self._pieces > self._room and self._finish is None

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
        if self._pieces <= self._room:
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
        shown = min(self._pieces, self._room)
        rest = max(0, min(self._reported or 0, self._room) - shown)
        self.bridge.put(Delta("", rest, self._finish))
