"""What all charts share: matplotlib is looked for before anything is measured; one look.

matplotlib is needed only for this, so it is no dependency of the app.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import ConfigError
from rag.text.messages import Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FONTS = (  # the first one that is there draws a letter; Chinese names of sets need one of these
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
)


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


def empty(*, width: float, height: float) -> Figure:
    """Return a white page of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def panels(heights: list[int], *, width: float, row: float) -> tuple[Figure, list[Axes]]:
    """Return a page with a panel for each height, counted in rows of ``row`` inches."""
    heights = heights or [1]
    figure = empty(width=width, height=row * sum(heights) + 0.8)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    return figure, [figure.add_subplot(grid[place]) for place in range(len(heights))]


def as_rows(axes: Axes, count: int, *, fontsize: int = 7) -> None:
    """Lay a panel out as ``count`` rows, the first on top, with a grid behind them."""
    axes.set_ylim(count - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=fontsize)
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def save(figure: Figure, file: Path) -> None:
    """Write a PNG in fonts that know Chinese, as far as they are installed."""
    from matplotlib import font_manager
    from matplotlib.text import Text as Words

    known = {font.name for font in font_manager.fontManager.ttflist}
    for text in figure.findobj(Words):
        text.set_fontfamily([font for font in FONTS if font in known])
    figure.savefig(file, dpi=150, format="png")
