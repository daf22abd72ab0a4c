"""The machine's readings, with a scripted driver in place of NVIDIA's."""
# ruff: noqa: N802 - the driver's own names

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from rag.gpu.readings import MachineReadings, cuda_present
from rag.machine import MemoryReading

GIB = 1 << 30


class ScriptedError(Exception):
    """What every call of the scripted driver raises when it fails."""


class ScriptedDriver:
    """Behaves like the ``pynvml`` module with one 24 GB card."""

    NVMLError = ScriptedError
    NVML_TEMPERATURE_GPU = 0

    def __init__(
        self, *, lacks: Sequence[str] = (), installed: bool = True, cards: int = 1
    ) -> None:
        self.lacks = set(lacks)
        self.installed = installed
        self.cards = cards
        self.sessions = 0  # nvmlInit minus nvmlShutdown

    def nvmlInit(self) -> None:
        if not self.installed:
            raise ScriptedError("library not found")
        self.sessions += 1

    def nvmlShutdown(self) -> None:
        self.sessions -= 1
        self._answer("Shutdown", None)

    def nvmlDeviceGetCount(self) -> Any:
        return self._answer("Count", self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if index >= self.cards:
            raise ScriptedError("invalid argument")
        return self._answer("Handle", f"card {index}")

    def nvmlDeviceGetName(self, handle: str) -> Any:
        assert handle == "card 0"
        return self._answer("Name", "NVIDIA GeForce RTX 4090")

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return self._answer("Memory", SimpleNamespace(total=24 * GIB, used=10 * GIB, free=14 * GIB))

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return self._answer("Load", SimpleNamespace(gpu=87, memory=41))

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> Any:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._answer("Temperature", 63)

    def nvmlDeviceGetPowerUsage(self, handle: str) -> Any:
        return self._answer("Power", 301_500)

    def _answer(self, call: str, value: Any) -> Any:
        if not self.installed or call in self.lacks:
            raise ScriptedError(f"{call}: not supported")
        return value


def gpu_fields(reading: MemoryReading) -> tuple[object, ...]:
    return (
        reading.gpu_name,
        reading.vram_used_bytes,
        reading.vram_total_bytes,
        reading.temperature_c,
        reading.power_w,
        reading.gpu_percent,
    )


def test_a_card_is_read_in_bytes_degrees_watts_and_percent() -> None:
    reading = MachineReadings(ScriptedDriver()).read(model_bytes=8 * GIB)
    assert gpu_fields(reading) == (
        "NVIDIA GeForce RTX 4090",
        10 * GIB,
        24 * GIB,
        63.0,
        301.5,
        87.0,
    )
    assert reading.vram_model_bytes == 8 * GIB


@pytest.mark.parametrize(
    ("call", "position"), [("Name", 0), ("Temperature", 3), ("Power", 4), ("Load", 5)]
)
def test_a_call_the_card_does_not_support_leaves_only_its_field_empty(
    call: str, position: int
) -> None:
    fields = gpu_fields(MachineReadings(ScriptedDriver(lacks=[call])).read())
    assert [index for index, value in enumerate(fields) if value is None] == [position]


def test_a_card_that_tells_no_memory_still_tells_the_rest() -> None:
    fields = gpu_fields(MachineReadings(ScriptedDriver(lacks=["Memory"])).read())
    assert fields[1:3] == (None, None)
    assert None not in (fields[0], *fields[3:])


@pytest.mark.parametrize(
    "driver",
    [ScriptedDriver(installed=False), ScriptedDriver(cards=0), ScriptedDriver(lacks=["Handle"])],
    ids=["no driver", "no card", "card lost"],
)
def test_without_a_card_every_gpu_field_is_none_and_nothing_is_raised(
    driver: ScriptedDriver,
) -> None:
    reading = MachineReadings(driver).read(model_bytes=5)
    assert gpu_fields(reading) == (None,) * 6
    assert reading.vram_model_bytes is None
    assert driver.sessions == 0


def test_a_driver_that_vanishes_and_comes_back_is_followed() -> None:
    driver = ScriptedDriver()
    readings = MachineReadings(driver)
    assert readings.read().gpu_name
    driver.installed = False
    assert gpu_fields(readings.read()) == (None,) * 6
    assert gpu_fields(readings.read()) == (None,) * 6
    driver.installed = True
    assert readings.read().gpu_percent == 87.0
    assert driver.sessions == 1


def test_the_real_driver_or_its_absence_is_no_error() -> None:
    reading = MachineReadings().read()
    assert (reading.gpu_name is None) == (reading.vram_total_bytes is None)
    assert cuda_present() == (reading.vram_total_bytes is not None)


def test_memory_of_the_process_lies_within_that_of_the_machine() -> None:
    reading = MachineReadings(ScriptedDriver(installed=False)).read()
    assert 0 < reading.process_bytes < reading.ram_total_bytes
    assert 0 < reading.ram_used_bytes < reading.ram_total_bytes
    assert reading.ram_total_bytes == psutil.virtual_memory().total


def test_the_cpu_load_is_the_machines_whichever_thread_asks() -> None:
    readings = MachineReadings(ScriptedDriver(installed=False))
    deadline = sum(psutil.cpu_times()) + 0.3
    while sum(psutil.cpu_times()) < deadline:  # work until the clock has moved
        pass
    found: list[float | None] = []
    thread = threading.Thread(target=lambda: found.append(readings.read().cpu_percent))
    thread.start()
    thread.join()
    assert found[0] is not None
    assert 0 < found[0] <= 100


@pytest.mark.parametrize(
    ("driver", "present"),
    [
        (ScriptedDriver(), True),
        (ScriptedDriver(cards=0), False),
        (ScriptedDriver(installed=False), False),
        (ScriptedDriver(lacks=["Count"]), False),
        (ScriptedDriver(lacks=["Shutdown"]), True),
    ],
)
def test_a_gpu_is_present_if_the_driver_counts_one(driver: ScriptedDriver, present: bool) -> None:
    assert cuda_present(driver) is present
    assert driver.sessions == 0
