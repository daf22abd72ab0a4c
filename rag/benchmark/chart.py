"""Draws a benchmark: speed of each row against what the machine allows, time, memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rag.benchmark.rows import Limits, Row, Run, row_json
from rag.charts import FONTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _LIMIT, _RIGHT = "#1f5fae", "#c9d3de", "#2e7d4f"
_ROW, _WIDE = 0.34, 11.0  # inches
_GB = 1e9
_MOST = 1.22  # of the longest bar: room for its figure


def draw(file: Path, run: Run) -> None:
    """Write a PNG: a row for each row that ran, in three or four panels."""
    from matplotlib import font_manager
    from matplotlib.figure import Figure
    from matplotlib.text import Text as Words

    rows = [row for row in run.rows if row.ran]
    known = {font.name for font in font_manager.fontManager.ttflist}
    judged = any(row.accuracy for row in rows)
    figure = Figure(
        figsize=(_WIDE, _ROW * max(1, len(rows)) + 1.3), layout="constrained", facecolor="white"
    )
    panels = figure.subplots(1, 4 if judged else 3, sharey=True, squeeze=False)[0]
    _speeds(panels[0], rows, run)
    _bars(panels[1], rows, "first token, s", lambda row: row.figure("first_token_s"))
    _bars(panels[2], rows, "peak memory, GB", _memory)
    if judged:
        _bars(panels[3], rows, "short answers right", _right, colour=_RIGHT, most=1.0)
    for axes in panels:
        _plain(axes, len(rows))
    panels[0].set_yticks(range(len(rows)), [row.spec.label for row in rows], fontsize=7)
    machine = run.machine
    figure.suptitle(
        f"{machine['processor']}, {machine['cores']} cores"
        f"{', ' + str(machine['gpu']) if machine['gpu'] else ''}  ·  {machine['date']}",
        fontsize=8,
    )
    for text in figure.findobj(Words):
        text.set_fontfamily([font for font in FONTS if font in known])
    figure.savefig(file, dpi=150, format="png")


def _speeds(axes: Axes, rows: list[Row], run: Run) -> None:
    """Draw tokens a second over the bar of what memory bandwidth allows."""
    limits = [_limit(row, run.limits.get(row.device)) for row in rows]
    speeds = [row.figure("decode_tokens_per_s") or 0.0 for row in rows]
    axes.barh(range(len(rows)), [limit or 0.0 for limit in limits], color=_LIMIT, height=0.7)
    axes.barh(range(len(rows)), speeds, color=_BAR, height=0.4)
    longest = max([*speeds, *(limit or 0.0 for limit in limits), 1e-9])
    for place, (speed, limit) in enumerate(zip(speeds, limits, strict=True)):
        share = f" ({speed / limit:.0%})" if limit else ""
        at = max(speed, limit or 0.0) + longest / 50
        axes.text(at, place, f"{speed:.1f}{share}", va="center", fontsize=7)
    axes.set_xlim(0, longest * _MOST * 1.1)
    axes.set_title("tokens/s\n(grey: what the memory allows)", fontsize=8, loc="left")


def _bars(
    axes: Axes,
    rows: list[Row],
    title: str,
    value: Callable[[Row], float | None],
    *,
    colour: str = _BAR,
    most: float | None = None,
) -> None:
    values = [value(row) for row in rows]
    longest = most or max([*(v for v in values if v is not None), 1e-9])
    axes.barh(range(len(rows)), [v or 0.0 for v in values], color=colour, height=0.4)
    for place, found in enumerate(values):
        if found is not None:
            axes.text(found + longest / 40, place, f"{found:.2f}", va="center", fontsize=7)
    axes.set_xlim(0, longest * _MOST)
    axes.set_title(title, fontsize=8, loc="left")


def _plain(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _limit(row: Row, limits: Limits | None) -> float | None:
    found: float | None = row_json(row, limits)["limit_tokens_per_s"]
    return found


def _memory(row: Row) -> float | None:
    taken = row.device_bytes or row.peak_bytes
    return None if taken is None else taken / _GB


def _right(row: Row) -> float | None:
    return row.accuracy.contains if row.accuracy else None
