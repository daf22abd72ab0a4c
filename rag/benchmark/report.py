"""What ``rag bench`` shows: a table, what changed since an earlier run, a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from rag.errors import ConfigError
from rag.system import charts
from rag.text.messages import Language, Text
from rag.text.sizes import GIB, memory_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import JustifyMethod


LEAST_NOISE = 0.05
"""Two runs of a few answers differ by this much on an idle machine."""
FIGURES: Mapping[str, bool] = {"decode_tokens_per_s": True, "first_token_s": False}
"""What is compared, and whether more is better."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One figure of one row, before and after."""

    row: str
    figure: str
    before: float
    after: float
    noise: float  # share of the figure by which both runs' own answers differ

    @property
    def gain(self) -> float:
        """How much faster it became: 2 is twice as fast, whichever way the figure counts."""
        return self.after / self.before if FIGURES[self.figure] else self.before / self.after

    @property
    def slower(self) -> bool:
        """Whether it became slower than the noise explains."""
        return self.gain < 1 / (1 + self.noise)

    @property
    def faster(self) -> bool:
        """Whether it became faster than the noise explains."""
        return self.gain > 1 + self.noise


@dataclass(frozen=True, slots=True)
class BenchmarkComparison:
    """All rows that both runs have, and what else is different."""

    changes: tuple[RowChange, ...]
    machine: Mapping[str, tuple[Any, Any]]
    lost: tuple[str, ...]  # rows that ran before and do not now

    @property
    def fell(self) -> bool:
        """Whether anything became slower, or does not run any more."""
        return bool(self.lost) or any(change.slower for change in self.changes)

    def json(self) -> dict[str, Any]:
        """Return the part of ``--json`` about the earlier run."""
        return {
            "machine": {key: list(pair) for key, pair in self.machine.items()},
            "figures": [
                {**asdict(change), "noise": round(change.noise, 4), "slower": change.slower}
                for change in self.changes
            ],
            "lost": list(self.lost),
            "fell": self.fell,
        }


def load_run(file: Path) -> dict[str, Any]:
    """Read what ``rag bench --json`` printed.

    Raises:
        ConfigError: the file cannot be read, or is something else.
    """
    try:
        run = json.loads(file.read_text("utf-8"))
        if all(isinstance(row, dict) for row in run["rows"]) and isinstance(run["machine"], dict):
            return dict(run)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ConfigError(
        Text(
            f"{file} holds no result of rag bench.",
            f"{file} 不是 rag bench 的结果。",
        ),
        hint=Text(
            "Write one with `rag bench --json > FILE`.", "请用 `rag bench --json > FILE` 生成。"
        ),
    )


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> BenchmarkComparison:
    """Compare two runs, rows of the same model, engine, precision and device with each other."""
    old = {_key(row): row for row in before["rows"]}
    new = {_key(row): row for row in after["rows"]}
    changes = [
        change
        for key, row in new.items()
        if key in old
        for change in _changes(_label(row), old[key], row)
    ]
    lost = [
        _label(row) for key, row in old.items() if _ran(row) and key in new and not _ran(new[key])
    ]
    return BenchmarkComparison(tuple(changes), _machines(before, after), tuple(lost))


def _ran(row: Mapping[str, Any]) -> bool:
    return bool(row.get("decode_tokens_per_s"))


def _changes(label: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RowChange]:
    found = []
    for figure in FIGURES:
        was, now = before.get(figure), after.get(figure)
        if was and now:
            noise = max(LEAST_NOISE, *(_spread(row, figure) for row in (before, after)))
            found.append(RowChange(label, figure, was, now, noise))
    return found


def _spread(row: Mapping[str, Any], figure: str) -> float:
    return float((row.get("spread") or {}).get(figure) or 0.0)


def _machines(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what is different about the machines, packages one by one."""
    old, new = (_flat(run["machine"]) for run in (before, after))
    return {key: (old[key], new[key]) for key in new if key in old and old[key] != new[key]}


def _flat(machine: Mapping[str, Any]) -> dict[str, Any]:
    passing = {"packages", "limits", "date", "load_average"}
    lasting = {key: value for key, value in machine.items() if key not in passing}
    return {**lasting, **machine.get("packages", {})}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # a row that did not run does not know its device
    return tuple(row.get(name) for name in ("engine", "model", "precision"))


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['model']} {row['precision']}".strip()


Line = tuple[str, str | None]
"""Words and their colour."""
_COLUMNS = (  # heads and widths: together 77 with what stands between them
    (Text("precision", "精度"), 9),
    (Text("tokens/s", "词元/秒"), 10),
    (Text("of\nlimit", "占\n极限"), 5),
    (Text("prompt\n/s", "读取\n/秒"), 6),
    (Text("of\nlimit", "占\n极限"), 5),
    (Text("first\ntoken", "首个\n词元"), 7),
    (Text("follow-\nup", "追问"), 7),
    (Text("memory", "内存"), 7),
    (Text("context", "上下文"), 7),
    (Text("right", "答对"), 5),
)
_BAR, _LIMIT, _RIGHT = "#1f5fae", "#c9d3de", "#2e7d4f"
_ROW, _WIDE = 0.34, 11.0  # inches
_MOST = 1.22  # of the longest bar: room for its figure


def shown(run: Mapping[str, Any], language: Language) -> Iterator[Line | Table]:
    """Yield the rows that ran, then those that did not with their reason, then the limits."""
    ran = [row for row in run["rows"] if row["repetitions"]]
    for model in dict.fromkeys((row["model"], row["engine"]) for row in ran):
        yield "  ".join(model), None
        yield _table([row for row in ran if (row["model"], row["engine"]) == model], language)
    for row in run["rows"]:
        if row["reason"]:
            yield f"{_label(row)}: {row['reason'][language]}", None
    for name, limits in run["machine"]["limits"].items():
        yield _limit_words(name, limits).say(language), None


def compared(comparison: BenchmarkComparison, language: Language) -> Iterator[Line]:
    """Yield every figure that both runs have."""
    for key, (old, new) in comparison.machine.items():
        yield f"  {key}: {old} → {new}", None
    for change in comparison.changes:
        colour = "red" if change.slower else "green" if change.faster else None
        yield f"  {_change_words(change).say(language)}", colour
    for row in comparison.lost:
        lost = Text(f"  {row}: ran before, does not now", f"  {row}：以前能运行，现在不能")
        yield lost.say(language), "red"
    if not comparison.changes and not comparison.lost:
        nothing = Text("The two runs have no row in common.", "两次测量没有相同的行。")
        yield nothing.say(language), None


def _table(rows: Sequence[Mapping[str, Any]], language: Language) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for number, (head, width) in enumerate(_COLUMNS):
        side: JustifyMethod = "right" if number else "left"
        table.add_column(head.say(language), justify=side, min_width=width, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    accuracy = row["accuracy"]
    spread = row["spread"]["decode_tokens_per_s"]
    noise = f" ±{spread * 50:.0f}%" if spread else ""
    yield f"{row['precision']} {row['device'] if row['device'] != 'cpu' else ''}".strip()
    yield _said(row["decode_tokens_per_s"], ",.1f") + noise
    yield _said(row["share_of_limit"], ".0%")
    yield _said(row["prefill_tokens_per_s"], ",.0f")
    yield _said(row["prefill_share_of_limit"], ".0%")
    yield _said(row["first_token_s"], ".2f", " s")
    yield _said(row["follow_up_s"], ".2f", " s")
    yield memory_size(row["device_bytes"] or row["peak_bytes"] or 0)
    yield _said(row["max_context"], ",")
    yield f"{accuracy['contains'] * accuracy['n']:.0f}/{accuracy['n']}" if accuracy else ""


def _said(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _limit_words(device: str, limits: Mapping[str, Any]) -> Text:
    memory = max(limits["copy_bytes_per_s"], limits["read_bytes_per_s"]) / 1e9
    speeds = ", ".join(f"{name} {speed / 1e9:,.0f}" for name, speed in limits["flops"].items())
    return Text(
        f"limit of the {device}: {memory:.1f} GB/s of memory; billion operations a second: "
        f"{speeds}",
        f"{device} 的极限：内存 {memory:.1f} GB/s；每秒运算（十亿次）：{speeds}",
    )


def _change_words(change: RowChange) -> Text:
    word = Text("within the noise", "在噪声范围内")
    if change.slower:
        word = Text("SLOWER", "变慢")
    elif change.faster:
        word = Text("faster", "变快")
    figures = (
        f"{change.row:44} {change.figure:22} {change.before:g} → {change.after:g}"
        f"  (×{change.gain:.2f}, ±{change.noise:.0%})  "
    )
    return Text(figures + word.en, figures + word.zh)


def draw(file: Path, run: Mapping[str, Any]) -> None:
    """Write a PNG: a row for each row that ran, in three or four panels."""
    rows = [row for row in run["rows"] if row["repetitions"]]
    judged = any(row["accuracy"] for row in rows)
    figure = charts.empty(width=_WIDE, height=_ROW * max(1, len(rows)) + 1.3)
    panels = figure.subplots(1, 4 if judged else 3, sharey=True, squeeze=False)[0]
    _speeds(panels[0], rows)
    _bars(panels[1], "first token, s", [row["first_token_s"] for row in rows])
    taken = [row["device_bytes"] or row["peak_bytes"] for row in rows]
    _bars(panels[2], "peak memory, GiB", [used and used / GIB for used in taken])
    if judged:
        right = [row["accuracy"] and row["accuracy"]["contains"] for row in rows]
        _bars(panels[3], "short answers right", right, colour=_RIGHT, most=1.0)
    for axes in panels:
        charts.as_rows(axes, len(rows))
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=7)
    machine = run["machine"]
    card = f", {machine['gpu']}" if machine["gpu"] else ""
    title = f"{machine['processor']}, {machine['cores']} cores{card}  ·  {machine['date']}"
    figure.suptitle(title, fontsize=8)
    charts.save(figure, file)


def _speeds(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw tokens a second over the bar of what memory bandwidth allows."""
    limits = [row["limit_tokens_per_s"] or 0.0 for row in rows]
    speeds = [row["decode_tokens_per_s"] or 0.0 for row in rows]
    longest = max([*speeds, *limits, 1e-9])
    axes.barh(range(len(rows)), limits, color=_LIMIT, height=0.7)
    axes.barh(range(len(rows)), speeds, color=_BAR, height=0.4)
    for place, (speed, limit) in enumerate(zip(speeds, limits, strict=True)):
        share = f" ({speed / limit:.0%})" if limit else ""
        at = max(speed, limit) + longest / 50
        axes.text(at, place, f"{speed:.1f}{share}", va="center", fontsize=7)
    axes.set_xlim(0, longest * _MOST * 1.1)
    axes.set_title("tokens/s\n(grey: what the memory allows)", fontsize=8, loc="left")


def _bars(
    axes: Axes,
    title: str,
    values: Sequence[float | None],
    *,
    colour: str = _BAR,
    most: float | None = None,
) -> None:
    longest = most or max([*(v for v in values if v is not None), 1e-9])
    axes.barh(range(len(values)), [v or 0.0 for v in values], color=colour, height=0.4)
    for place, found in enumerate(values):
        if found is not None:
            axes.text(found + longest / 40, place, f"{found:.2f}", va="center", fontsize=7)
    axes.set_xlim(0, longest * _MOST)
    axes.set_title(title, fontsize=8, loc="left")
