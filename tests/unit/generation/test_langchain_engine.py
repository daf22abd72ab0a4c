"""A LangChain chat model as the one that answers: counting, stopping, failing."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from rag.errors import ModelError
from rag.generation.langchain import (
    TEMPLATE_TOKENS,
    TURN_TOKENS,
    LangChainGenerator,
    count_of,
    estimate,
)
from rag.types.answers import Delta, Message

ROOT = Path(__file__).parents[3]
ASK = [Message("user", "Who pays the heating costs?")]


class Scripted(BaseChatModel):
    """Streams the pieces it was given; one that is an error is raised."""

    pieces: list[Any]
    asked: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, messages: list[BaseMessage], *_: Any, **kwargs: Any) -> Iterator[Any]:
        self.asked.append((messages, kwargs))
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, threading.Event):
                piece.wait(10)
                continue
            chunk = piece if isinstance(piece, AIMessageChunk) else AIMessageChunk(content=piece)
            yield ChatGenerationChunk(message=chunk)


class Counting(Scripted):
    def get_num_tokens_from_messages(self, messages: Any, tools: Any = None) -> int:
        return sum(len(message.text.split()) for message in messages)


def stream(
    model: BaseChatModel,
    *,
    max_tokens: int = 50,
    cancelled: Callable[[], bool] = lambda: False,
    says_why: bool = False,
) -> list[Delta]:
    generator = LangChainGenerator(model, name="m", context_tokens=4096, says_why=says_why)
    try:
        return list(
            generator.stream(ASK, max_tokens=max_tokens, temperature=0.5, cancelled=cancelled)
        )
    finally:
        generator.close()


def test_the_model_is_told_how_long_and_how_freely_to_answer() -> None:
    model = Scripted(pieces=["a"], asked=[])
    stream(model, max_tokens=7)
    [(messages, kwargs)] = model.asked
    assert [message.text for message in messages] == [ASK[0].content]
    assert (kwargs["max_tokens"], kwargs["temperature"]) == (7, 0.5)


@pytest.mark.parametrize("key", ["finish_reason", "stop_reason", "done_reason"])
@pytest.mark.parametrize(
    ("said", "understood"),
    [("length", "length"), ("max_tokens", "length"), ("end_turn", "stop"), ("stop", "stop")],
)
def test_every_maker_s_word_for_the_end_is_understood(key: str, said: str, understood: str) -> None:
    last = AIMessageChunk(content="", response_metadata={key: said})
    assert stream(Scripted(pieces=["a", last]))[-1].finish == understood


def test_thoughts_are_never_shown_whether_inside_the_text_or_beside_it() -> None:
    beside = AIMessageChunk(content="", additional_kwargs={"reasoning_content": "Hm."})
    block = AIMessageChunk(content=[{"type": "reasoning", "reasoning": "Hm."}])
    inside = ["<th", "ink>Hm, page 3", ".</thi", "nk>\n\n", "On page 3."]
    deltas = stream(Scripted(pieces=[beside, block, *inside]))
    assert "".join(delta.text for delta in deltas) == "On page 3."


def test_a_model_that_goes_on_is_cut_at_the_limit() -> None:
    deltas = stream(Scripted(pieces=list("abcdefgh")), max_tokens=3)
    assert "".join(delta.text for delta in deltas) == "abc"
    assert deltas[-1].finish == "length"


def test_a_model_that_says_no_reason_ended_by_itself_unless_it_always_says_one() -> None:
    assert stream(Scripted(pieces=["a"]))[-1].finish == "stop"
    with pytest.raises(ModelError):
        stream(Scripted(pieces=["a"]), says_why=True)


def test_what_the_model_raises_arrives_after_what_it_had_said() -> None:
    generator = LangChainGenerator(
        Scripted(pieces=["one ", ValueError("wires are crossed")]), name="m", context_tokens=4096
    )
    answer = generator.stream(ASK, max_tokens=9, temperature=0, cancelled=lambda: False)
    assert next(answer).text == "one "
    with pytest.raises(ModelError, match="wires are crossed"):
        next(answer)
    generator.close()


def test_a_cancel_does_not_wait_for_a_model_that_says_nothing() -> None:
    silent = threading.Event()
    began = time.monotonic()
    deltas = stream(
        Scripted(pieces=[silent, "late"]), cancelled=lambda: time.monotonic() - began > 0.2
    )
    silent.set()
    assert deltas == [Delta("", 0, "cancelled")]
    assert time.monotonic() - began < 5


def test_closing_ends_the_answers_under_way() -> None:
    class Endless(Scripted):
        async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
            import asyncio

            while True:
                await asyncio.sleep(0.01)
                yield ChatGenerationChunk(message=AIMessageChunk(content="on "))

    generator = LangChainGenerator(Endless(pieces=[]), name="m", context_tokens=4096)
    answer = generator.stream(ASK, max_tokens=4000, temperature=0, cancelled=lambda: False)
    next(answer)
    generator.close()
    with pytest.raises(ModelError, match="unloaded"):
        list(answer)


def test_callbacks_of_the_program_around_do_not_hear_the_question() -> None:
    heard: list[Any] = []

    class Listener(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, **_: Any) -> None:
            heard.append(args)

    from langchain_core.runnables.config import set_config_context

    with set_config_context({"callbacks": [Listener()]}):
        stream(Scripted(pieces=["a"]))
    assert heard == []


# -- counting -----------------------------------------------------------------------------


def test_a_model_s_own_counting_is_used_and_langchain_s_fallback_is_not() -> None:
    turns = [{"role": "user", "content": "one two three"}]
    assert count_of(Counting(pieces=[]))(turns) == 3
    assert count_of(Scripted(pieces=[])) is estimate
    by_ids = Scripted(pieces=[], custom_get_token_ids=lambda text: list(range(len(text))))
    assert count_of(by_ids)(turns) == 13 + TURN_TOKENS + TEMPLATE_TOKENS


def test_an_estimate_counts_what_tokenizers_split_most() -> None:
    def bare(text: str) -> int:
        return estimate([{"role": "user", "content": text}]) - TURN_TOKENS - TEMPLATE_TOKENS

    assert bare("") == 0
    assert bare("1234567890") == 10
    assert bare("中文") == 6
    assert bare("NASA") == 4
    assert bare("heating costs") == 4 + 3
    assert bare("a\n\nb") == 4


@pytest.mark.model
@pytest.mark.parametrize("model", ["SmolLM2-135M-Instruct", "multilingual-e5-small"])
def test_an_estimate_is_never_below_what_real_tokenizers_make(
    model: str, model_path: Callable[[str], Path]
) -> None:
    from tokenizers import Tokenizer

    file = next(iter(sorted(model_path(model).rglob("tokenizer.json"))))
    tokenizer = Tokenizer.from_file(str(file))
    texts = [
        (ROOT / page).read_text("utf-8")
        for page in (
            "README.md",
            "docs/gpu.md",
            "tests/guide/guide_en.md",
            "tests/guide/guide_zh.md",
        )
    ]
    texts += ["NNEEBBRRAASSKKAA", "24.2 3.38 29.1 4.115 34", "x" * 99, "ﷺ" * 9, "🐼" * 9]
    texts += [bytes(range(32, 127)).decode() * 3, "aBcDeF" * 20, "0x3fA9" * 20]
    low = [
        text[:60]
        for text in texts
        if estimate([{"role": "user", "content": text}])
        < len(tokenizer.encode(text, add_special_tokens=True).ids)
    ]
    assert low == []
