"""The memory that there is to plan with: this machine's as it was read, or another's."""

from __future__ import annotations

from dataclasses import dataclass

from rag.text.sizes import GIB
from rag.types.hardware import MemoryReading

IDLE_SHARE = 0.97
"""Of a card that is only named: what a driver without a desktop leaves free. An assumption; for
the machine at hand the free memory is read."""


RESERVE_BYTES, RESERVE_SHARE = 256 << 20, 0.03
"""Left free of each card: allocators hand out memory in blocks, and a desktop may want some."""


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card's memory. ``bandwidth`` is bytes a second; 0 = unknown."""

    name: str
    total_bytes: int
    free_bytes: int
    bandwidth: float = 0.0

    @classmethod
    def of_size(cls, gib: float, *, name: str = "", bandwidth: float = 0.0) -> Card:
        """Return an idle card of so many GiB."""
        total = round(gib * GIB)
        return cls(name or f"{gib:g} GB", total, round(IDLE_SHARE * total), bandwidth)


@dataclass(frozen=True, slots=True)
class Room:
    """Free memory: of the cards, in the order in which CUDA counts them, and of the computer."""

    ram_total_bytes: int
    ram_free_bytes: int
    cards: tuple[Card, ...] = ()


def reserve(total_bytes: int) -> int:
    """Return what is left free of a card of that size."""
    return max(RESERVE_BYTES, round(RESERVE_SHARE * total_bytes))


def room_of(reading: MemoryReading) -> Room:
    """Return what a reading leaves free; a card that does not tell its memory is left out."""
    cards = tuple(
        Card(gpu.name or f"GPU {gpu.index}", gpu.total_bytes or 0, gpu.free_bytes)
        for gpu in reading.gpus
        if gpu.free_bytes is not None
    )
    free = max(0, reading.ram_total_bytes - reading.ram_used_bytes)
    return Room(reading.ram_total_bytes, free, cards)
