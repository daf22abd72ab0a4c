"""Reads the machine: memory, load and heat, with NVML where there is an NVIDIA driver.

Nothing is raised: a driver may lack any single call (laptop cards know no power, passively
cooled ones no fan), and may vanish while the program runs (update, suspend, eGPU unplugged).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil
import pynvml

from rag.machine import MemoryReading

T = TypeVar("T")


def cuda_present(nvml: Any = pynvml) -> bool:
    """Return whether an NVIDIA driver with at least one GPU answers; loads no torch."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return False
    try:
        return bool(nvml.nvmlDeviceGetCount() > 0)
    except nvml.NVMLError:
        return False
    finally:
        _shut_down(nvml)


def _shut_down(nvml: Any) -> None:
    try:
        nvml.nvmlShutdown()
    except nvml.NVMLError:
        return  # the driver went away by itself


class MachineReadings:
    """Reads this machine and its first GPU. Safe to use from several threads."""

    def __init__(self, nvml: Any = pynvml) -> None:
        """``nvml`` is the ``pynvml`` module, or a script of it."""
        self._gpu = _Gpu(nvml)
        self._cpu = _CpuLoad()
        self._process = psutil.Process()

    def read(self, *, model_bytes: int | None = None) -> MemoryReading:
        """Return the machine at this moment.

        ``model_bytes`` is what the language model holds on the GPU, as its engine counts it.
        """
        ram = psutil.virtual_memory()
        gpu = self._gpu.read()
        return MemoryReading(
            process_bytes=self._process.memory_info().rss,
            ram_used_bytes=ram.total - ram.available,
            ram_total_bytes=ram.total,
            cpu_percent=self._cpu.read(),
            gpu_name=gpu.name,
            vram_used_bytes=gpu.used_bytes,
            vram_total_bytes=gpu.total_bytes,
            vram_model_bytes=model_bytes if gpu.present else None,
            temperature_c=gpu.temperature_c,
            power_w=gpu.power_w,
            gpu_percent=gpu.percent,
        )


@dataclass(frozen=True, slots=True)
class _GpuFields:
    name: str | None = None
    used_bytes: int | None = None
    total_bytes: int | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    percent: float | None = None

    @property
    def present(self) -> bool:
        return self != _GpuFields()


class _Gpu:
    """The first GPU, found again whenever the driver comes back."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handle: Any = None
        self._guard = threading.Lock()

    def read(self) -> _GpuFields:
        with self._guard:
            if self._handle is None:
                self._handle = self._find()
            if self._handle is None:
                return _GpuFields()
            fields = self._fields(self._handle)
            if not fields.present:  # not one call works: the driver is gone
                self._handle = None
                _shut_down(self._nvml)
            return fields

    def _find(self) -> Any:
        if self._try(lambda: self._nvml.nvmlInit() or True) is None:
            return None
        handle = self._try(lambda: self._nvml.nvmlDeviceGetHandleByIndex(0))
        if handle is None:
            _shut_down(self._nvml)
        return handle

    def _fields(self, handle: Any) -> _GpuFields:
        nvml = self._nvml
        memory = self._try(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        load = self._try(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        heat = self._try(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        milliwatts = self._try(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        return _GpuFields(
            name=self._try(lambda: nvml.nvmlDeviceGetName(handle)),
            used_bytes=None if memory is None else int(memory.used),
            total_bytes=None if memory is None else int(memory.total),
            temperature_c=None if heat is None else float(heat),
            power_w=None if milliwatts is None else milliwatts / 1000,
            percent=None if load is None else float(load.gpu),
        )

    def _try(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except self._nvml.NVMLError:
            return None


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
