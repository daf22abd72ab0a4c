"""Reads the machine: memory, load and heat, with NVML where there is an NVIDIA driver.

Nothing is raised, whatever the driver lacks; see ``rag.hardware.nvml``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psutil

from rag.hardware.memory import TorchAllocator, holders, own_first
from rag.hardware.nvml import NVML, Cards, cuda_present
from rag.types.hardware import GpuReading, Holder, MemoryReading

if TYPE_CHECKING:
    from rag.protocols import Allocator


__all__ = ["MachineReadings", "cuda_present"]
_NONE = GpuReading(0)


class MachineReadings:
    """Reads this machine and its cards. Safe to use from several threads."""

    def __init__(self, nvml: Any = NVML, allocator: Allocator | None = None) -> None:
        """``nvml`` is the ``pynvml`` module, or a script of it."""
        self._cards = Cards(nvml)
        self._allocator: Allocator = allocator or TorchAllocator()
        self._cpu = _CpuLoad()
        self._process = psutil.Process()

    def read(
        self,
        *,
        model_bytes: int | None = None,
        parts: Mapping[Holder, int] | None = None,
    ) -> MemoryReading:
        """Return the machine at this moment.

        ``model_bytes`` is what the language model holds on the GPU, as its engine counts it;
        ``parts`` is what the engines know of who holds it.
        """
        ram = psutil.virtual_memory()
        cards = self._cards.read()
        shares = self._allocator.shares() if cards else ()
        cards = own_first(cards, shares)
        gpu = cards[0] if cards else _NONE
        if parts is None:
            parts = {} if model_bytes is None else {"weights": model_bytes}
        return MemoryReading(
            process_bytes=self._process.memory_info().rss,
            ram_used_bytes=ram.total - ram.available,
            ram_total_bytes=ram.total,
            cpu_percent=self._cpu.read(),
            gpu_name=gpu.name,
            vram_used_bytes=gpu.used_bytes,
            vram_total_bytes=gpu.total_bytes,
            vram_model_bytes=model_bytes if cards else None,
            temperature_c=gpu.temperature_c,
            power_w=gpu.power_w,
            gpu_percent=gpu.percent,
            gpus=cards,
            held=holders(cards, shares, parts),
        )


class _CpuLoad:
    """Load of all cores since the previous reading.

    ``psutil.cpu_percent`` keeps its previous reading per thread, and would answer 0 to every
    new thread of a web server.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._before = _cpu_seconds()
        self._percent: float | None = None

    def read(self) -> float | None:
        """Return 0 to 100; ``None`` until the clock has moved since construction."""
        with self._guard:
            now = _cpu_seconds()
            busy, total = (new - old for new, old in zip(now, self._before, strict=True))
            if total > 0:
                self._percent = min(100.0, max(0.0, 100 * busy / total))
                self._before = now
            return self._percent


def _cpu_seconds() -> tuple[float, float]:
    """Return seconds that all cores together were busy, and seconds in all."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts guests' time in user time already: leaving it out avoids counting it twice
    total = sum(
        seconds for name, seconds in times._asdict().items() if name not in {"guest", "guest_nice"}
    )
    return total - idle, total
