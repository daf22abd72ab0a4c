"""The machine's readings, with a scripted driver in place of NVIDIA's."""

import threading
from collections.abc import Sequence
from dataclasses import fields

import psutil
import pytest

from rag.hardware.readings import MachineReadings
from rag.protocols import Share
from rag.types.hardware import GpuReading, Held, MemoryReading
from tests.fake_nvml import Card, ScriptedDriver

GIB = 1 << 30


class Shares:
    """An allocator that holds what it is told."""

    def __init__(self, *shares: Share) -> None:
        self.held = list(shares)
        self.emptied = 0

    def shares(self) -> Sequence[Share]:
        return self.held

    def empty(self) -> None:
        self.emptied += 1


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
    reading = MachineReadings(ScriptedDriver()).read(parts={"weights": 8 * GIB})
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
    reading = MachineReadings(driver).read(parts={"weights": 5})
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


FIELDS = {
    "UUID": "uuid",
    "Bus": "bus_id",
    "Slowdown": "slowdown_c",
    "Limit": "power_limit_w",
    "Constraints": "power_floor_w",
    "MaxClock": "max_clock_mhz",
    "Fan": "fan_percent",
    "Energy": "energy_j",
    "Processes": "own_bytes",
}


def test_a_card_tells_its_limits_clocks_fan_and_energy() -> None:
    (card,) = MachineReadings(ScriptedDriver(cards=[Card(own=9 * GIB, throttle=0x25)])).read().gpus
    assert card == GpuReading(
        index=0,
        uuid="GPU-0",
        bus_id="00000000:01:00.0",
        name="NVIDIA GeForce RTX 4090",
        used_bytes=10 * GIB,
        total_bytes=24 * GIB,
        own_bytes=9 * GIB,
        percent=87.0,
        temperature_c=63.0,
        slowdown_c=90.0,
        power_w=301.5,
        power_limit_w=450.0,
        power_floor_w=150.0,
        clock_mhz=2520,
        max_clock_mhz=3105,
        memory_clock_mhz=10501,
        throttle=("power_cap", "sw_thermal"),
        fan_percent=41.0,
        energy_j=5000.0,
    )
    assert card.free_bytes == 14 * GIB


@pytest.mark.parametrize("call", FIELDS)
def test_each_field_is_guarded_by_itself(call: str) -> None:
    (card,) = MachineReadings(ScriptedDriver(lacks=[call], cards=[Card(own=GIB)])).read().gpus
    empty = [f.name for f in fields(card) if getattr(card, f.name) in (None, ())]
    assert empty == [FIELDS[call], "throttle"] or empty == ["throttle", FIELDS[call]]


@pytest.mark.parametrize(
    ("lacks", "found"), [(["Reasons"], ("hw_thermal",)), (["Reasons", "OldReasons"], ())]
)
def test_an_older_driver_is_asked_for_throttling_by_its_older_name(
    lacks: list[str], found: tuple[str, ...]
) -> None:
    driver = ScriptedDriver(lacks=lacks, cards=[Card(throttle=0x40)])
    assert MachineReadings(driver).read().gpus[0].throttle == found


def test_a_lost_card_keeps_its_number_and_hides_no_other() -> None:
    driver = ScriptedDriver(cards=2, lost=[0])
    reading = MachineReadings(driver).read()
    assert [card.index for card in reading.gpus] == [1]
    assert reading.gpu_name


def test_the_card_that_this_program_computes_on_comes_first() -> None:
    """CUDA counts the fast card first, the driver the one that is first on the bus."""
    slow, fast = Card("RTX 3060", "GPU-a", used=GIB), Card("RTX 4090", "GPU-b", used=8 * GIB)
    allocator = Shares(Share("GPU-b", 6 * GIB, 7 * GIB), Share("GPU-a", 0, 0))
    reading = MachineReadings(ScriptedDriver(cards=[slow, fast]), allocator).read()
    assert [(card.index, card.name) for card in reading.gpus] == [(1, "RTX 4090"), (0, "RTX 3060")]
    assert reading.gpu_name == "RTX 4090"
    assert sum(held.bytes for held in reading.held) == 8 * GIB


def test_memory_is_divided_by_who_holds_it() -> None:
    card = Card(used=14 * GIB, own=12 * GIB)
    readings = MachineReadings(
        ScriptedDriver(cards=[card]), Shares(Share("GPU-0", 10 * GIB, 11 * GIB))
    )
    parts = {"weights": 7 * GIB, "embedder": 1 * GIB}
    assert readings.read(parts=parts).held == (  # type: ignore[arg-type]
        Held("weights", 7 * GIB),
        Held("kv", 2 * GIB),
        Held("embedder", 1 * GIB),
        Held("cache", 1 * GIB),
        Held("context", 1 * GIB),
        Held("others", 2 * GIB),
    )


def test_memory_over_two_cards_is_summed_over_those_in_use() -> None:
    cards = [Card(uuid=f"GPU-{n}", used=10 * GIB) for n in range(3)]
    allocator = Shares(Share("GPU-0", 8 * GIB, 8 * GIB), Share("GPU-1", 8 * GIB, 8 * GIB))
    reading = MachineReadings(ScriptedDriver(cards=cards), allocator).read(
        parts={"weights": 14 * GIB}
    )
    assert reading.held == (Held("weights", 14 * GIB), Held("kv", 2 * GIB), Held("others", 4 * GIB))


def test_llama_cpp_whose_memory_is_not_torchs_is_counted_beside_it() -> None:
    readings = MachineReadings(ScriptedDriver(cards=[Card(used=6 * GIB)]), Shares())
    assert readings.read(parts={"weights": 5 * GIB}).held == (
        Held("weights", 5 * GIB),
        Held("others", 1 * GIB),
    )


def test_a_card_that_tells_no_memory_is_divided_among_nobody() -> None:
    assert MachineReadings(ScriptedDriver(lacks=["Memory"])).read(parts={"weights": GIB}).held == ()


def test_without_the_package_there_is_no_card_and_no_error() -> None:
    assert MachineReadings(None).read().gpus == ()
