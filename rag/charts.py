"""Draws the figures of a run, and of the run before, with their intervals.

matplotlib is needed only for this, so it is no dependency of the app.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ConfigError
from rag.evaluation.intervals import intervals
from rag.evaluation.outcomes import SECONDS, Outcome, figures_of, value
from rag.words import Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rag.evaluation.runs import Comparison, Run

FONTS = (  # the first one that is there draws a letter; Chinese names of sets need one of these
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
)
_NOW, _BEFORE, _WORSE = "#1f5fae", "#6b7785", "#c0392b"
_ROW, _WIDE = 0.26, 8.0  # inches


def check(file: Path) -> None:
    """Say before anything is measured that a chart cannot be drawn.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError(
            Text(
                "Charts need matplotlib, which is not installed.", "绘图需要 matplotlib，尚未安装。"
            ),
            hint=Text(
                'Run `pip install "ragdesk[chart]"`, or leave --chart out.',
                '请运行 `pip install "ragdesk[chart]"`，或去掉 --chart。',
            ),
        )
    if not file.absolute().parent.is_dir():
        raise ConfigError(
            Text(f"There is no folder {file.parent}.", f"文件夹 {file.parent} 不存在。"),
            hint=Text("Make it, or name another file.", "请先创建它，或换一个文件名。"),
        )


def draw(file: Path, run: Run, comparison: Comparison | None = None) -> None:
    """Write a PNG: a row for each figure of each set, a dot and its 95 % interval."""
    from matplotlib import font_manager
    from matplotlib.figure import Figure
    from matplotlib.text import Text as Words

    known = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [font for font in FONTS if font in known]
    panels = [(name, run.of(name)) for name in run.sets]
    panels = [(name, outcomes) for name, outcomes in panels if _shown(outcomes)]
    heights = [len(_shown(outcomes)) + 2 for _, outcomes in panels] or [1]
    figure = Figure(
        figsize=(_WIDE, _ROW * sum(heights) + 0.8), layout="constrained", facecolor="white"
    )
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    for place, (name, outcomes) in enumerate(panels):
        axes = figure.add_subplot(grid[place])
        _draw_set(axes, name, outcomes, comparison)
    figure.suptitle(_title(run, comparison), fontsize=9)
    for text in figure.findobj(Words):
        text.set_fontfamily(fonts)
    figure.savefig(file, dpi=150, format="png")


def _shown(outcomes: Sequence[Outcome]) -> list[str]:
    return [f for f in figures_of(outcomes) if f not in SECONDS and value(outcomes, f) is not None]


def _draw_set(
    axes: Axes, name: str, outcomes: Sequence[Outcome], comparison: Comparison | None
) -> None:
    figures, bounds = _shown(outcomes), intervals(outcomes)
    before = {
        found.figure: found
        for change in (comparison.changes if comparison else ())
        if change.set == name and not change.language
        for found in change.differences
    }
    for row, figure in enumerate(figures):
        now = value(outcomes, figure) or 0.0
        low, high = bounds[figure]
        old = before.get(figure)
        colour = _WORSE if old and old.fell else _NOW
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(now, row, "o", color=colour, markersize=5, zorder=4)
        if old:
            axes.plot(
                old.before, row, "D", color=_BEFORE, markersize=5, markeredgecolor="white", zorder=3
            )
        axes.text(1.03, row, f"{now:.3f}", va="center", fontsize=7, color=colour)
    axes.set_yticks(range(len(figures)), figures, fontsize=7)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(len(figures) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(f"{name}  (n {len(outcomes)})", loc="left", fontsize=8)


def _title(run: Run, comparison: Comparison | None) -> str:
    parts = [
        str(run.settings.get("embedder", "")).partition("@")[0],
        str(run.settings.get("chunking", "")),
        str(run.settings.get("model") or ""),
    ]
    title = "  ·  ".join(filter(None, parts))
    if comparison is None:
        return f"{title}\n● figure and 95 % interval"
    return f"{title}\n● now, with its 95 % interval   ◆ run {comparison.before.id}   red: worse"
