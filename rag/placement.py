"""Where a model's weights go, and in what precision: planned by one module, loaded by another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
