"""The OpenVINO engine beside its contract: what it refuses, what it keeps, what it tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.errors import ModelError, ModelMissing
from rag.generation.openvino import PIECE_TOKENS, OpenVinoGenerator, _Past
from rag.generation.openvino_copy import copy_of, has_copy
from rag.types.answers import Delta, Message
from tests.tiny_models import llama_gguf


def never() -> bool:
    return False


def load(path: Path) -> OpenVinoGenerator:
    return OpenVinoGenerator.load(path, name=path.stem, context_tokens=1024, threads=1)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"nowhere\.gguf"):
        load(tmp_path / "nowhere.gguf")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, share: float) -> None:
    path = llama_gguf(tmp_path / "cut.gguf")
    path.write_bytes(path.read_bytes()[: round(share * path.stat().st_size)])
    with pytest.raises(ModelError, match=r"cut\.gguf cannot be loaded: the file is damaged"):
        load(path)


def test_a_vocabulary_that_it_cannot_read_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    path = llama_gguf(tmp_path / "sentencepiece.gguf")
    with pytest.raises(ModelError, match="vocabulary") as refused:
        load(path)
    assert refused.value.hint is not None
    assert "llamacpp" in refused.value.hint.en
    assert not copy_of(path).exists()


def test_what_the_library_itself_refuses_is_said_with_the_file(tmp_path: Path) -> None:
    path = llama_gguf(tmp_path / "odd.gguf", tokenizer="gpt2")  # without what byte pairs need
    with pytest.raises(ModelError, match=r"odd\.gguf cannot be loaded: OpenVINO says"):
        load(path)
    assert not copy_of(path).parent.exists()


def test_only_whole_pieces_of_a_prompt_are_known() -> None:
    past = _Past(10 * PIECE_TOKENS)
    read = list(range(2 * PIECE_TOKENS + 5))
    past.add(read)
    assert past.known(read) == 2 * PIECE_TOKENS
    assert past.known([*read[: PIECE_TOKENS + 1], -1]) == PIECE_TOKENS
    assert past.known([-1, *read]) == 0


def test_what_the_cache_has_no_room_for_is_taken_to_be_gone() -> None:
    past = _Past(5 * PIECE_TOKENS)
    prompts = [[number] * 2 * PIECE_TOKENS for number in range(4)]
    for prompt in prompts:
        past.add(prompt)
    assert [past.known(prompt) > 0 for prompt in prompts] == [False, False, True, True]


# ---- with a real model --------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory, model_path: Callable[[str], Path]) -> Path:
    link = tmp_path_factory.mktemp("openvino") / "smollm2.gguf"
    link.symlink_to(model_path("SmolLM2-135M-Instruct-Q4_1"))
    return link


@pytest.fixture(scope="module")
def generator(smollm2: Path) -> Iterator[OpenVinoGenerator]:
    loaded = load(smollm2)
    yield loaded
    loaded.close()


def long(colour: str) -> list[Message]:
    return [Message("user", f"{colour} is the sky. " * 50)]


def ask(
    generator: OpenVinoGenerator, messages: list[Message], cancelled: Callable[[], bool] = never
) -> list[Delta]:
    return list(generator.stream(messages, max_tokens=3, temperature=0, cancelled=cancelled))


@pytest.mark.model
def test_how_far_the_prompt_is_read_is_told_until_the_first_token(
    generator: OpenVinoGenerator,
) -> None:
    deltas = ask(generator, long("Green"))
    told = [d.prompt_read for d in deltas if d.prompt_read is not None]
    assert len(told) >= generator.count_tokens(long("Green")) // PIECE_TOKENS
    assert told == sorted(told)
    assert told[-1] == 1.0
    spoken = next(i for i, d in enumerate(deltas) if d.tokens)
    assert all(d.prompt_read is None for d in deltas[spoken:])


@pytest.mark.model
def test_what_was_read_ahead_is_not_read_again(generator: OpenVinoGenerator) -> None:
    generator.prepare(long("Red"), cancelled=never)
    assert [d.prompt_read for d in ask(generator, long("Red")) if d.prompt_read] == [1.0]


@pytest.mark.model
def test_a_cancel_is_heard_between_two_pieces_of_a_prompt(generator: OpenVinoGenerator) -> None:
    asked: list[int] = []

    def soon() -> bool:
        asked.append(1)
        return len(asked) > 4

    deltas = ask(generator, long("Blue"), soon)
    assert deltas[-1] == Delta("", 0, "cancelled")
    assert 0 < len(deltas) < generator.count_tokens(long("Blue")) // PIECE_TOKENS


@pytest.mark.model
def test_other_threads_go_on_while_a_prompt_is_read(generator: OpenVinoGenerator) -> None:
    turns: list[float] = []
    over = threading.Event()

    def screen() -> None:
        while not over.wait(0.002):
            turns.append(time.monotonic())

    watch = threading.Thread(target=screen)
    watch.start()
    deltas = ask(generator, long("Yellow"))
    over.set()
    watch.join()
    assert len(turns) > 2 * len(deltas)  # the library's ``step`` would let it in once for each


@pytest.mark.model
def test_a_copy_is_kept_and_a_damaged_one_is_made_anew(
    generator: OpenVinoGenerator, smollm2: Path
) -> None:
    assert has_copy(smollm2)
    model = copy_of(smollm2) / "openvino_model.xml"
    model.write_bytes(b"?" * model.stat().st_size)
    again = load(smollm2)
    assert sum(delta.tokens for delta in ask(again, [Message("user", "Hello")])) == 3
    again.close()
    assert has_copy(smollm2)
    assert model.read_bytes()[:1] == b"<"


@pytest.mark.model
def test_a_closed_model_says_so(smollm2: Path) -> None:
    closed = load(smollm2)
    closed.close()
    with pytest.raises(ModelError, match="unloaded"):
        closed.count_tokens([Message("user", "Hello")])
    with pytest.raises(ModelError, match="unloaded"):
        ask(closed, [Message("user", "Hello")])
