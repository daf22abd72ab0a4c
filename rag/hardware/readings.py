"""Reads the machine: memory, load and heat; of NVIDIA's cards field by field.

Nothing is raised: a driver may lack any single call (laptop cards know no power, passively
cooled ones no fan), and may vanish while the program runs (update, suspend, eGPU unplugged).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from rag.hardware.memory import TorchAllocator, holders, own_first
from rag.types.hardware import GpuReading, Holder, MemoryReading

if TYPE_CHECKING:
    from rag.protocols import Allocator

NVML: Any
"""The library; ``None`` where the package is not installed, which is as without a card."""
try:
    NVML = import_module("pynvml")
except ModuleNotFoundError:
    NVML = None

T = TypeVar("T")

THROTTLE = {  # nvml.h, nvmlClocksEventReason*; an idle card is no news
    0x2: "clocks_set",
    0x4: "power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "power_brake",
    0x100: "display_clocks",
}
_SENSOR, _GRAPHICS, _MEMORY, _SLOWDOWN = 0, 0, 2, 1  # nvml.h
_NONE = GpuReading(0)


class MachineReadings:
    """Reads this machine and its cards. Safe to use from several threads."""

    def __init__(self, nvml: Any = NVML, allocator: Allocator | None = None) -> None:
        """``nvml`` is the ``pynvml`` module, or a script of it; ``None``: not installed."""
        self._cards = _Cards(nvml)
        self._allocator: Allocator = allocator or TorchAllocator()
        self._cpu = _CpuLoad()
        self._process = psutil.Process()

    def read(self, *, parts: Mapping[Holder, int] | None = None) -> MemoryReading:
        """Return the machine at this moment; ``parts`` is what the engines hold on cards."""
        ram = psutil.virtual_memory()
        cards = self._cards.read()
        shares = self._allocator.shares() if cards else ()
        cards = own_first(cards, shares)
        gpu = cards[0] if cards else _NONE
        parts = parts or {}
        return MemoryReading(
            process_bytes=self._process.memory_info().rss,
            ram_used_bytes=ram.total - ram.available,
            ram_total_bytes=ram.total,
            cpu_percent=self._cpu.read(),
            gpu_name=gpu.name,
            vram_used_bytes=gpu.used_bytes,
            vram_total_bytes=gpu.total_bytes,
            vram_model_bytes=parts.get("weights") if cards else None,
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


class _Cards:
    """The cards, found again whenever the driver comes back. Safe to use from several threads."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handles: list[Any] = []
        self._guard = threading.Lock()

    def read(self) -> tuple[GpuReading, ...]:
        """Return every card that answers, in the driver's order."""
        if self._nvml is None:
            return ()
        with self._guard:
            if not self._handles:
                self._handles = self._find()
            read = [_card(self._nvml, handle, i) for i, handle in enumerate(self._handles)]
            found = tuple(card for card in read if card != GpuReading(card.index))
            if self._handles and not found:  # not one call works: the driver is gone
                self._handles = []
                _attempt(self._nvml, self._nvml.nvmlShutdown)
            return found

    def _find(self) -> list[Any]:
        nvml = self._nvml
        if _attempt(nvml, lambda: nvml.nvmlInit() or True) is None:
            return []
        count = _attempt(nvml, nvml.nvmlDeviceGetCount) or 0
        found: list[Any] = [
            _attempt(nvml, partial(nvml.nvmlDeviceGetHandleByIndex, index))
            for index in range(count)
        ]
        if not any(handle is not None for handle in found):
            _attempt(nvml, nvml.nvmlShutdown)
            return []
        return found  # one that is lost keeps its place, so that the numbers stay


def _card(nvml: Any, handle: Any, index: int) -> GpuReading:
    """Read one card; ``handle`` is ``None`` for one that is lost."""
    if handle is None:
        return GpuReading(index)
    ask = partial(_ask, nvml, handle)
    memory, load = ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetUtilizationRates")
    range_ = ask("nvmlDeviceGetPowerManagementLimitConstraints")
    running: Sequence[Any] = ask("nvmlDeviceGetComputeRunningProcesses") or ()
    own = next((p for p in running if p.pid == os.getpid()), None)  # Windows does not tell
    reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
    if reasons is None:  # the name that drivers before 535 know
        reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
    return GpuReading(
        index=index,
        uuid=_text(ask("nvmlDeviceGetUUID")),
        bus_id=_text(getattr(ask("nvmlDeviceGetPciInfo"), "busId", None)),
        name=_text(ask("nvmlDeviceGetName")),
        used_bytes=_as(int, getattr(memory, "used", None)),
        total_bytes=_as(int, getattr(memory, "total", None)),
        own_bytes=_as(int, getattr(own, "usedGpuMemory", None)),
        percent=_as(float, getattr(load, "gpu", None)),
        temperature_c=_as(float, ask("nvmlDeviceGetTemperature", _SENSOR)),
        slowdown_c=_as(float, ask("nvmlDeviceGetTemperatureThreshold", _SLOWDOWN)),
        power_w=_thousandth(ask("nvmlDeviceGetPowerUsage")),
        power_limit_w=_thousandth(ask("nvmlDeviceGetEnforcedPowerLimit")),
        power_floor_w=_thousandth(range_[0] if range_ else None),
        clock_mhz=_as(int, ask("nvmlDeviceGetClockInfo", _GRAPHICS)),
        max_clock_mhz=_as(int, ask("nvmlDeviceGetMaxClockInfo", _GRAPHICS)),
        memory_clock_mhz=_as(int, ask("nvmlDeviceGetClockInfo", _MEMORY)),
        throttle=tuple(name for bit, name in THROTTLE.items() if reasons & bit),
        fan_percent=_as(float, ask("nvmlDeviceGetFanSpeed")),
        energy_j=_thousandth(ask("nvmlDeviceGetTotalEnergyConsumption")),
    )


def _ask(nvml: Any, handle: Any, name: str, *arguments: int) -> Any:
    call = getattr(nvml, name, None)  # an older library may lack it
    return None if call is None else _attempt(nvml, lambda: call(handle, *arguments))


def _attempt(nvml: Any, call: Callable[[], T]) -> T | None:
    try:
        return call()
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _as(kind: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else kind(value)


def _thousandth(value: Any) -> float | None:
    return None if value is None else value / 1000
