"""Which model a machine gets by itself, and whether a model fits it."""

from __future__ import annotations

import pytest

from rag.models.catalogue import load_catalogue
from rag.models.planning.subjects import (
    CPU_GENERATOR,
    GPU_GENERATOR,
    SMALL_GENERATOR,
    default_generator,
    fits,
    needs_bytes,
)
from rag.types.hardware import MemoryReading

GB = 1 << 30


def machine(ram: int, *, vram: int | None = None, used: int | None = None) -> MemoryReading:
    return MemoryReading(0, 0, ram, vram_used_bytes=used, vram_total_bytes=vram)


@pytest.mark.parametrize(
    ("free_vram", "ram", "wanted"),
    [
        (None, 16 * GB, CPU_GENERATOR),
        (None, 4 * GB, CPU_GENERATOR),
        (None, 4 * GB - 1, SMALL_GENERATOR),
        (2 * GB, 16 * GB, CPU_GENERATOR),
        (2 * GB, 2 * GB, SMALL_GENERATOR),
        (8_000_000_000, 16 * GB, GPU_GENERATOR),
        (24 * GB, 64 * GB, GPU_GENERATOR),
    ],
)
def test_the_default_follows_the_machine(free_vram: int | None, ram: int, wanted: str) -> None:
    assert default_generator(machine(ram, vram=free_vram)) == wanted
    if free_vram is not None:  # what others hold of a card does not count
        busy = machine(ram, vram=free_vram + 3 * GB, used=3 * GB)
        assert default_generator(busy) == wanted


def test_the_model_for_a_card_fits_into_what_the_choice_asks_for() -> None:
    from rag.models.planning.subjects import GPU_BYTES

    assert needs_bytes(load_catalogue().get(GPU_GENERATOR)) <= GPU_BYTES


def test_a_13b_model_in_4_bit_fits_a_24_gb_card_but_no_computer_without_one() -> None:
    llama = load_catalogue().get("Llama-2-13b-chat")
    assert fits(llama, machine(16 * GB, vram=24 * GB))
    assert not fits(llama, machine(16 * GB, vram=8 * GB))
    assert not fits(llama, machine(1024 * GB))
