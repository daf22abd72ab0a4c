"""What a device can do at most, by its own clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rag.benchmark.rows import WIDE
from rag.benchmark.worker import card_seconds, measure_limits


@pytest.mark.slow
def test_the_processor_copies_reads_and_multiplies() -> None:
    found = measure_limits("cpu", copy_bytes=8 << 20)
    assert found.copy_bytes_per_s > 1e8
    assert found.read_bytes_per_s > 1e8
    assert found.flops.keys() <= set(WIDE)
    assert found.flops["fp32"] > 1e8


@pytest.mark.slow
def test_work_that_takes_half_the_time_is_twice_the_speed() -> None:
    def fixed(seconds: float) -> Callable[[Callable[[], object]], float]:
        def timer(work: Callable[[], object]) -> float:
            work()
            return seconds

        return timer

    slow, fast = (measure_limits("cpu", timer=fixed(s), copy_bytes=1 << 20) for s in (0.5, 0.25))
    assert slow.copy_bytes_per_s == 2 * (1 << 20) / 0.5
    assert fast.read_bytes_per_s == 2 * slow.read_bytes_per_s
    assert fast.flops["fp32"] == pytest.approx(2 * slow.flops["fp32"])


def test_a_card_is_timed_by_events_of_its_own_that_are_waited_for() -> None:
    said: list[str] = []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            said.append("record")

        def elapsed_time(self, other: Event) -> float:
            said.append("elapsed")
            return 250.0

    class Cuda:
        def __init__(self) -> None:
            self.Event = Event

        def synchronize(self) -> None:
            said.append("wait")

    assert card_seconds(lambda: said.append("work"), Cuda()) == 0.25
    assert said == ["record", "work", "record", "wait", "elapsed"]
