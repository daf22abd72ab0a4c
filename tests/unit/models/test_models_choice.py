"""Which model a machine gets by itself, which one it is offered, and whether a model fits it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.config import GeneratorSettings, Settings
from rag.models.catalogue import load_catalogue
from rag.models.planning.subjects import (
    CARD_GENERATORS,
    CPU_GENERATOR,
    RAM_GENERATORS,
    SMALL_GENERATOR,
    better_generators,
    default_generator,
    fits,
    needs_bytes,
    offer,
    offer_words,
)
from rag.models.store import ModelStore
from rag.types.hardware import MemoryReading

GB = 1 << 30


def machine(ram: float, *, vram: float | None = None, used: float = 0) -> MemoryReading:
    card = None if vram is None else round(vram * GB)
    taken = None if vram is None else round(used * GB)
    return MemoryReading(0, 0, round(ram * GB), vram_used_bytes=taken, vram_total_bytes=card)


def here(*names: str) -> Callable[[str], bool]:
    return lambda name: name in names


@pytest.mark.parametrize(
    ("ram", "embedded"), [(32, CPU_GENERATOR), (4, CPU_GENERATOR), (3.9, SMALL_GENERATOR)]
)
@pytest.mark.parametrize("vram", [None, 2, 8, 24])
def test_the_first_start_fetches_nothing_but_the_small_model(
    ram: float, embedded: str, vram: float | None
) -> None:
    assert default_generator(machine(ram, vram=vram), here()) == embedded


@pytest.mark.parametrize(
    ("memory", "best"),
    [
        (machine(4), None),
        (machine(7.4), "Qwen3-4B-Q4_K_M"),
        (machine(15.2), "Qwen3-8B-Q4_K_M"),
        (machine(31), "Qwen3-8B-Q4_K_M"),
        (machine(16, vram=2), "Qwen3-8B-Q4_K_M"),
        (machine(16, vram=6, used=0.3), "Qwen3-4B"),
        (machine(16, vram=8, used=0.3), "Qwen3-8B"),
        (machine(32, vram=12, used=0.3), "Qwen3-8B"),
        (machine(32, vram=16, used=0.3), "Qwen3-14B"),
        (machine(32, vram=24, used=0.3), "Qwen3-14B"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_best_that_fits_answers_once_it_is_here(
    memory: MemoryReading, best: str | None
) -> None:
    better = better_generators(memory)
    assert next(iter(better), None) == best
    if best is not None:
        assert default_generator(memory, here(best)) == best
        assert default_generator(memory, here(*better)) == best
    assert default_generator(memory, here("Llama-2-13b-chat")) == CPU_GENERATOR


def test_what_others_hold_of_a_card_does_not_count() -> None:
    alone, busy = machine(16, vram=8), machine(16, vram=11, used=3)
    assert better_generators(busy) == better_generators(alone)
    assert better_generators(alone)[0] == "Qwen3-8B"


def test_what_an_earlier_default_fetched_goes_on_answering() -> None:
    memory = machine(16, vram=8, used=0.3)
    assert default_generator(memory, here("Qwen2.5-7B-Instruct")) == "Qwen2.5-7B-Instruct"


def test_the_better_models_fit_into_the_memory_that_they_are_offered_for() -> None:
    catalogue = load_catalogue()
    for name, least in CARD_GENERATORS.items():
        assert needs_bytes(catalogue.get(name)) <= least
    for name, least in RAM_GENERATORS.items():
        assert needs_bytes(catalogue.get(name)) <= least / 2  # the other half is everybody else's
    for name in (*CARD_GENERATORS, *RAM_GENERATORS):
        assert not catalogue.get(name).gated
        assert catalogue.get(name).licence == "Apache-2.0"
        assert "zh" in catalogue.get(name).languages


# ---- the offer ------------------------------------------------------------------------------


def store(folder: Path, **options: object) -> ModelStore:
    return ModelStore(folder, **options)  # type: ignore[arg-type]


def test_a_better_model_is_offered_with_its_size_and_its_command(tmp_path: Path) -> None:
    found = offer(Settings(), store(tmp_path), machine(16))
    assert found is not None
    words = offer_words(found)
    for said in (words.en, words.zh):
        assert "rag models pull Qwen3-8B-Q4_K_M" in said
        assert "5.03 GB" in said


@pytest.mark.parametrize(
    "chosen",
    [
        GeneratorSettings(model="Llama-2-13b-chat"),
        GeneratorSettings(engine="echo"),
        GeneratorSettings(url="http://127.0.0.1:8000/v1"),
    ],
    ids=["a model", "an engine", "a server"],
)
def test_who_chose_is_offered_nothing(tmp_path: Path, chosen: GeneratorSettings) -> None:
    assert offer(Settings(generator=chosen), store(tmp_path), machine(16)) is None


def test_what_cannot_be_fetched_is_not_offered(tmp_path: Path) -> None:
    assert offer(Settings(), store(tmp_path, offline=True), machine(16)) is None
    assert offer(Settings(), store(tmp_path, sources=("folder", "wheels")), machine(16)) is None
    assert offer(Settings(), store(tmp_path), machine(4)) is None


def test_a_13b_model_in_4_bit_fits_a_24_gb_card_but_no_computer_without_one() -> None:
    llama = load_catalogue().get("Llama-2-13b-chat")
    assert fits(llama, machine(16, vram=24))
    assert not fits(llama, machine(16, vram=8))
    assert not fits(llama, machine(1024))
