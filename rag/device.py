"""Seams towards the device that models run on, beside those of ``rag.protocols``.

All of them are optional: an engine that cannot do a thing lacks the method, or says no.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rag.types.hardware import Holder, MemoryReading


@dataclass(frozen=True, slots=True)
class Share:
    """What this process's allocator holds on one card."""

    uuid: str  # as the driver writes it, "GPU-…"; "" where it is not known
    allocated_bytes: int  # by tensors
    reserved_bytes: int  # from the driver; what is not allocated is kept for the next tensor


class Allocator(Protocol):
    """The memory of the cards, as this process divides it."""

    def shares(self) -> Sequence[Share]:
        """Return what is held, in CUDA's order; nothing without a card in use."""
        ...

    def empty(self) -> None:
        """Give back what is kept for the next tensor."""
        ...


@runtime_checkable
class HoldsParts(Protocol):
    """An engine that knows what fills the memory it holds."""

    def memory_parts(self) -> Mapping[Holder, int]:
        """Return bytes on the device by holder; empty on the CPU."""
        ...


@runtime_checkable
class Movable(Protocol):
    """An embedder or reranker that can leave the card, and come back."""

    def to_cpu(self) -> bool:
        """Leave the card; false if it was not there."""
        ...

    def to_device(self) -> None:
        """Come back."""
        ...


@runtime_checkable
class SmallCache(Protocol):
    """A language model that can keep keys and values in 8 bits."""

    def shrink_cache(self, *, small: bool) -> bool:
        """Use 8 bits, or the full type again, from the next answer on; false: it cannot."""
        ...


class GpuReadings(Protocol):
    """Reads the machine. Every field that cannot be read is ``None``; nothing is raised."""

    def read(
        self, *, model_bytes: int | None = None, parts: Mapping[Holder, int] | None = None
    ) -> MemoryReading:
        """Return the machine at this moment; ``parts`` is what the engines hold on cards."""
        ...


def parts_of(engines: Iterable[object]) -> dict[Holder, int]:
    """Return what engines hold on cards, added up by holder."""
    found: dict[Holder, int] = {}
    for engine in engines:
        if isinstance(engine, HoldsParts):
            for holder, count in engine.memory_parts().items():
                found[holder] = found.get(holder, 0) + count
    return found
