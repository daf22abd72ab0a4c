"""Why a graphics card runs slower than it could, in words."""

from __future__ import annotations

from rag.text.messages import Text

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
