"""Compares a benchmark with an earlier one: what became slower than the noise explains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ConfigError
from rag.text.messages import Text

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
                {
                    "row": change.row,
                    "figure": change.figure,
                    "before": change.before,
                    "after": change.after,
                    "noise": round(change.noise, 4),
                    "slower": change.slower,
                }
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
        _label(row)
        for key, row in old.items()
        if row.get("decode_tokens_per_s") and key in new and not _ran(new[key])
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
    keys: Sequence[str] = [key for key in new if key in old and old[key] != new[key]]
    return {key: (old[key], new[key]) for key in keys}


def _flat(machine: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in machine.items():
        if key == "packages":
            found.update(value)
        elif key not in {"limits", "date", "load_average"}:
            found[key] = value
    return found


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # a row that did not run does not know its device
    return tuple(row.get(name) for name in ("engine", "model", "precision"))


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['model']} {row['precision']}".strip()
