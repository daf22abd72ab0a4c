"""A generator of this project as a LangChain chat model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from rag.errors import ConfigError
from rag.interop.stops import Stops
from rag.protocols import TextGenerator, never
from rag.text.messages import Text
from rag.types.answers import Delta, Message, Role

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "ai": "assistant",
    "user": "user",
    "assistant": "assistant",
}


class RagChatModel(BaseChatModel):
    """Answers with a loaded generator: ``invoke``, ``stream``, ``ainvoke``, ``astream``, batches.

    It is text only: images and tools are refused. Leaving a stream, or cancelling the task
    that awaits one, stops the model within one token; so does ``cancelled``, which is asked
    before each token.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    generator: Any  # a TextGenerator; pydantic cannot check a protocol
    max_tokens: int = 512
    temperature: float = 0.0
    cancelled: Callable[[], bool] = never

    @property
    def _llm_type(self) -> str:
        return "ragdesk"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model_name": self.generator.name,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Count a prompt's tokens with the model's own tokenizer and template."""
        del tools
        return int(self.generator.count_tokens(turns_of(messages)))

    def get_num_tokens(self, text: str) -> int:
        """Count the tokens that a text adds to a turn."""
        empty = self.generator.count_tokens([Message("user", "")])
        return int(self.generator.count_tokens([Message("user", text)]) - empty)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, stop, self.cancelled, kwargs):
            if run_manager and chunk.text:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Run the model in a thread; it stops when the awaiting task is cancelled."""
        left = threading.Event()
        chunks = self._chunks(messages, stop, lambda: left.is_set() or self.cancelled(), kwargs)
        step: asyncio.Future[ChatGenerationChunk | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
                chunk = await asyncio.shield(step)  # a thread cannot be cancelled, only told
                if chunk is None:
                    return
                if run_manager and chunk.text:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            left.set()
            if step is not None and not step.done():
                await asyncio.wait([step])
            await asyncio.to_thread(chunks.close)

    def _chunks(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        cancelled: Callable[[], bool],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return a generator of chunks; the last one carries usage and the reason for the end."""
        _refuse_tools(kwargs)
        generator: TextGenerator = self.generator
        turns = turns_of(messages)
        deltas = generator.stream(
            turns,
            max_tokens=int(kwargs.get("max_tokens") or self.max_tokens),
            temperature=float(kwargs.get("temperature", self.temperature)),
            cancelled=cancelled,
        )
        return _streamed(generator, turns, deltas, Stops(stop or ()))


def _streamed(
    generator: TextGenerator, turns: list[Message], deltas: Iterator[Delta], stops: Stops
) -> Iterator[ChatGenerationChunk]:
    spent, finish = 0, "stop"
    try:
        for delta in deltas:
            spent += delta.tokens
            finish = delta.finish or finish
            text = stops.take(delta.text, last=delta.finish is not None)
            if text:
                yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            if stops.reached:
                finish = "stop"
                break
    finally:
        close = getattr(deltas, "close", None)
        if close is not None:
            close()
    read = generator.count_tokens(turns)
    usage = UsageMetadata(input_tokens=read, output_tokens=spent, total_tokens=read + spent)
    told = {"finish_reason": finish, "model_name": generator.name}
    yield ChatGenerationChunk(
        message=AIMessageChunk(
            content="", usage_metadata=usage, response_metadata=told, chunk_position="last"
        ),
        generation_info={"finish_reason": finish},
    )


def turns_of(messages: Sequence[BaseMessage]) -> list[Message]:
    """Return LangChain's messages as ours.

    Raises:
        ConfigError: one is neither rules, nor a question, nor an answer, or not text alone.
    """
    turns = []
    for message in messages:
        role = _ROLES.get(getattr(message, "role", message.type))
        if role is None or not _is_text(message.content):
            raise ConfigError(
                Text(
                    f"A message of type '{message.type}' is not text alone.",
                    f"“{message.type}”类型的消息不是纯文本。",
                ),
                hint=Text(
                    "Only system, human and AI messages with text can be sent.",
                    "只能发送含文本的 system、human 和 AI 消息。",
                ),
            )
        turns.append(Message(role, str(message.text)))
    return turns


def _is_text(content: Any) -> bool:
    if isinstance(content, str):
        return True
    return all(isinstance(part, str) or part.get("type") == "text" for part in content)


def _refuse_tools(kwargs: dict[str, Any]) -> None:
    if kwargs.get("tools") or kwargs.get("functions"):
        raise ConfigError(
            Text("This model calls no tools.", "此模型不调用工具。"),
            hint=Text("Leave out `tools`.", "请去掉 `tools`。"),
        )
