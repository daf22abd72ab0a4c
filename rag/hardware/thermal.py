"""Keeps a card from slowing itself down, and says why one runs slower than it could.

The hardware's own slowdown divides the clocks by two or more (NVML's documentation of its
throttle reasons); pauses before that give the fan time. What they cost was not measured. The power
limit does the same for good, but setting it needs an administrator: the command is shown, and
never run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from rag.text.messages import Text
from rag.types.hardware import GpuReading, MemoryReading

REASONS = {
    "power_cap": Text("held back by its power limit", "受功耗上限限制"),
    "hw_slowdown": Text(
        "slowed down by its hardware: too hot, or too little power", "硬件降频：过热或供电不足"
    ),
    "sw_thermal": Text("slowed down by the driver, because it is hot", "因温度偏高被驱动降频"),
    "hw_thermal": Text("slowed down by its hardware, because it is too hot", "因过热被硬件降频"),
    "power_brake": Text("slowed down, because the power supply asks for it", "因电源限制而降频"),
    "clocks_set": Text("runs at clocks that somebody has set", "运行在人为设定的频率上"),
    "sync_boost": Text("waits for another card's clocks", "与另一块显卡同步频率"),
    "display_clocks": Text("clocks are set by the display", "频率由显示设置决定"),
}
"""By the key that readings carry."""

HOT = frozenset({"sw_thermal", "hw_thermal", "hw_slowdown"})
"""Those that heat is behind."""


def throttle_text(key: str) -> Text:
    """Return the words; of a key that is not known, the key itself."""
    return REASONS.get(key, Text(key, key))


NEAR_C, LEAVE_C = 6.0, 9.0
"""Pauses begin this close to the slowdown, and end only further away, so that they do not flicker.
Chosen, not measured: there was no card to measure on."""
MOST_REST = 2.0  # seconds of pause for each second of work, at the threshold itself
LEAST_REST = 0.25
LONGEST_S = 0.5  # of one pause
_SLICE_S = 0.05  # how soon Stop is heard in a pause
_WORTH_S = 0.02  # of work before a pause: the engine asks more often than once a token
_STALE_S = 5.0  # an older reading says nothing
_SHARE = 0.8  # of the power limit that is proposed


class HeatGuard:
    """Told the temperature once a second; asked by the engine between tokens."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._rest = 0.0
        self._seen = 0.0
        self._worked_since = 0.0
        self.note: Text | None = None
        self.paused_s = 0.0

    def see(self, reading: MemoryReading) -> None:
        """Take a reading; the hottest card decides."""
        self._seen = self._clock()
        rests = [(self._rest_of(card), card) for card in reading.gpus]
        rest, card = max(rests, key=lambda pair: pair[0], default=(0.0, None))
        self._rest = rest
        self.note = _words(card) if card is not None and rest > 0 else None

    def _rest_of(self, card: GpuReading) -> float:
        hot = bool(HOT & set(card.throttle))
        if card.temperature_c is None or card.slowdown_c is None:
            return 1.0 if hot else 0.0  # this card does not say from where on
        margin = card.slowdown_c - card.temperature_c
        if margin > (LEAVE_C if self._rest else NEAR_C):
            return 0.0
        rest = MOST_REST * min(1.0, max(0.0, (NEAR_C - margin) / NEAR_C))
        return max(rest, 1.0 if hot else LEAST_REST)

    def watched(self, cancelled: Callable[[], bool]) -> Callable[[], bool]:
        """Return ``cancelled`` with the pauses in it: engines ask it between two tokens."""
        self._worked_since = self._clock()
        return partial(self._breathe, cancelled)

    def _breathe(self, cancelled: Callable[[], bool]) -> bool:
        now = self._clock()
        if self._rest == 0 or now - self._seen > _STALE_S:
            self._worked_since = now
            return cancelled()
        worked = now - self._worked_since
        if worked < _WORTH_S:
            return cancelled()
        until = now + min(LONGEST_S, worked * self._rest)
        while (left := until - self._clock()) > 0:
            if cancelled():
                return True
            self._sleep(min(left, _SLICE_S))
        self._worked_since = self._clock()
        self.paused_s += self._worked_since - now
        return cancelled()


def _words(card: GpuReading) -> Text:
    where = "" if card.temperature_c is None else f"{card.temperature_c:.0f} °C"
    limit = "" if card.slowdown_c is None else f"{card.slowdown_c:.0f} °C"
    en = f"The graphics card is at {where}" if where else "The graphics card is too hot"
    zh = f"显卡温度 {where}" if where else "显卡过热"
    if limit:
        en += f"; it slows itself down from {limit} on"
        zh += f"，达到 {limit} 会自行降频"
    command = power_command(card)
    then_en = f" Less power helps: `{command}`." if command else ""
    then_zh = f"降低功耗上限可缓解：`{command}`。" if command else ""
    return Text(
        f"{en}. Answers come with pauses until it is cooler.{then_en}",
        f"{zh}。降温之前，回答会在词元之间停顿。{then_zh}",
    )


def power_command(card: GpuReading) -> str:
    """Return the command that lowers the power limit; empty where it cannot be lowered."""
    if card.power_limit_w is None:
        return ""
    watts = max(card.power_floor_w or 0, _SHARE * card.power_limit_w)
    if watts >= card.power_limit_w:
        return ""
    return f"sudo nvidia-smi -i {card.index} -pl {watts:.0f}"
