"""What ``rag eval`` says about earlier runs: the list of them, and what changed since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from rag.cli.context import Context, print_json
from rag.words import Text

if TYPE_CHECKING:
    from rag.evaluation.intervals import Difference
    from rag.evaluation.runs import Change, Comparison
    from rag.store.evaluations import EvaluationRow


def show_runs(context: Context, rows: Sequence[EvaluationRow], *, as_json: bool) -> None:
    """List runs, the latest first."""
    if as_json:
        print_json({"runs": [_row_json(row) for row in rows]})
        return
    for row in rows:
        parts = [
            row.name,
            ",".join(row.sets),
            str(row.settings.get("embedder", "")).partition("@")[0],
            str(row.settings.get("chunking", "")),
            str(row.settings.get("model") or ""),
        ]
        typer.echo(f"{row.id:4}  {_when(row)}  " + "  ".join(filter(None, parts)))
    if not rows:
        typer.echo(context.say(Text("There is no run yet.", "还没有评测记录。")))


def show_comparison(context: Context, comparison: Comparison) -> None:
    """Print what differs from the run before: settings, then every figure that moved."""
    before = comparison.before
    name = f" ({before.name})" if before.name else ""
    typer.echo(
        context.say(
            Text(
                f"Compared with run {before.id}{name} of {_when(before)}, the same questions:",
                f"与第 {before.id} 次评测{name}（{_when(before)}）相比，同样的问题：",
            )
        )
    )
    for key, (old, new) in comparison.settings.items():
        typer.echo(f"  {key}: {old} → {new}")
    moved = [
        (change, found)
        for change in comparison.changes
        for found in change.differences
        if found.before != found.after
    ]
    for change, found in moved:
        colour = "red" if found.fell else "green" if found.rose else None
        typer.secho(f"  {_difference_words(context, change, found)}", fg=colour)
    if not moved:
        typer.echo("  " + context.say(Text("No figure changed.", "各项指标都没有变化。")))


def _difference_words(context: Context, change: Change, found: Difference) -> str:
    where = f"{change.set} {change.language}".strip()
    word = Text("within chance", "在偶然范围内")
    if found.fell:
        word = Text("WORSE", "变差")
    elif found.rose:
        word = Text("better", "变好")
    return (
        f"{where:20} {found.figure:24} {found.before:.3f} → {found.after:.3f}"
        f"  ({found.low:+.3f} … {found.high:+.3f}, n {found.questions})  {context.say(word)}"
    )


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return the part of ``--json`` about the run before."""
    return {
        **_row_json(comparison.before),
        "changed": {key: list(pair) for key, pair in comparison.settings.items()},
        "sets": [
            {
                "set": change.set,
                "language": change.language or None,
                "figures": {
                    found.figure: {
                        "n": found.questions,
                        "before": round(found.before, 4),
                        "after": round(found.after, 4),
                        "interval": [round(found.low, 4), round(found.high, 4)],
                        "fell": found.fell,
                    }
                    for found in change.differences
                },
            }
            for change in comparison.changes
        ],
        "fell": [
            {"set": change.set, "language": change.language or None, "figure": found.figure}
            for change, found in comparison.fell
        ],
    }


def _row_json(row: EvaluationRow) -> dict[str, Any]:
    return {
        "run": row.id,
        "name": row.name,
        "at": datetime.fromtimestamp(row.at).astimezone().isoformat(timespec="seconds"),
        "source": row.source,
        "sets": list(row.sets),
        "settings": row.settings,
    }


def _when(row: EvaluationRow) -> str:
    return f"{datetime.fromtimestamp(row.at).astimezone():%Y-%m-%d %H:%M}"
