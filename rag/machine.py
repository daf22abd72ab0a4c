"""The machine as it is read: memory, load and graphics card."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """The machine at one moment. ``None`` means: there is no such thing to read here."""

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
