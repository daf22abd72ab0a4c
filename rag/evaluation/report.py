"""What ``rag eval`` prints: a table for people, an object for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from rag.cli.context import Context, print_json
from rag.words import Text

if TYPE_CHECKING:
    from rag.cli.wanted import Measured
    from rag.evaluation.answers import AnswerFigures
    from rag.evaluation.intervals import Interval
    from rag.evaluation.outcomes import Outcome
MODES = ("shared", "single")
_GROUPS: Mapping[str, tuple[str, str]] = {  # what their n counts
    "citation": ("citation.page_precision", "page_precision"),
    "answer": ("answer.f1", "exact contains f1 grade"),
    "abstention": ("abstention.recall", "precision recall f1 false_refusals"),
    "gate": ("gate.recall", "precision recall f1 false_refusals"),
}


def show(context: Context, found: Measured, *, as_json: bool) -> None:
    """Print what was measured."""
    if as_json:
        print_json(measured_json(found))
        return
    typer.echo(
        f"{'':16} {'':4} {'':7} {'n':>5} {'hit@1':>6} {'hit@5':>6} {'95 %':^12} {'hit@10':>6}"
        f" {'mrr':>6}"
    )
    for name in found.run.sets:
        _show_set(context, found, name)
    if found.unkept is not None:
        typer.secho(context.say(found.unkept), fg="yellow", err=True)
    elif found.number:
        typer.echo(
            context.say(
                Text(
                    f"kept as run {found.number}; --compare shows what changes from here",
                    f"已保存为第 {found.number} 次评测；以后用 --compare 查看变化",
                )
            )
        )


def _show_set(context: Context, found: Measured, name: str) -> None:
    from rag.evaluation.intervals import intervals

    outcomes = found.run.of(name)
    for language, spoken in by_language(outcomes).items():
        bounds = intervals(spoken)
        for mode in MODES:
            if f"{mode}.hit@1" in bounds:
                _line(name, language, mode, spoken, bounds)
        if "ndcg@10" in bounds:
            _text_line(name, language, spoken, bounds)
    if left := found.run.left_out.get(name):
        parts = ", ".join(f"{reason} {count}" for reason, count in sorted(left.items()))
        typer.echo("  " + context.say(Text(f"left out: {parts}", f"未计入：{parts}")))
    row = set_json(outcomes)
    if "gate" in row and row["gate"]["n"]:
        typer.echo("  " + _gate_words(context, row["gate"]))
    if "citation" in row:
        answered = sum(1 for one in outcomes if "seconds.answer" in one.shares)
        typer.echo("  " + _answer_words(context, row, answered))


def _line(
    name: str,
    language: str,
    mode: str,
    outcomes: Sequence[Outcome],
    bounds: Mapping[str, Interval],
) -> None:
    from rag.evaluation.outcomes import counted, value

    hit1, hit5, hit10, mrr = (
        value(outcomes, f"{mode}.{figure}") or 0.0 for figure in ("hit@1", "hit@5", "hit@10", "mrr")
    )
    low, high = bounds[f"{mode}.hit@5"]
    typer.echo(
        f"{name:16} {language:4} {mode:7} {counted(outcomes, f'{mode}.hit@1'):5}"
        f" {hit1:6.3f} {hit5:6.3f} {f'{low:.3f}-{high:.3f}':^12} {hit10:6.3f} {mrr:6.3f}"
    )


def _text_line(
    name: str, language: str, outcomes: Sequence[Outcome], bounds: Mapping[str, Interval]
) -> None:
    from rag.evaluation.outcomes import value

    parts = []
    for figure in ("ndcg@10", "recall@100", "hit@1", "hit@5"):
        low, high = bounds[figure]
        parts.append(f"{figure} {value(outcomes, figure) or 0.0:.3f} ({low:.3f}-{high:.3f})")
    typer.echo(f"{name} {language} {len(outcomes)}  " + "  ".join(parts))


def by_language(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return all outcomes under "", and those of each language where there are several."""
    languages = sorted({one.language for one in outcomes})
    found = {"": list(outcomes)}
    for language in languages if len(languages) > 1 else ():
        found[language] = [one for one in outcomes if one.language == language]
    return found


def measured_json(found: Measured) -> dict[str, Any]:
    """Return the object of ``--json``."""
    from rag.cli.comparing import comparison_json
    from rag.evaluation.intervals import intervals

    sets = {}
    for name in found.run.sets:
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
    compared = comparison_json(found.comparison) if found.comparison else None
    return {
        "sets": sets,
        "space": dict(found.space),
        "model": found.model,
        "settings": dict(found.run.settings),
        "run": found.number or None,
        **({"compared": compared} if compared else {}),
    }


def set_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the figures of some outcomes as the contract groups them."""
    from rag.evaluation.outcomes import SECONDS, counted, figures_of

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


def _rounded(outcomes: Sequence[Outcome], figure: str) -> float | None:
    from rag.evaluation.outcomes import value

    found = value(outcomes, figure)
    return None if found is None else round(found, 4)


def said(value: float | None) -> str:
    """Return a figure with three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def _gate_words(context: Context, row: Mapping[str, Any]) -> str:
    precision, recall = said(row["precision"]), said(row["recall"])
    false = said(row["false_refusals"])
    return context.say(
        Text(
            f"refused before a model is asked: P {precision} R {recall} F1 {said(row['f1'])} of"
            f" {row['n']} without an answer; {false} of the others",
            f"不问模型即拒答：P {precision} R {recall} F1 {said(row['f1'])}"
            f"（无答案 {row['n']}）；误拒 {false}",
        )
    )


def _answer_words(context: Context, row: Mapping[str, Any], answered: int) -> str:
    cited, answer, refusal = row["citation"], row["answer"], row["abstention"]
    return context.say(
        Text(
            f"answers {answered}: right page cited {said(cited['page_precision'])} of"
            f" {cited['n']}; exact {said(answer['exact'])}, F1 {said(answer['f1'])}, right"
            f" {said(answer['grade'])} of {answer['n']}; refusals P {said(refusal['precision'])}"
            f" R {said(refusal['recall'])}, {refusal['n']} without an answer;"
            f" {row['seconds_per_question']:.1f} s each",
            f"回答 {answered}：引用页正确 {said(cited['page_precision'])}"
            f"（{cited['n']}）；完全一致 {said(answer['exact'])}，F1 {said(answer['f1'])}，"
            f"判对 {said(answer['grade'])}（{answer['n']}）；拒答 P {said(refusal['precision'])}"
            f" R {said(refusal['recall'])}（无答案 {refusal['n']}）；"
            f"每题 {row['seconds_per_question']:.1f} 秒",
        )
    )


def answer_lines(figures: AnswerFigures) -> str:
    """Return what became of each question, one JSON object a line."""
    lines = [
        json.dumps(
            {
                "set": figures.name,
                "id": one.question.id,
                "question": one.question.text,
                "answer": one.answer.text,
                "verdict": one.answer.verdict,
                "right_page": one.right_page,
                "score": asdict(one.score) if one.score else None,
                "seconds": round(one.seconds, 2),
                "first_token_s": round(one.answer.usage.first_token_s, 2),
                "prompt_tokens": one.answer.usage.prompt_tokens,
            },
            ensure_ascii=False,
        )
        for one in figures.answered
    ]
    return "".join(f"{line}\n" for line in lines)
