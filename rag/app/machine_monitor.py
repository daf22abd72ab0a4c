"""Watches the machine once a second: for the screen, for charts, and against heat."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.app.supervisor import LONGEST_PAUSE_S, Part, Supervisor
from rag.hardware.thermal import HeatGuard
from rag.text.messages import Text
from rag.types.answers import AnswerMessage, Event, Finished
from rag.types.hardware import MemoryReading, Sample

if TYPE_CHECKING:
    from rag.protocols import GpuReadings
    from rag.storage.chats import KeptTurn
    from rag.types.hardware import Holder


HOUR = 3600
"""Samples that are kept, one a second: about a megabyte."""


def sample_of(reading: MemoryReading, at: float) -> Sample:
    """Return what a chart shows of a reading."""
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


_TITLE = Text("Watching the machine", "监视本机状态")
EVERY_S = 1.0
_FRESH_S = 2 * EVERY_S
Parts = Callable[[], "Mapping[Holder, int]"]


class MachineMonitor:
    """The machine now, and as it was in the last hour."""

    def __init__(
        self,
        readings: GpuReadings,
        parts: Parts = dict,
        *,
        answers: Callable[[float], Iterable[KeptTurn]] = lambda _: (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """``parts`` is what the engines hold on cards; ``answers`` those kept since a moment."""
        self._readings = readings
        self._parts = parts
        self._now = now
        self._answers = answers
        self._samples: deque[Sample] = deque(maxlen=HOUR)  # the oldest goes for each new one
        self._guard = threading.Lock()  # of the samples
        self._latest: MemoryReading | None = None
        self._read_at = 0.0
        self.heat = HeatGuard()

    def part(self, stopping: threading.Event) -> Part:
        """Return what looks once a second until told to stop."""

        def work() -> None:
            while not stopping.wait(EVERY_S):
                self.look()

        return Part("machine", _TITLE, work)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look now, and once a second in a thread of its own until the block ends."""
        self.look()
        stopping = threading.Event()
        watch = Supervisor(stopping)
        watch.start(self.part(stopping))
        try:
            yield
        finally:
            stopping.set()
            watch.join(timeout_s=LONGEST_PAUSE_S)

    def look(self) -> MemoryReading:
        """Read the machine, and keep what is found."""
        reading = self._readings.read(parts=self._parts())
        self._latest, self._read_at = reading, self._now()
        with self._guard:
            self._samples.append(sample_of(reading, self._read_at))
        self.heat.see(reading)
        return reading

    def reading(self) -> MemoryReading:
        """Return the machine now: the last reading while it is fresh, however many ask."""
        if self._latest is None or self._now() - self._read_at > _FRESH_S:
            return self.look()
        return self._latest

    def told(self, events: Iterator[Event]) -> Iterator[Event]:
        """Pass an answer's events on; say once when pauses begin, and at the end how it was."""
        notices: tuple[AnswerMessage, ...] = ()
        for event in events:
            if not notices and self.heat.note is not None:
                notices = (AnswerMessage("heat", self.heat.note),)
                yield notices[0]
            if isinstance(event, Finished):
                answer = event.answer
                kept = (*answer.notices, *notices)
                yield Finished(replace(answer, memory=self.reading(), notices=kept))
            else:
                yield event

    def history(self, seconds: float) -> tuple[Sample, ...]:
        """Return the samples of the last seconds, oldest first."""
        since = self._now() - seconds
        with self._guard:
            return tuple(sample for sample in self._samples if sample.at >= since)

    def report(self, folder: Path) -> dict[str, Any]:
        """Write what the machine did in the last hour; return what was written, and its sums.

        Raises:
            ConfigError: the folder cannot be written.
        """
        from rag.hardware import report

        now, samples = self.reading(), self.history(HOUR)
        turns = self._answers(self._now() - HOUR)
        made = report.build(samples, [(turn.asked_at, turn.answer) for turn in turns], now)
        names = report.write(folder, made)
        sums = {key: value for key, value in made.items() if key not in {"timeline", "answers"}}
        return {**sums, "answers": len(made["answers"]), "folder": str(folder), "files": names}
