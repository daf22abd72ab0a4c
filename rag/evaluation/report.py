"""What ``rag eval`` shows: a table for people, an object for scripts, earlier runs, a chart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.evaluation.runs import (
    SECONDS,
    Difference,
    Interval,
    QuestionOutcome,
    by_language,
    counted,
    figures_of,
    intervals,
    value,
)
from rag.system import charts
from rag.text.messages import Language, Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rag.evaluation.asking import Answered
    from rag.evaluation.measure import Measured
    from rag.evaluation.runs import EvaluationRun, RunComparison
    from rag.storage.evaluations import EvaluationRow

Line = tuple[str, str | None]
"""Words and their colour."""
MODES = ("shared", "single")
_GROUPS: Mapping[str, tuple[str, str]] = {  # what their n counts
    "citation": ("citation.page_precision", "page_precision"),
    "answer": ("answer.f1", "exact contains f1 grade"),
    "abstention": ("abstention.recall", "precision recall f1 false_refusals"),
    "gate": ("gate.recall", "precision recall f1 false_refusals"),
}
_HEAD = f"{'':29} {'n':>5} {'hit@1':>6} {'hit@5':>6} {'95 %':^12} {'hit@10':>6} {'mrr':>6}"
_NOW, _BEFORE, _WORSE = "#1f5fae", "#6b7785", "#c0392b"
_ROW, _WIDE = 0.26, 8.0  # inches


# ---- the table ----------------------------------------------------------------------------


def shown(found: Measured, language: Language) -> Iterator[Line]:
    """Yield the table of what was measured, and under which number it is kept."""
    yield _HEAD, None
    for name in found.run.row.sets:
        for line in _set_lines(found.run, name, language):
            yield line, None
    if found.number and found.unkept is None:
        kept = Text(
            f"kept as run {found.number}; --compare shows what changes from here",
            f"已保存为第 {found.number} 次评测；以后用 --compare 查看变化",
        )
        yield kept.say(language), None


def _set_lines(run: EvaluationRun, name: str, language: Language) -> Iterator[str]:
    outcomes = run.of(name)
    for spoken_in, spoken in by_language(outcomes).items():
        bounds = intervals(spoken)
        for mode in MODES:
            if f"{mode}.hit@1" in bounds:
                yield _page_line(name, spoken_in, mode, spoken, bounds)
        if "ndcg@10" in bounds:
            yield _text_line(name, spoken_in, spoken, bounds)
    if left := run.left_out.get(name):
        parts = ", ".join(f"{reason} {count}" for reason, count in sorted(left.items()))
        yield "  " + Text(f"left out: {parts}", f"未计入：{parts}").say(language)
    row = set_json(outcomes)
    if "gate" in row and row["gate"]["n"]:
        yield "  " + _gate_words(row["gate"]).say(language)
    if "citation" in row:
        answered = sum(1 for one in outcomes if SECONDS[1] in one.shares)
        yield "  " + _answer_words(row, answered).say(language)


def _page_line(
    name: str,
    language: str,
    mode: str,
    outcomes: Sequence[QuestionOutcome],
    bounds: Mapping[str, Interval],
) -> str:
    hit1, hit5, hit10, mrr = (
        value(outcomes, f"{mode}.{figure}") or 0.0 for figure in ("hit@1", "hit@5", "hit@10", "mrr")
    )
    low, high = bounds[f"{mode}.hit@5"]
    return (
        f"{name:16} {language:4} {mode:7} {counted(outcomes, f'{mode}.hit@1'):5}"
        f" {hit1:6.3f} {hit5:6.3f} {f'{low:.3f}-{high:.3f}':^12} {hit10:6.3f} {mrr:6.3f}"
    )


def _text_line(
    name: str, language: str, outcomes: Sequence[QuestionOutcome], bounds: Mapping[str, Interval]
) -> str:
    parts = []
    for figure in ("ndcg@10", "recall@100", "hit@1", "hit@5"):
        low, high = bounds[figure]
        parts.append(f"{figure} {value(outcomes, figure) or 0.0:.3f} ({low:.3f}-{high:.3f})")
    return f"{name} {language} {len(outcomes)}  " + "  ".join(parts)


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _gate_words(row: Mapping[str, Any]) -> Text:
    precision, recall = _said(row["precision"]), _said(row["recall"])
    false = _said(row["false_refusals"])
    return Text(
        f"refused before a model is asked: P {precision} R {recall} F1 {_said(row['f1'])} of"
        f" {row['n']} without an answer; {false} of the others",
        f"不问模型即拒答：P {precision} R {recall} F1 {_said(row['f1'])}"
        f"（无答案 {row['n']}）；误拒 {false}",
    )


def _answer_words(row: Mapping[str, Any], answered: int) -> Text:
    cited, answer, refusal = row["citation"], row["answer"], row["abstention"]
    return Text(
        f"answers {answered}: right page cited {_said(cited['page_precision'])} of"
        f" {cited['n']}; exact {_said(answer['exact'])}, F1 {_said(answer['f1'])}, right"
        f" {_said(answer['grade'])} of {answer['n']}; refusals P {_said(refusal['precision'])}"
        f" R {_said(refusal['recall'])}, {refusal['n']} without an answer;"
        f" {row['seconds_per_question']:.1f} s each",
        f"回答 {answered}：引用页正确 {_said(cited['page_precision'])}"
        f"（{cited['n']}）；完全一致 {_said(answer['exact'])}，F1 {_said(answer['f1'])}，"
        f"判对 {_said(answer['grade'])}（{answer['n']}）；拒答 P {_said(refusal['precision'])}"
        f" R {_said(refusal['recall'])}（无答案 {refusal['n']}）；"
        f"每题 {row['seconds_per_question']:.1f} 秒",
    )


# ---- JSON ---------------------------------------------------------------------------------


def measured_json(found: Measured) -> dict[str, Any]:
    """Return the object of ``--json``."""
    sets = {}
    for name in found.run.row.sets:
        outcomes = found.run.of(name)
        row = set_json(outcomes)
        if name in found.run.left_out:
            row["left_out"] = dict(found.run.left_out[name])
        row["intervals"] = {
            figure: [round(low, 4), round(high, 4)]
            for figure, (low, high) in intervals(outcomes).items()
        }
        row["languages"] = {
            language: set_json([one for one in outcomes if one.language == language])
            for language in sorted({one.language for one in outcomes})
        }
        sets[name] = row
    return {
        "sets": sets,
        "space": dict(found.version),
        "model": found.run.row.settings.get("model"),
        "settings": dict(found.run.row.settings),
        "run": found.number or None,
        **({"compared": comparison_json(found.comparison)} if found.comparison else {}),
    }


def set_json(outcomes: Sequence[QuestionOutcome]) -> dict[str, Any]:
    """Return the figures of some outcomes as the contract groups them."""
    names = figures_of(outcomes)
    searched = counted(outcomes, "shared.hit@1")
    row: dict[str, Any] = {"n": len(outcomes) if "ndcg@10" in names else searched}
    for figure in names:
        group, _, figure_name = figure.rpartition(".")
        if group in MODES:
            row.setdefault(group, {})[figure_name] = _rounded(outcomes, figure)
        elif not group:
            row[figure] = _rounded(outcomes, figure)
    asked = SECONDS[1] in names
    for group, (count, figures) in _GROUPS.items():
        if (group == "gate" and f"{group}.f1" in names) or (asked and group != "gate"):
            row[group] = {f: _rounded(outcomes, f"{group}.{f}") for f in figures.split()}
            row[group]["n"] = counted(outcomes, count)
            if group in {"abstention", "gate"} and not row[group]["n"]:
                row[group]["f1"] = None
    row["seconds_per_question"] = _rounded(outcomes, SECONDS[asked]) or 0.0
    return row


def _rounded(outcomes: Sequence[QuestionOutcome], figure: str) -> float | None:
    found = value(outcomes, figure)
    return None if found is None else round(found, 4)


def details(answered: Iterable[Answered]) -> str:
    """Return what became of each question, one JSON object a line."""
    rows = (
        {
            "set": one.question.set,
            "id": one.question.id,
            "question": one.question.text,
            "answer": one.answer.text,
            "verdict": one.answer.verdict,
            "right_page": one.right_page,
            "score": asdict(one.score) if one.score else None,
            "seconds": round(one.seconds, 2),
            "first_token_s": round(one.answer.usage.first_token_s, 2),
            "prompt_tokens": one.answer.usage.prompt_tokens,
        }
        for one in answered
    )
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


# ---- earlier runs -------------------------------------------------------------------------


def run_lines(rows: Sequence[EvaluationRow], language: Language) -> Iterator[Line]:
    """Yield runs, the latest first."""
    for row in rows:
        parts = [row.name, ",".join(row.sets), *_in_brief(row.settings)]
        yield f"{row.id:4}  {_when(row)}  " + "  ".join(filter(None, parts)), None
    if not rows:
        yield Text("There is no run yet.", "还没有评测记录。").say(language), None


def compared(comparison: RunComparison, language: Language) -> Iterator[Line]:
    """Yield what differs from the run before: settings, then every figure that moved."""
    before = comparison.before
    name = f" ({before.name})" if before.name else ""
    title = Text(
        f"Compared with run {before.id}{name} of {_when(before)}, the same questions:",
        f"与第 {before.id} 次评测{name}（{_when(before)}）相比，同样的问题：",
    )
    yield title.say(language), None
    for key, (old, new) in comparison.settings.items():
        yield f"  {key}: {old} → {new}", None
    moved = [change for change in comparison.changes if change.before != change.after]
    for change in moved:
        colour = "red" if change.fell else "green" if change.rose else None
        yield f"  {_change_words(change).say(language)}", colour
    if not moved:
        yield "  " + Text("No figure changed.", "各项指标都没有变化。").say(language), None


def _change_words(change: Difference) -> Text:
    where = f"{change.set} {change.language}".strip()
    word = Text("within chance", "在偶然范围内")
    if change.fell:
        word = Text("WORSE", "变差")
    elif change.rose:
        word = Text("better", "变好")
    figures = (
        f"{where:20} {change.figure:24} {change.before:.3f} → {change.after:.3f}"
        f"  ({change.low:+.3f} … {change.high:+.3f}, n {change.questions})  "
    )
    return Text(figures + word.en, figures + word.zh)


def comparison_json(comparison: RunComparison) -> dict[str, Any]:
    """Return the part of ``--json`` about the run before."""
    sets = groupby(comparison.changes, key=_where)
    return {
        **run_json(comparison.before),
        "changed": {key: list(pair) for key, pair in comparison.settings.items()},
        "sets": [
            {
                "set": name,
                "language": language,
                "figures": {
                    found.figure: {
                        "n": found.questions,
                        "before": round(found.before, 4),
                        "after": round(found.after, 4),
                        "interval": [round(found.low, 4), round(found.high, 4)],
                        "fell": found.fell,
                    }
                    for found in changes
                },
            }
            for (name, language), changes in sets
        ],
        "fell": [
            {"set": change.set, "language": change.language or None, "figure": change.figure}
            for change in comparison.fell
        ],
    }


def _where(change: Difference) -> tuple[str, str | None]:
    return change.set, change.language or None


def run_json(row: EvaluationRow) -> dict[str, Any]:
    """Return a run as the list of ``--runs --json`` has it."""
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


def _in_brief(settings: Mapping[str, Any]) -> list[str]:
    """Return embedder, cutting and model; "" where one is not known."""
    embedder = str(settings.get("embedder", "")).partition("@")[0]
    return [embedder, str(settings.get("chunking", "")), str(settings.get("model") or "")]


# ---- the chart ----------------------------------------------------------------------------


def draw(file: Path, run: EvaluationRun, comparison: RunComparison | None = None) -> None:
    """Write a PNG: a row for each figure of each set, a dot and its 95 % interval."""
    sets = [(name, run.of(name)) for name in run.row.sets]
    sets = [(name, outcomes) for name, outcomes in sets if _drawn(outcomes)]
    heights = [len(_drawn(outcomes)) + 2 for _, outcomes in sets]
    figure, panels = charts.panels(heights, width=_WIDE, row=_ROW)
    for axes, (name, outcomes) in zip(panels, sets, strict=False):
        _draw_set(axes, name, outcomes, comparison)
    title = "  ·  ".join(filter(None, _in_brief(run.row.settings)))
    key = "● figure and 95 % interval"
    if comparison is not None:
        before = comparison.before.id
        key = f"● now, with its 95 % interval   ◆ run {before}   red: worse"
    figure.suptitle(f"{title}\n{key}", fontsize=9)
    charts.save(figure, file)


def _drawn(outcomes: Sequence[QuestionOutcome]) -> list[str]:
    return [f for f in figures_of(outcomes) if f not in SECONDS and value(outcomes, f) is not None]


def _draw_set(
    axes: Axes, name: str, outcomes: Sequence[QuestionOutcome], comparison: RunComparison | None
) -> None:
    figures, bounds = _drawn(outcomes), intervals(outcomes)
    before = {
        change.figure: change
        for change in (comparison.changes if comparison else ())
        if _where(change) == (name, None)
    }
    for row, figure in enumerate(figures):
        now = value(outcomes, figure) or 0.0
        old = before.get(figure)
        colour = _WORSE if old and old.fell else _NOW
        axes.plot(bounds[figure], [row, row], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(now, row, "o", color=colour, markersize=5, zorder=4)
        if old:
            axes.plot(
                old.before, row, "D", color=_BEFORE, markersize=5, markeredgecolor="white", zorder=3
            )
        axes.text(1.03, row, f"{now:.3f}", va="center", fontsize=7, color=colour)
    axes.set_yticks(range(len(figures)), figures, fontsize=7)
    axes.set_xlim(-0.02, 1.02)
    charts.as_rows(axes, len(figures))
    axes.set_title(f"{name}  (n {len(outcomes)})", loc="left", fontsize=8)
