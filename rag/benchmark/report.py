"""What ``rag bench`` prints: a table for people, and what changed since an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from rag.cli.context import Context, readable_bytes
from rag.words import Text

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from rag.benchmark.compare import Change, Comparison

_HEADS = (
    Text("precision", "精度"),
    Text("tokens/s", "词元/秒"),
    Text("of\nlimit", "占\n极限"),
    Text("prompt\n/s", "读取\n/秒"),
    Text("of\nlimit", "占\n极限"),
    Text("first\ntoken", "首个\n词元"),
    Text("follow-\nup", "追问"),
    Text("memory", "内存"),
    Text("context", "上下文"),
    Text("right", "答对"),
)


_WIDTHS = (9, 10, 5, 6, 5, 7, 7, 7, 7, 5)  # together 77 with what stands between them


def show(context: Context, run: Mapping[str, Any]) -> None:
    """Print the rows that ran, then those that did not with their reason."""
    ran = [row for row in run["rows"] if row["repetitions"]]
    for model in dict.fromkeys((row["model"], row["engine"]) for row in ran):
        own = [row for row in ran if (row["model"], row["engine"]) == model]
        typer.echo("  ".join(model))
        Console().print(_table(context, own))
    for row in run["rows"]:
        if row["reason"]:
            reason = context.say(Text(row["reason"]["en"], row["reason"]["zh"]))
            typer.echo(f"{_label(row)}: {reason}")
    for name, limits in run["machine"]["limits"].items():
        typer.echo(context.say(_limit_words(name, limits)))


def show_comparison(context: Context, comparison: Comparison) -> None:
    """Print every figure that both runs have."""
    for key, (old, new) in comparison.machine.items():
        typer.echo(f"  {key}: {old} → {new}")
    for change in comparison.changes:
        colour = "red" if change.slower else "green" if change.faster else None
        typer.secho(f"  {_change_words(context, change)}", fg=colour)
    for row in comparison.lost:
        lost = Text(f"  {row}: ran before, does not now", f"  {row}：以前能运行，现在不能")
        typer.secho(context.say(lost), fg="red")
    if not comparison.changes and not comparison.lost:
        nothing = Text("The two runs have no row in common.", "两次测量没有相同的行。")
        typer.echo(context.say(nothing))


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return the part of ``--json`` about the earlier run."""
    return {
        "machine": {key: list(pair) for key, pair in comparison.machine.items()},
        "figures": [
            {
                "row": change.row,
                "figure": change.figure,
                "before": change.before,
                "after": change.after,
                "noise": round(change.noise, 4),
                "slower": change.slower,
            }
            for change in comparison.changes
        ],
        "lost": list(comparison.lost),
        "fell": comparison.fell,
    }


def _table(context: Context, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for head, width in zip(_HEADS, _WIDTHS, strict=True):
        side: JustifyMethod = "left" if head is _HEADS[0] else "right"
        table.add_column(context.say(head), justify=side, min_width=width, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    accuracy = row["accuracy"]
    spread = row["spread"]["decode_tokens_per_s"]
    noise = f" ±{spread * 50:.0f}%" if spread else ""
    return [
        f"{row['precision']} {row['device'] if row['device'] != 'cpu' else ''}".strip(),
        _number(row["decode_tokens_per_s"], 1) + noise,
        _percent(row["share_of_limit"]),
        _number(row["prefill_tokens_per_s"], 0),
        _percent(row["prefill_share_of_limit"]),
        _seconds(row["first_token_s"]),
        _seconds(row["follow_up_s"]),
        readable_bytes(row["device_bytes"] or row["peak_bytes"] or 0),
        "" if row["max_context"] is None else f"{row['max_context']:,}",
        f"{accuracy['contains'] * accuracy['n']:.0f}/{accuracy['n']}" if accuracy else "",
    ]


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['model']} {row['precision']}".strip()


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _limit_words(device: str, limits: Mapping[str, Any]) -> Text:
    memory = max(limits["copy_bytes_per_s"], limits["read_bytes_per_s"]) / 1e9
    speeds = ", ".join(f"{name} {speed / 1e9:,.0f}" for name, speed in limits["flops"].items())
    return Text(
        f"limit of the {device}: {memory:.1f} GB/s of memory; billion operations a second: "
        f"{speeds}",
        f"{device} 的极限：内存 {memory:.1f} GB/s；每秒运算（十亿次）：{speeds}",
    )


def _change_words(context: Context, change: Change) -> str:
    word = Text("within the noise", "在噪声范围内")
    if change.slower:
        word = Text("SLOWER", "变慢")
    elif change.faster:
        word = Text("faster", "变快")
    return (
        f"{change.row:44} {change.figure:22} {change.before:g} → {change.after:g}"
        f"  (×{change.gain:.2f}, ±{change.noise:.0%})  {context.say(word)}"
    )
