"""Before a question is sent, what it takes is known: tokens, memory, and whether that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rag.app.app import AppState
from rag.app.container import Container
from rag.app.questions import Forecast, Forecaster
from rag.config import GeneratorSettings, ModelSettings, Settings
from rag.generation.echo import EchoGenerator
from rag.text.messages import Language
from rag.text.sizes import GIB
from rag.types.answers import Usage
from rag.types.hardware import GpuReading, MemoryReading
from tests.fakes import NO_GPU
from ui.views.machine import strip_html

LLAMA = "Llama-2-13b-chat"


class Scripted(Container):
    """A container on a machine with one card, as full as is said."""

    used = 0.5

    def readings(self):
        return self

    def read(self, **_: object) -> MemoryReading:
        used, total = round(self.used * GIB), 24 * GIB
        gpu = GpuReading(0, name="Card", used_bytes=used, total_bytes=total)
        return MemoryReading(0, 0, 32 * GIB, vram_used_bytes=used, vram_total_bytes=total,
                             gpus=(gpu,))  # fmt: skip


@pytest.fixture
def container(tmp_path: Path) -> Scripted:
    return Scripted(
        Settings(
            models=ModelSettings(folder=tmp_path, sources=("folder",)),
            generator=GeneratorSettings(model=LLAMA),
        )
    )


def forecast(container: Scripted, *, prompt_tokens: int = 0) -> Forecast:
    last = Usage(prompt_tokens=prompt_tokens) if prompt_tokens else None
    found = Forecaster(container.settings, container.plans).next_question(
        EchoGenerator(), container.read(), last
    )
    assert found is not None
    return found


def test_a_question_takes_its_passages_and_the_keys_and_values_of_all_its_tokens(
    container: Scripted,
) -> None:
    container.plans.options(LLAMA, "transformers")
    found = forecast(container)
    assert found.tokens > container.settings.retrieve.k * container.settings.chunk.tokens
    tokens = found.tokens + container.settings.generator.max_tokens
    assert found.bytes == pytest.approx(tokens * 819_200, rel=0.3)
    assert found.fits


def test_a_card_that_others_have_filled_meanwhile_has_no_room(container: Scripted) -> None:
    container.plans.options(LLAMA, "transformers")
    container.used = 22.5
    assert not forecast(container).fits


def test_a_chat_that_goes_on_takes_what_its_last_question_took(container: Scripted) -> None:
    container.plans.options(LLAMA, "transformers")
    assert forecast(container, prompt_tokens=3000).tokens == 3000
    assert forecast(container, prompt_tokens=9000).tokens == 4096 - 512  # the window cuts it


def test_llama_cpp_has_taken_its_room_already(container: Scripted) -> None:
    container.plans.options("Qwen2.5-Coder-1.5B-Instruct-Q4_K_M", "llamacpp")
    assert (forecast(container).bytes, forecast(container).fits) == (0, True)


def test_without_a_model_there_is_nothing_to_say(container: Scripted) -> None:
    assert (
        Forecaster(container.settings, container.plans).next_question(None, container.read(), None)
        is None
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_strip_says_it_in_a_few_words(language: Language) -> None:
    state = AppState("ready", "M", None, None, None, None, 1, NO_GPU, None)
    fitting = Forecast(tokens=3123, window=4096, bytes=round(2.4 * GIB), fits=True)
    shown = strip_html(replace(state, forecast=fitting), language)
    for part in ("3,100", "+2.4 GiB", "4,096"):
        assert part in shown
    full = strip_html(replace(state, forecast=replace(fitting, fits=False)), language)
    assert ("not enough memory" if language == "en" else "内存不足") in full
    assert "3,100" not in strip_html(state, language)
