"""All graphics cards of NVIDIA's driver, read field by field.

Nothing is raised: a driver may lack any single call (laptop cards know no power, passively
cooled ones no fan), and may vanish while the program runs (update, suspend, eGPU unplugged).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from rag.types.hardware import GpuReading

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


def cuda_present(nvml: Any = NVML) -> bool:
    """Return whether an NVIDIA driver with at least one GPU answers; loads no torch."""
    if nvml is None:
        return False
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


class Cards:
    """The cards, found again whenever the driver comes back. Safe to use from several threads."""

    def __init__(self, nvml: Any = NVML) -> None:
        """``nvml`` is the ``pynvml`` module, or a script of it; ``None``: not installed."""
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
            read = [_Card(self._nvml, handle).read(i) for i, handle in enumerate(self._handles)]
            found = tuple(card for card in read if card != GpuReading(card.index))
            if self._handles and not found:  # not one call works: the driver is gone
                self._handles = []
                _shut_down(self._nvml)
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
            _shut_down(nvml)
            return []
        return found  # one that is lost keeps its place, so that the numbers stay


class _Card:
    """Reads one card."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def read(self, index: int) -> GpuReading:
        if self._handle is None:
            return GpuReading(index)
        memory = self._ask("nvmlDeviceGetMemoryInfo")
        load = self._ask("nvmlDeviceGetUtilizationRates")
        bus = self._ask("nvmlDeviceGetPciInfo")
        range_ = self._ask("nvmlDeviceGetPowerManagementLimitConstraints")
        return GpuReading(
            index=index,
            uuid=_text(self._ask("nvmlDeviceGetUUID")),
            bus_id=_text(getattr(bus, "busId", None)),
            name=_text(self._ask("nvmlDeviceGetName")),
            used_bytes=_whole(getattr(memory, "used", None)),
            total_bytes=_whole(getattr(memory, "total", None)),
            own_bytes=self._own(),
            percent=_number(getattr(load, "gpu", None)),
            temperature_c=_number(self._ask("nvmlDeviceGetTemperature", _SENSOR)),
            slowdown_c=_number(self._ask("nvmlDeviceGetTemperatureThreshold", _SLOWDOWN)),
            power_w=_thousandth(self._ask("nvmlDeviceGetPowerUsage")),
            power_limit_w=_thousandth(self._ask("nvmlDeviceGetEnforcedPowerLimit")),
            power_floor_w=_thousandth(range_[0] if range_ else None),
            clock_mhz=_whole(self._ask("nvmlDeviceGetClockInfo", _GRAPHICS)),
            max_clock_mhz=_whole(self._ask("nvmlDeviceGetMaxClockInfo", _GRAPHICS)),
            memory_clock_mhz=_whole(self._ask("nvmlDeviceGetClockInfo", _MEMORY)),
            throttle=self._throttle(),
            fan_percent=_number(self._ask("nvmlDeviceGetFanSpeed")),
            energy_j=_thousandth(self._ask("nvmlDeviceGetTotalEnergyConsumption")),
        )

    def _throttle(self) -> tuple[str, ...]:
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # the name that drivers before 535 know
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return tuple(name for bit, name in THROTTLE.items() if bits & bit)

    def _own(self) -> int | None:
        """Return what this process holds; Windows does not tell."""
        running: Sequence[Any] = self._ask("nvmlDeviceGetComputeRunningProcesses") or ()
        own = next((p for p in running if p.pid == os.getpid()), None)
        return _whole(getattr(own, "usedGpuMemory", None))

    def _ask(self, name: str, *arguments: int) -> Any:
        call = getattr(self._nvml, name, None)
        if call is None:  # an older library
            return None
        return _attempt(self._nvml, lambda: call(self._handle, *arguments))


def _attempt(nvml: Any, call: Callable[[], T]) -> T | None:
    try:
        return call()
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _thousandth(value: Any) -> float | None:
    return None if value is None else value / 1000
