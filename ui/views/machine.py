"""The panel above the strip: who holds the memory, and the last minutes as lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from rag.hardware.thermal import HOT, throttle_text
from rag.text.messages import Language, Text
from rag.text.sizes import gib, memory_size
from rag.types.hardware import GpuReading, MemoryReading, Sample
from ui.views.common import word

if TYPE_CHECKING:
    from rag.app.app import AppState


SPAN_S = 300
"""Seconds that the lines show."""
_POINTS = 100  # of a line; each is the highest of its share of the span
_WIDE, _HIGH = 200, 28


def machine_html(state: AppState, samples: Sequence[Sample], language: Language) -> str:
    """Return the panel for the machine as it is; ``samples`` are those of the last ``SPAN_S``."""
    memory = state.memory
    now = samples[-1].at if samples else 0.0
    drawn = _Lines(samples, now, language)
    body = (
        "".join(_card(card, memory, drawn, language) for card in memory.gpus)
        if memory.gpus
        else _computer(memory, drawn, language)
    )
    return f"{body}{_lowered(state.lowered, language)}{_heat(state.heat, language)}"


def _card(card: GpuReading, memory: MemoryReading, drawn: _Lines, language: Language) -> str:
    first = card is memory.gpus[0]
    name = escape(card.name or word("machine_card", language, index=card.index))
    used, total = card.used_bytes or 0, card.total_bytes or 0
    held = [(one.holder, one.bytes) for one in memory.held] if first else [("others", used)]
    return (
        f'<section class="m-card"><h3>{name}</h3>'
        f"{_bar('machine_vram', held, used, total, language)}"
        f"{drawn.load(card.percent, 'machine_load') if first else ''}"
        f"{drawn.memory(used, total) if first else ''}"
        f"{drawn.heat(card) if first else ''}{drawn.power(card) if first else ''}"
        f"{_small(card, language)}{_throttle(card, language)}</section>"
    )


def _computer(memory: MemoryReading, drawn: _Lines, language: Language) -> str:
    total, used = max(memory.ram_total_bytes, 1), memory.ram_used_bytes
    process = min(memory.process_bytes, used)
    held = [("process", process), ("others", used - process)]
    return (
        f'<section class="m-card"><h3>{word("no_gpu", language)}</h3>'
        f"{_bar('machine_ram', held, used, total, language)}"
        f"{drawn.load(memory.cpu_percent, 'machine_cpu')}{drawn.memory(used, total)}</section>"
    )


def _bar(
    title: str, held: Sequence[tuple[str, int]], used: int, total: int, language: Language
) -> str:
    size = max(total, 1)
    parts = "".join(
        f'<i class="h-{holder}" style="width:{100 * count / size:.1f}%"></i>'
        for holder, count in held
    )
    legend = "".join(
        f'<li><i class="h-{holder}"></i>{word(f"holder_{holder}", language)} '
        f"<b>{gib(count)}</b></li>"
        for holder, count in held
    )
    amount = word("machine_of", language, used=gib(used), total=gib(total))
    return (
        f'<p class="m-row"><span>{word(title, language)}</span><b>{amount}</b></p>'
        f'<div class="m-bar" role="img" aria-label="{amount}">{parts}</div><ul>{legend}</ul>'
    )


class _Lines:
    """Draws what the ring keeps."""

    def __init__(self, samples: Sequence[Sample], now: float, language: Language) -> None:
        self._samples = samples
        self._now = now
        self._language = language

    def load(self, value: float | None, title: str) -> str:
        return self._line(title, lambda s: s.load, 100, _told(value, " %"), "load")

    def memory(self, used: int, total: int) -> str:
        return self._line(
            "machine_used", lambda s: s.used_bytes, total, memory_size(used), "memory"
        )

    def heat(self, card: GpuReading) -> str:
        most = card.slowdown_c or 100
        slows = (
            word("machine_slows", self._language, value=f"{card.slowdown_c:.0f}")
            if card.slowdown_c
            else ""
        )
        value = _told(card.temperature_c, " °C")
        return self._line("machine_heat", lambda s: s.temperature_c, most, value, "heat", slows)

    def power(self, card: GpuReading) -> str:
        limit = card.power_limit_w
        most = limit or max((s.power_w or 0 for s in self._samples), default=1)
        words = word("machine_limit", self._language, value=f"{limit:.0f}") if limit else ""
        value = _told(card.power_w, " W")
        return self._line("machine_power", lambda s: s.power_w, most, value, "power", words)

    def _line(
        self,
        title: str,
        figure: Callable[[Sample], float | None],
        most: float,
        value: str,
        kind: str,
        more: str = "",
    ) -> str:
        points = spark(self._samples, figure, now=self._now, most=most)
        if not value and not points:
            return ""
        words = word(title, self._language)
        span = word("machine_span", self._language, minutes=SPAN_S // 60)
        return (
            f'<div class="m-line m-{kind}"><span>{words}</span>'
            f'<svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" '
            f'aria-label="{words}, {span}"><title>{words}, {span}</title>'
            f'<polyline points="{points}"/></svg>'
            f"<b>{escape(value)}</b><small>{more}</small></div>"
        )


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


def _small(card: GpuReading, language: Language) -> str:
    parts = []
    if card.clock_mhz is not None:
        parts.append(word("machine_clock", language, value=card.clock_mhz))
    if card.fan_percent is not None:
        parts.append(word("machine_fan", language, value=f"{card.fan_percent:.0f}"))
    return f'<p class="m-small">{" · ".join(parts)}</p>' if parts else ""


def _throttle(card: GpuReading, language: Language) -> str:
    return "".join(
        f'<p class="m-slow{" hot" if key in HOT else ""}">'
        f"{escape(throttle_text(key).say(language))}</p>"
        for key in card.throttle
    )


def _lowered(lowered: Sequence[Text], language: Language) -> str:
    if not lowered:
        return ""
    items = "".join(f"<li>{escape(text.say(language))}</li>" for text in lowered)
    title = word("machine_lowered", language)
    return f'<section class="lowered"><h3>{title}</h3><ul>{items}</ul></section>'


def _heat(heat: Text | None, language: Language) -> str:
    return f'<p class="m-slow hot">{escape(heat.say(language))}</p>' if heat else ""


def _told(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f}{unit}"
