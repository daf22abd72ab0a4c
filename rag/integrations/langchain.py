"""RAG Desk inside LangChain: its search as a retriever, its model as a chat model."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings, load_settings, setting_keys
from rag.errors import ConfigError
from rag.protocols import TextGenerator, never
from rag.system.environment import renaming_note
from rag.text.messages import Text
from rag.types.answers import Message, Passage, Role, SearchResult

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
        CallbackManagerForRetrieverRun,
    )

    from rag.storage.ledger import Ledger


class Stops:
    """Holds back as much text as might be the beginning of a stop word.

    >>> stops = Stops(["END"])
    >>> stops.take("one E"), stops.take("N"), stops.take("T E"), stops.take("ND two")
    ('one ', '', 'ENT ', '')
    >>> stops.reached
    True
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        self._held = ""
        self.reached = False

    def take(self, text: str, *, last: bool = False) -> str:
        """Return what may be shown; with ``last`` nothing is held back any longer."""
        if self.reached:
            return ""
        self._held += text
        found = [at for word in self._words if (at := self._held.find(word)) >= 0]
        if found:
            self.reached = True
            return self._held[: min(found)]
        cut = len(self._held) - (0 if last else self._doubtful())
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def _doubtful(self) -> int:
        """Return how many characters at the end could begin a stop word."""
        longest = max((len(word) for word in self._words), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(word.startswith(self._held[-length:]) for word in self._words):
                return length
        return 0


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
    ) -> Generator[ChatGenerationChunk]:
        """Yield the answer; the last chunk carries usage and the reason for the end."""
        _refuse_tools(kwargs)
        generator: TextGenerator = self.generator
        turns, stops = turns_of(messages), Stops(stop or ())
        deltas = generator.stream(
            turns,
            max_tokens=int(kwargs.get("max_tokens") or self.max_tokens),
            temperature=float(kwargs.get("temperature", self.temperature)),
            cancelled=cancelled,
        )
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
        yield _last_chunk(generator.name, generator.count_tokens(turns), spent, finish)


def _last_chunk(model: str, read: int, spent: int, finish: str) -> ChatGenerationChunk:
    usage = UsageMetadata(input_tokens=read, output_tokens=spent, total_tokens=read + spent)
    told = {"finish_reason": finish, "model_name": model}
    return ChatGenerationChunk(
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


Search = Callable[..., SearchResult]


class RagRetriever(BaseRetriever):
    """Finds passages by words and by meaning.

    ``page_content`` is a passage's text. ``metadata`` holds ``source`` (the path in the
    knowledge folder), ``file``, ``page`` and ``last_page`` (physical, from 1), ``label`` (as
    printed), ``heading``, ``boxes`` (in points from the top left of their page), ``score``,
    ``rank``, ``relevance`` (of the whole search, 0 to 1), ``document_id``, and ``start`` and
    ``end`` (characters of the document's text).
    """

    search: Search
    """``RagPipeline.search``, or anything that is called like it."""

    k: int = 5
    """How many passages at most."""

    documents: Sequence[str] | None = None
    """Only in documents of these ids; ``None`` for all."""

    min_relevance: float = 0.0
    """Return nothing where the search as a whole is less relevant than this."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        del run_manager
        found = self.search(query, k=kwargs.get("k", self.k), documents=self.documents)
        if found.relevance < self.min_relevance:
            return []
        return [
            document_of(passage, rank=rank, relevance=found.relevance)
            for rank, passage in enumerate(found.passages, start=1)
        ]


def document_of(passage: Passage, *, rank: int, relevance: float) -> Document:
    """Return a passage as LangChain carries it; its metadata can be written as JSON."""
    chunk = passage.chunk
    return Document(
        id=str(passage.id),
        page_content=chunk.text,
        metadata={
            "source": passage.path,
            "file": passage.document,
            "page": chunk.first_page,
            "last_page": chunk.last_page,
            "label": passage.label,
            "heading": chunk.heading,
            "boxes": [asdict(box) for box in passage.boxes],
            "score": passage.score,
            "rank": rank,
            "relevance": relevance,
            "document_id": chunk.document_id,
            "start": chunk.start,
            "end": chunk.end,
        },
    )


@dataclass
class OpenLibrary:
    """A library that is read, never written; the app may be open beside it."""

    container: Container
    ledger: Ledger
    _generator: TextGenerator | None = None

    def retriever(self, **options: Any) -> RagRetriever:
        """Return the search; ``options`` are fields of ``RagRetriever``, such as ``k``."""
        parts = wiring.question_parts(self.container, self.ledger, generator=lambda _: None)

        def search(question: str, **more: Any) -> SearchResult:
            return parts.pipeline.search(question, **more)

        return RagRetriever(search=search, **options)

    def chat_model(self, **options: Any) -> RagChatModel:
        """Return the model of the settings, loaded once; ``options`` as of ``RagChatModel``.

        Raises:
            RagError: it cannot be had.
        """
        self._generator = self._generator or self.container.generator()
        chosen = self.container.settings.generator
        usual = {"max_tokens": chosen.max_tokens, "temperature": chosen.temperature}
        return RagChatModel(generator=self._generator, **{**usual, **options})

    def close(self) -> None:
        """Unload the model and let go of the library."""
        if self._generator is not None:
            self._generator.close()
        self.container.close()
        self.ledger.close()


@contextmanager
def open_library(
    knowledge: str | Path | None = None, *, settings: Settings | None = None
) -> Iterator[OpenLibrary]:
    """Open the library of a folder that `rag sync` has read.

    ``settings`` are those of ``ragdesk.toml`` and the environment if left out; ``knowledge``
    names another folder.

    Raises:
        RagError: there is no library, or a setting is wrong.
    """
    if settings is None and (note := renaming_note(os.environ, setting_keys())):
        warnings.warn(note.en, FutureWarning, stacklevel=3)  # of this, of contextlib, of the caller
    chosen = settings or load_settings(None)
    if knowledge is not None:
        chosen = chosen.model_copy(update={"knowledge": Path(knowledge)})
    container = Container(chosen)
    library = OpenLibrary(container, container.ledger(read_only=True))
    try:
        yield library
    finally:
        library.close()
