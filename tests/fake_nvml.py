"""A scripted NVIDIA driver: behaves like the ``pynvml`` module with cards of one's choice."""
# ruff: noqa: N802 - the driver's own names

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

GIB = 1 << 30


class ScriptedError(Exception):
    """What every call of the scripted driver raises when it fails."""


@dataclass
class Card:
    """What one card tells. Everything may be changed while the program runs."""

    name: str = "NVIDIA GeForce RTX 4090"
    uuid: str = "GPU-0"
    total: int = 24 * GIB
    used: int = 10 * GIB
    own: int | None = None  # by this process
    percent: int = 87
    temperature: int = 63
    slowdown: int = 90
    milliwatts: int = 301_500
    limit: int = 450_000
    throttle: int = 0x1  # idle
    fan: int = 41
    millijoules: int = 5_000_000


class ScriptedDriver:
    """``lacks`` names fields that no card supports; ``cards`` may be a number of like ones."""

    NVMLError = ScriptedError

    def __init__(
        self,
        *,
        lacks: Sequence[str] = (),
        installed: bool = True,
        cards: int | Sequence[Card] = 1,
        lost: Sequence[int] = (),
    ) -> None:
        self.lacks = set(lacks)
        self.installed = installed
        self.cards = (
            [Card(uuid=f"GPU-{n}") for n in range(cards)] if isinstance(cards, int) else list(cards)
        )
        self.lost = set(lost)  # indices of cards that fell off the bus
        self.sessions = 0  # nvmlInit minus nvmlShutdown

    def nvmlInit(self) -> None:
        if not self.installed:
            raise ScriptedError("library not found")
        self.sessions += 1

    def nvmlShutdown(self) -> None:
        self.sessions -= 1
        self._answer("Shutdown", None)

    def nvmlDeviceGetCount(self) -> Any:
        return self._answer("Count", len(self.cards))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if index >= len(self.cards) or index in self.lost:
            raise ScriptedError("GPU is lost")
        return self._answer("Handle", self.cards[index])

    def nvmlDeviceGetName(self, card: Card) -> Any:
        return self._answer("Name", card.name)

    def nvmlDeviceGetUUID(self, card: Card) -> Any:
        return self._answer("UUID", card.uuid)

    def nvmlDeviceGetPciInfo(self, card: Card) -> Any:
        return self._answer("Bus", SimpleNamespace(busId=b"00000000:01:00.0"))

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:
        free = card.total - card.used
        return self._answer("Memory", SimpleNamespace(total=card.total, used=card.used, free=free))

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> Any:
        own = SimpleNamespace(pid=os.getpid(), usedGpuMemory=card.own)
        return self._answer("Processes", [SimpleNamespace(pid=1, usedGpuMemory=GIB), own])

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> Any:
        return self._answer("Load", SimpleNamespace(gpu=card.percent, memory=41))

    def nvmlDeviceGetTemperature(self, card: Card, sensor: int) -> Any:
        assert sensor == 0
        return self._answer("Temperature", card.temperature)

    def nvmlDeviceGetTemperatureThreshold(self, card: Card, kind: int) -> Any:
        assert kind == 1, "0 is the shutdown threshold"
        return self._answer("Slowdown", card.slowdown)

    def nvmlDeviceGetPowerUsage(self, card: Card) -> Any:
        return self._answer("Power", card.milliwatts)

    def nvmlDeviceGetEnforcedPowerLimit(self, card: Card) -> Any:
        return self._answer("Limit", card.limit)

    def nvmlDeviceGetPowerManagementLimitConstraints(self, card: Card) -> Any:
        return self._answer("Constraints", [150_000, 600_000])

    def nvmlDeviceGetClockInfo(self, card: Card, kind: int) -> Any:
        return self._answer("Clock", {0: 2520, 2: 10501}[kind])

    def nvmlDeviceGetMaxClockInfo(self, card: Card, kind: int) -> Any:
        return self._answer("MaxClock", {0: 3105}[kind])

    def nvmlDeviceGetCurrentClocksEventReasons(self, card: Card) -> Any:
        return self._answer("Reasons", card.throttle)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, card: Card) -> Any:
        return self._answer("OldReasons", card.throttle)

    def nvmlDeviceGetFanSpeed(self, card: Card) -> Any:
        return self._answer("Fan", card.fan)

    def nvmlDeviceGetTotalEnergyConsumption(self, card: Card) -> Any:
        return self._answer("Energy", card.millijoules)

    def _answer(self, call: str, value: Any) -> Any:
        if not self.installed or call in self.lacks:
            raise ScriptedError(f"{call}: not supported")
        return value
