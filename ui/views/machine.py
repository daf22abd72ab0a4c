"""The machine: the strip, one line of honest numbers, and the panel above it with their history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.hardware.thermal import HOT, throttle_text
from rag.text.messages import Language
from rag.text.sizes import gib, memory_size
from rag.types.answers import Usage
from rag.types.hardware import GpuReading, MemoryReading, Sample
from rag.types.server_address import leaving
from ui.render import render
from ui.words import first_token, progress_words, say, share, speed

if TYPE_CHECKING:
    from rag.app.app import AppState

SPAN_S = 300
"""Seconds that the lines show."""
_POINTS = 100  # of a line; each is the highest of its share of the span
_WIDE, _HIGH = 200, 28


_KINDS = {"failed": "bad", "ready": "good", "prefetch": "good"}


def state_word(state: AppState, language: Language) -> tuple[str, str]:
    """Return the state as ``(kind, word)``; the kind is one of the dot's colours."""
    doing = state.doing
    kind, progress = _KINDS.get(doing, "busy"), state.model_progress
    part = share(progress) if progress and kind == "busy" and doing != "indexing" else None
    percent = f" {part * 100:.0f} %" if part is not None else ""
    return kind, say("stage_verify" if doing == "verify" else f"word_{doing}", language) + percent


def strip_html(state: AppState, language: Language) -> str:
    """Return the strip's readings, left to right."""
    kind, word = state_word(state, language)
    progress = progress_words(state.model_progress, language)
    note = state.model_note.say(language) if state.model_note else ""
    return render(
        "strip",
        language,
        kind=kind,
        word=word,
        hover=" ".join(filter(None, (progress, note))),
        note=note if kind == "bad" else "",
        memory=state.memory,
        held=_held(state.memory),
        server=state.server,
        away=leaving(state.server) if state.server else None,
        last=_last(state.last_usage, language),
        forecast=state.forecast,
        model=state.model_name,
    )


def _held(memory: MemoryReading) -> dict[str, int]:
    """Return who holds the memory that the strip shows, in bytes; the card's where there is one."""
    if memory.vram_total_bytes:
        total, ours = memory.vram_total_bytes, memory.vram_model_bytes or 0
        used = min(memory.vram_used_bytes or 0, total)
    else:
        total, ours = max(memory.ram_total_bytes, 1), memory.process_bytes
        used = min(memory.ram_used_bytes, total)
    ours = min(ours, used)
    return {"total": total, "used": used, "ours": ours, "others": used - ours}


def _last(usage: Usage | None, language: Language) -> str:
    if not usage or not usage.completion_tokens:
        return ""
    return f"{speed(usage, language)} · {first_token(usage, language)}"


def machine_html(state: AppState, samples: Sequence[Sample], language: Language) -> str:
    """Return the panel for the machine as it is; ``samples`` are those of the last ``SPAN_S``."""
    panel = _Panel(state.memory, samples, language)
    return render(
        "machine",
        language,
        cards=list(panel.cards()),
        offer=state.model_offer,
        lowered=state.lowered,
        heat=state.heat,
        minutes=SPAN_S // 60,
        wide=_WIDE,
        high=_HIGH,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over the span; ``points`` as in an SVG polyline."""

    title: str
    kind: str
    value: str
    points: str
    more: str = ""


class _Panel:
    """The parts of the panel: one for each card, or one for a computer without."""

    def __init__(
        self, memory: MemoryReading, samples: Sequence[Sample], language: Language
    ) -> None:
        self._memory = memory
        self._samples = samples
        self._language = language

    def cards(self) -> Iterator[dict[str, object]]:
        for card in self._memory.gpus:
            yield self._card(card)
        if not self._memory.gpus:
            yield self._computer()

    def _card(self, card: GpuReading) -> dict[str, object]:
        first = card is self._memory.gpus[0]
        used, total = card.used_bytes or 0, card.total_bytes or 0
        held: list[tuple[str, int]] = [("others", used)]
        lines: list[Line] = []
        if first:  # of the others nothing more is known
            held = [(one.holder, one.bytes) for one in self._memory.held]
            load = self._load("machine_load", card.percent)
            lines = [load, self._used(used, total), self._heat(card), self._power(card)]
        return {
            "name": card.name or say("machine_card", self._language, index=card.index),
            **self._bar("machine_vram", held, used, total),
            "lines": lines,
            "small": " · ".join(self._small(card)),
            "slowed": [
                (key in HOT, throttle_text(key).say(self._language)) for key in card.throttle
            ],
        }

    def _computer(self) -> dict[str, object]:
        memory = self._memory
        total, used = max(memory.ram_total_bytes, 1), memory.ram_used_bytes
        process = min(memory.process_bytes, used)
        held = [("process", process), ("others", used - process)]
        return {
            "name": say("no_gpu", self._language),
            **self._bar("machine_ram", held, used, total),
            "lines": [self._load("machine_cpu", memory.cpu_percent), self._used(used, total)],
            "small": "",
            "slowed": (),
        }

    def _bar(
        self, title: str, held: Sequence[tuple[str, int]], used: int, total: int
    ) -> dict[str, object]:
        amount = say("machine_of", self._language, used=gib(used), total=gib(total))
        return {"title": title, "held": held, "amount": amount, "size": max(total, 1)}

    def _small(self, card: GpuReading) -> Iterator[str]:
        if card.clock_mhz is not None:
            yield say("machine_clock", self._language, value=card.clock_mhz)
        if card.fan_percent is not None:
            yield say("machine_fan", self._language, value=f"{card.fan_percent:.0f}")

    def _load(self, title: str, value: float | None) -> Line:
        return Line(title, "load", _told(value, " %"), self._spark(lambda s: s.load, 100))

    def _used(self, used: int, total: int) -> Line:
        points = self._spark(lambda s: s.used_bytes, total)
        return Line("machine_used", "memory", memory_size(used), points)

    def _heat(self, card: GpuReading) -> Line:
        points = self._spark(lambda s: s.temperature_c, card.slowdown_c or 100)
        more = self._limit("machine_slows", card.slowdown_c)
        return Line("machine_heat", "heat", _told(card.temperature_c, " °C"), points, more)

    def _power(self, card: GpuReading) -> Line:
        most = card.power_limit_w or max((s.power_w or 0 for s in self._samples), default=1)
        points = self._spark(lambda s: s.power_w, most)
        more = self._limit("machine_limit", card.power_limit_w)
        return Line("machine_power", "power", _told(card.power_w, " W"), points, more)

    def _limit(self, key: str, value: float | None) -> str:
        return say(key, self._language, value=f"{value:.0f}") if value else ""

    def _spark(self, figure: Callable[[Sample], float | None], most: float) -> str:
        now = self._samples[-1].at if self._samples else 0.0
        return spark(self._samples, figure, now=now, most=most)


def spark(
    samples: Sequence[Sample],
    figure: Callable[[Sample], float | None],
    *,
    now: float,
    most: float,
) -> str:
    """Return the points of a line over the last ``SPAN_S`` seconds, ``most`` at the top."""
    highest: dict[int, float] = {}
    for sample in samples:
        value = figure(sample)
        place = int((sample.at - now + SPAN_S) * _POINTS / SPAN_S)
        if value is not None and place >= 0:
            highest[place] = max(value, highest.get(place, 0))
    return " ".join(
        f"{place * _WIDE / _POINTS:.0f},{_HIGH - 1 - (_HIGH - 2) * min(1, value / (most or 1)):.1f}"
        for place, value in sorted(highest.items())
    )


def _told(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f}{unit}"
