"""The machine as it is read, and where the weights of a model go on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Holder = Literal["weights", "kv", "embedder", "reranker", "cache", "context", "others"]
"""What fills a graphics card. ``kv``: keys, values and what is being computed. ``cache``: kept by
the allocator for the next tensor. ``context``: the driver's own, for this process."""


@dataclass(frozen=True, slots=True)
class Held:
    """How much of the graphics memory one holder has."""

    holder: Holder
    bytes: int


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One graphics card at one moment. ``None``: this card does not tell."""

    index: int  # the driver's, by place on the bus, as `nvidia-smi -i` counts; CUDA may differ
    uuid: str | None = None
    bus_id: str | None = None
    name: str | None = None
    used_bytes: int | None = None  # by every process
    total_bytes: int | None = None
    own_bytes: int | None = None  # by this process, the driver's context included
    percent: float | None = None
    temperature_c: float | None = None
    slowdown_c: float | None = None  # from here on the hardware slows itself down
    power_w: float | None = None
    power_limit_w: float | None = None
    power_floor_w: float | None = None  # the lowest limit that can be set
    clock_mhz: int | None = None
    max_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle: tuple[str, ...] = ()  # keys of ``rag.hardware.thermal.REASONS``
    fan_percent: float | None = None
    energy_j: float | None = None  # since the driver was loaded

    @property
    def free_bytes(self) -> int | None:
        """What no process holds."""
        if self.total_bytes is None or self.used_bytes is None:
            return None
        return max(0, self.total_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class Sample:
    """What is kept of a reading, once a second: the card's figures, or the computer's."""

    at: float  # seconds since 1970
    load: float | None  # percent
    used_bytes: int
    total_bytes: int
    process_bytes: int
    temperature_c: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    throttle: tuple[str, ...] = ()
    card: bool = False  # whether these are a card's


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """The machine at one moment. ``None`` means: there is no such thing to read here.

    The fields of one card are those of the card that this program computes on.
    """

    process_bytes: int
    ram_used_bytes: int
    ram_total_bytes: int
    cpu_percent: float | None = None
    gpu_name: str | None = None
    vram_used_bytes: int | None = None  # by every process
    vram_total_bytes: int | None = None
    vram_model_bytes: int | None = None  # by this process's model
    temperature_c: float | None = None
    power_w: float | None = None
    gpu_percent: float | None = None
    gpus: tuple[GpuReading, ...] = ()  # all cards; the one above stands first
    held: tuple[Held, ...] = ()  # of the cards that this program uses, in the order of ``Holder``


Precision = Literal["auto", "fp32", "fp16", "bf16", "int8", "nf4"]
"""Of the weights. ``auto`` is what the device computes best, without quantization."""
KvBits = Literal[8, 16]


@dataclass(frozen=True, slots=True)
class OnCards:
    """How llama.cpp divides a model: so many layers on each card, the rest in main memory."""

    layers: tuple[int, ...]
    whole: bool  # with all layers on cards, what is no layer goes there, too
    kv_bits: KvBits = 16
    saved_in: Path | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """A plan for one model on one machine.

    ``layers`` counts those that lie on each card; the rest waits in main memory. Empty:
    everything on one device. In ``saved_in`` weights that were quantized while they were loaded
    are kept for the next time; ``None``: nowhere.
    """

    precision: Precision
    context_tokens: int
    layers: tuple[int, ...] = ()
    kv_bits: KvBits = 16
    saved_in: Path | None = None
