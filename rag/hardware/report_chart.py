"""Draws a report: load, memory, heat and power, speed and latency, over the same time.

matplotlib is needed only for this, so it is no dependency of the app.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.text.sizes import GIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_INK, _SOFT = "#1d2126", "#6b7785"
_LOAD, _USED, _OWN, _HEAT, _POWER = "#1f5fae", "#0b6e5f", "#7fb8ad", "#b3372f", "#96600f"


def chart_possible() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_chart(file: Path, report: dict[str, Any]) -> None:
    """Write a PNG of four rows."""
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), layout="constrained", facecolor="white")
    rows: Any = figure.subplots(4, 1, sharex=True)
    line = report["timeline"]
    at = [datetime.fromtimestamp(sample["at"]).astimezone() for sample in line]
    _load(rows[0], at, line)
    _memory(rows[1], at, line)
    _heat(rows[2], at, line)
    _answers(rows[3], report["answers"])
    for axes in rows:
        _plain(axes)
    if at:  # else the axis has no time
        zone = at[0].tzinfo
        rows[-1].xaxis.set_major_formatter(DateFormatter("%H:%M:%S", tz=zone))  # type: ignore[no-untyped-call]
    figure.suptitle(_title(report), fontsize=10, color=_INK)
    figure.savefig(file, dpi=130, format="png")


def _load(axes: Axes, at: Sequence[Any], line: Sequence[dict[str, Any]]) -> None:
    card = any(sample["card"] for sample in line)
    axes.plot(at, [sample["load"] for sample in line], color=_LOAD, linewidth=1.2)
    axes.set_ylim(0, 102)
    axes.set_title(f"{'GPU' if card else 'CPU'} load, %", loc="left", fontsize=8)


def _memory(axes: Axes, at: Sequence[Any], line: Sequence[dict[str, Any]]) -> None:
    card = any(sample["card"] for sample in line)
    used = [sample["used_bytes"] / GIB for sample in line]
    axes.fill_between(at, used, color=_USED, alpha=0.25, linewidth=0)
    axes.plot(at, used, color=_USED, linewidth=1.2, label="in use, all programs")
    own = [sample["process_bytes"] / GIB for sample in line]
    where = "in this program's RAM" if card else "in use by this program"
    axes.plot(at, own, color=_OWN, linewidth=1.2, label=where)
    total = max((sample["total_bytes"] for sample in line), default=0) / GIB
    axes.axhline(total, color=_SOFT, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, max(1.0, total * 1.25))  # room for the names above the total
    kind = "Graphics memory" if card else "Memory"
    axes.set_title(f"{kind}, GiB (of {total:.1f})", loc="left", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", ncols=2)


def _heat(axes: Axes, at: Sequence[Any], line: Sequence[dict[str, Any]]) -> None:
    axes.set_title("Temperature, °C, and power, W", loc="left", fontsize=8)
    degrees = [sample["temperature_c"] for sample in line]
    watts = [sample["power_w"] for sample in line]
    if not any(value is not None for value in (*degrees, *watts)):
        axes.set_yticks([])
        words = "no graphics card: nothing here tells its temperature or power"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=_SOFT, fontsize=8)
        return
    axes.plot(at, degrees, color=_HEAT, linewidth=1.2)
    axes.tick_params(axis="y", colors=_HEAT)
    other = axes.twinx()
    other.plot(at, watts, color=_POWER, linewidth=1.2)
    other.tick_params(axis="y", colors=_POWER, labelsize=7)
    other.set_ylim(bottom=0)
    _plain(other)
    other.grid(visible=False)


def _answers(axes: Axes, answers: Sequence[dict[str, Any]]) -> None:
    axes.set_title("Answers: tokens/s (bars) and first token, s (dots)", loc="left", fontsize=8)
    if not answers:
        axes.set_yticks([])
        words = "no answer was kept in this time"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=_SOFT, fontsize=8)
        return
    at: Any = [datetime.fromisoformat(answer["ended"]).astimezone() for answer in answers]
    speeds = [answer["tokens_per_second"] for answer in answers]
    axes.vlines(at, 0, speeds, color=_LOAD, linewidth=4)
    axes.tick_params(axis="y", colors=_LOAD)
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    other.plot(at, [answer["first_token_s"] for answer in answers], "o", color=_POWER, markersize=5)
    other.tick_params(axis="y", colors=_POWER, labelsize=7)
    other.set_ylim(bottom=0)
    _plain(other)
    other.grid(visible=False)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.grid(axis="y", color="#e3e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)


def _title(report: dict[str, Any]) -> str:
    cards = ", ".join(card["name"] or "?" for card in report["machine"]["gpus"])
    joules = report["energy_j"]
    parts = [
        cards or "no NVIDIA GPU",
        f"{report['from']} to {report['to']}",
        f"{len(report['answers'])} answers",
        "" if joules is None else f"{joules / 3600:.1f} Wh",
    ]
    return "  ·  ".join(filter(None, parts))
