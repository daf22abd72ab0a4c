"""How far long work is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync, rebuild or download is. ``total`` is ``None`` while unknown."""

    stage: str  # scan | read | ocr | embed | write | check | download | verify | load
    done: int = 0
    total: int | None = None
    unit: str = ""  # pages | passages | bytes | documents | questions
    item: str = ""  # the file in work
    per_second: float = 0.0

    @property
    def minutes_left(self) -> int | None:
        """Estimate of what takes long enough to ask: a minute at least."""
        if self.stage != "ocr" or not self.total or self.per_second <= 0:
            return None
        return round((self.total - self.done) / self.per_second / 60) or None
