"""The last hour of readings, in a fixed amount of memory."""

from __future__ import annotations

import threading
from collections import deque

from rag.types.hardware import MemoryReading, Sample

HOUR = 3600
"""Samples that are kept, one a second: about a megabyte."""


class Ring:
    """Forgets the oldest sample for each new one. Safe to use from several threads."""

    def __init__(self, size: int = HOUR) -> None:
        self._samples: deque[Sample] = deque(maxlen=size)
        self._guard = threading.Lock()

    def add(self, reading: MemoryReading, *, at: float) -> None:
        """Keep what a chart shows of a reading."""
        with self._guard:
            self._samples.append(_sample(reading, at))

    def since(self, at: float) -> tuple[Sample, ...]:
        """Return the samples from that moment on, oldest first."""
        with self._guard:
            return tuple(sample for sample in self._samples if sample.at >= at)


def _sample(reading: MemoryReading, at: float) -> Sample:
    if not reading.gpus:
        return Sample(
            at=at,
            load=reading.cpu_percent,
            used_bytes=reading.ram_used_bytes,
            total_bytes=reading.ram_total_bytes,
            process_bytes=reading.process_bytes,
        )
    card = reading.gpus[0]
    return Sample(
        at=at,
        load=card.percent,
        used_bytes=card.used_bytes or 0,
        total_bytes=card.total_bytes or 0,
        process_bytes=reading.process_bytes,
        temperature_c=card.temperature_c,
        power_w=card.power_w,
        energy_j=card.energy_j,
        throttle=card.throttle,
        card=True,
    )
