"""Draws what bandwidth allows each card: a bar a card, its colour the precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag.charts import FONTS
from rag.models.gpu_guide import Gpu, Outlook
from rag.models.plan_words import PRECISIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"none": "#1f5fae", "int8": "#7a6fb0", "nf4": "#2a9d8f", None: "#6b7785"}
_WIDE, _ROW = 8.0, 0.2  # inches


def draw(file: Path, rows: Sequence[Sequence[Outlook]], mine: Gpu | None) -> None:
    """Write a PNG: a panel a model, a bar for each card that holds all of it; or one card's."""
    from matplotlib import font_manager
    from matplotlib.figure import Figure
    from matplotlib.text import Text as Words

    panels = _panels(rows)
    known = {font.name for font in font_manager.fontManager.ttflist}
    heights = [len(bars) + 2 for _, bars in panels] or [1]
    figure = Figure(
        figsize=(_WIDE, _ROW * sum(heights) + 0.8), layout="constrained", facecolor="white"
    )
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    for place, (title, bars) in enumerate(panels):
        _draw_panel(figure.add_subplot(grid[place]), title, bars, mine)
    figure.suptitle("tokens/s that memory bandwidth allows at most (computed)", fontsize=9)
    for text in figure.findobj(Words):
        text.set_fontfamily([font for font in FONTS if font in known])
    figure.savefig(file, dpi=150, format="png")


def _panels(rows: Sequence[Sequence[Outlook]]) -> list[tuple[str, list[tuple[str, Outlook]]]]:
    """Return titles with their bars, fastest first; what does not fit whole has no bar."""
    if len(rows) == 1:
        bars = [(outlook.plan.model, outlook) for outlook in rows[0] if outlook.tokens_per_second]
        return [(rows[0][0].gpu.name, _sorted(bars))]
    panels = []
    for column in zip(*rows, strict=True):
        bars = [(outlook.gpu.name, outlook) for outlook in column if outlook.tokens_per_second]
        if bars:
            panels.append((column[0].plan.model, _sorted(bars)))
    return panels


def _sorted(bars: list[tuple[str, Outlook]]) -> list[tuple[str, Outlook]]:
    return sorted(bars, key=lambda bar: -(bar[1].tokens_per_second or 0))


def _draw_panel(
    axes: Axes, title: str, bars: Sequence[tuple[str, Outlook]], mine: Gpu | None
) -> None:
    for row, (_, outlook) in enumerate(bars):
        speed = outlook.tokens_per_second or 0
        precision = outlook.plan.layout.precision
        axes.barh(row, speed, height=0.7, color=_COLOURS[precision])
        words = PRECISIONS[precision].en if precision else "GGUF"
        axes.text(speed, row, f" {speed:.0f}  {words}", va="center", fontsize=6)
    names = [f"{name} ◀" if mine and outlook.gpu == mine else name for name, outlook in bars]
    axes.set_yticks(range(len(bars)), names, fontsize=6)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=6)
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.15)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, loc="left", fontsize=8)
