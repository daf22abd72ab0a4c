"""RAG Desk inside LangChain: its retriever and its chat model."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from typer.testing import CliRunner

from rag.cli import app
from rag.config import load_settings
from rag.errors import ConfigError
from rag.generation.echo import EchoGenerator
from rag.generation.langchain import LangChainGenerator
from rag.integrations.langchain import OpenLibrary, RagChatModel, open_library, turns_of
from rag.types.answers import Delta, Message
from tests.pdfs import write_pdf

T = TypeVar("T")
ROOT = Path(__file__).parents[3]
SENTENCE = "The lessee pays the heating costs of the house."
ENVIRONMENT = {
    "RAGDESK_EMBEDDER__MODEL": "hashing",
    "RAGDESK_GENERATOR__ENGINE": "echo",
    "RAGDESK_INGEST__WORKERS": "1",
    "RAGDESK_INGEST__OCR": "off",
    "RAGDESK_RETRIEVE__INDEX": "numpy",
}
ASKED = [
    SystemMessage("Answer from the passages."),
    HumanMessage(f"[1] lease.pdf, page 1\n{SENTENCE}\n\nQuestion: Who pays?"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library in it."""
    knowledge = tmp_path_factory.mktemp("interop") / "knowledge"
    write_pdf(knowledge / "lease.pdf", ["About this house.", SENTENCE])
    write_pdf(knowledge / "cats.pdf", ["Cats sleep by day."])
    done = CliRunner().invoke(app, ["--knowledge", str(knowledge), "sync"], env=ENVIRONMENT)
    assert done.exit_code == 0, done.output
    return knowledge


@pytest.fixture
def library(folder: Path) -> Iterator[OpenLibrary]:
    with open_library(folder, settings=load_settings(None, ENVIRONMENT)) as opened:
        yield opened


def test_passages_come_as_documents_with_their_place(library: OpenLibrary) -> None:
    best, *rest = library.retriever(k=2).invoke("Who pays the heating costs?")
    assert SENTENCE in best.page_content
    place = best.metadata
    assert (place["file"], place["source"], place["rank"]) == ("lease.pdf", "lease.pdf", 1)
    assert place["page"] <= 2 <= place["last_page"]
    assert 0 <= place["relevance"] <= 1
    boxes = [box for box in place["boxes"] if box["page"] == 2]
    assert boxes
    assert all(box["x0"] < box["x1"] and box["y0"] < box["y1"] for box in boxes)
    assert json.loads(json.dumps(place)) == place
    assert len(rest) <= 1


def awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread: a browser of other tests may keep a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def test_the_retriever_can_be_awaited_and_narrowed(library: OpenLibrary) -> None:
    retriever = library.retriever(k=5)
    every = awaited(retriever.ainvoke("Cats sleep by day"))
    assert every[0].metadata["file"] == "cats.pdf"
    lease = next(d for d in every if d.metadata["file"] == "lease.pdf").metadata["document_id"]
    narrowed = library.retriever(documents=[lease]).invoke("Cats sleep by day")
    assert {found.metadata["file"] for found in narrowed} == {"lease.pdf"}
    assert library.retriever(min_relevance=1.1).invoke("Cats") == []


def test_the_chat_model_answers_in_every_way_that_langchain_asks(library: OpenLibrary) -> None:
    model = library.chat_model()
    whole = model.invoke(ASKED)
    assert whole.content == SENTENCE
    pieces = list(model.stream(ASKED))
    assert len([piece for piece in pieces if piece.content]) > 3

    async def both() -> tuple[AIMessage, list[AIMessageChunk]]:
        return await model.ainvoke(ASKED), [piece async for piece in model.astream(ASKED)]

    again, flowing = awaited(both())
    assert "".join(str(piece.content) for piece in pieces) == SENTENCE
    assert "".join(str(piece.content) for piece in flowing) == SENTENCE
    assert again.content == SENTENCE
    assert [answer.content for answer in model.batch([ASKED, ASKED])] == [SENTENCE] * 2


def test_tokens_are_counted_by_the_model_itself(library: OpenLibrary) -> None:
    model = library.chat_model()
    answer = model.invoke(ASKED)
    usage = answer.usage_metadata
    assert usage is not None
    assert usage["input_tokens"] == EchoGenerator().count_tokens(turns_of(ASKED))
    assert usage["output_tokens"] == len(SENTENCE.split())
    assert model.get_num_tokens_from_messages(ASKED) == usage["input_tokens"]
    assert model.get_num_tokens("three little words") == 3
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.response_metadata["model_name"] == "echo"


def test_an_answer_is_cut_by_length_and_by_stop_words(library: OpenLibrary) -> None:
    model = library.chat_model(max_tokens=3)
    cut = model.invoke(ASKED)
    assert cut.content == "The lessee pays"
    assert cut.response_metadata["finish_reason"] == "length"
    assert (
        library.chat_model().invoke(ASKED, stop=["heat", "zzz"]).content == "The lessee pays the "
    )
    assert model.bind(max_tokens=2).invoke(ASKED).content == "The lessee"


class Slow:
    """A generator that would go on for ever."""

    name = "slow"
    context_tokens = 4096

    def __init__(self) -> None:
        self.ended = threading.Event()

    def count_tokens(self, messages: Any) -> int:
        return 1

    def stream(self, messages: Any, *, cancelled: Any, **_: Any) -> Iterator[Delta]:
        try:
            while not cancelled():
                yield Delta("on ", 1)
            yield Delta("", 0, "cancelled")
        finally:
            self.ended.set()


def test_who_leaves_a_stream_stops_the_model() -> None:
    slow = Slow()
    stream = RagChatModel(generator=slow).stream(ASKED)
    assert next(stream).content == "on "
    stream.close()  # type: ignore[attr-defined] # it is a generator
    assert slow.ended.wait(5)


def test_a_cancelled_task_stops_the_model() -> None:
    slow = Slow()
    model = RagChatModel(generator=slow)

    async def asked() -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in model.astream(ASKED):
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    awaited(asked())
    assert slow.ended.wait(5)


def test_the_model_s_own_cancel_ends_an_answer() -> None:
    asked: list[bool] = []

    def after_three() -> bool:
        asked.append(True)
        return len(asked) > 3

    answer = RagChatModel(generator=Slow(), cancelled=after_three).invoke(ASKED)
    assert answer.content == "on on on "
    assert answer.response_metadata["finish_reason"] == "cancelled"


def test_what_is_not_text_is_refused_in_words() -> None:
    model = RagChatModel(generator=EchoGenerator())
    picture = HumanMessage([{"type": "image_url", "image_url": {"url": "data:,"}}])
    for messages in ([picture], [ToolMessage("4", tool_call_id="1")]):
        with pytest.raises(ConfigError, match="not text alone"):
            model.invoke(messages)
    with pytest.raises(ConfigError, match="no tools"):
        model.invoke(ASKED, tools=[{"type": "function"}])


def test_any_chat_model_of_langchain_answers_here() -> None:
    scripted = GenericFakeChatModel(messages=iter([AIMessage("The lessee pays.")]))
    generator = LangChainGenerator(scripted, name="scripted", context_tokens=4096)
    question = [Message("user", "Who pays?")]
    stream = generator.stream(question, max_tokens=50, temperature=0, cancelled=lambda: False)
    deltas = list(stream)
    generator.close()
    assert "".join(delta.text for delta in deltas) == "The lessee pays."
    assert deltas[-1].finish == "stop"


def test_both_sides_fit_each_other() -> None:
    ours = RagChatModel(generator=EchoGenerator())
    back = LangChainGenerator(ours, name="echo through LangChain", context_tokens=4096)
    turns = turns_of(ASKED)
    assert back.count_tokens(turns) == EchoGenerator().count_tokens(turns)
    deltas = list(back.stream(turns, max_tokens=50, temperature=0, cancelled=lambda: False))
    back.close()
    assert "".join(delta.text for delta in deltas) == SENTENCE
    assert sum(delta.tokens for delta in deltas) == len(SENTENCE.split())


EXAMPLE = (ROOT / "examples" / "langchain_chain.py").read_text("utf-8")


@pytest.mark.parametrize(
    "started",
    [
        *(pytest.param(usual, marks=pytest.mark.slow) for usual in ("file", "module", "command")),
        "typed in",
        "notebook",
    ],
)
def test_the_example_runs_however_it_is_started(folder: Path, tmp_path: Path, started: str) -> None:
    # nothing of it stands behind a guard: a worker that imported it would run it once more
    source = f"print('begun')\n{EXAMPLE}"
    (tmp_path / "example.py").write_text(source, "utf-8")
    cell = "__file__ = 'cell'; exec(compile(open({path!r}).read(), '<cell>', 'exec'))"
    started_as = {
        "file": [str(tmp_path / "example.py")],
        "module": ["-m", "example"],
        "command": ["-c", source],
        "typed in": ["-"],
        "notebook": ["-c", cell.format(path=str(tmp_path / "example.py"))],
    }
    done = subprocess.run(
        [sys.executable, *started_as[started]],
        cwd=folder.parent,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        input=source if started == "typed in" else "",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert SENTENCE in done.stdout
    assert done.stdout.count("begun") == 1
