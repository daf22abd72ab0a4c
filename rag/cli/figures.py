"""What ``rag eval`` prints: a table for people, an object for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from rag.cli.context import Context, print_json
from rag.words import Text

if TYPE_CHECKING:
    from rag.measure.answers import AnswerFigures
    from rag.measure.retrieval import PageFigures, TextFigures


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a folder; each list has one entry a set."""

    pages: list[PageFigures]
    answers: list[AnswerFigures]
    space: dict[str, Any]
    model: str | None


def show_texts(found: tuple[TextFigures, dict[str, Any]], *, as_json: bool) -> None:
    """Print what came of a collection of texts, and how it was indexed."""
    figures, space = found
    values = {
        "ndcg@10": figures.ndcg_at_10,
        "recall@100": figures.recall_at_100,
        "hit@1": figures.hit_at_1,
        "hit@5": figures.hit_at_5,
    }
    if as_json:
        row = {"n": figures.queries, **values, "seconds_per_question": figures.seconds_per_question}
        print_json({"sets": {figures.name: row}, "space": space, "model": None})
        return
    typer.echo(
        f"{figures.name}: {figures.queries} / {figures.texts}  "
        + "  ".join(f"{name} {value:.3f}" for name, value in values.items())
    )


def show_pages(context: Context, found: Measured, *, as_json: bool) -> None:
    """Print what came of a folder of PDFs."""
    answers = {one.name: one for one in found.answers}
    if as_json:
        rows = {
            one.name: {
                **_page_json(one),
                **(_answer_json(answers[one.name]) if one.name in answers else {}),
            }
            for one in found.pages
        }
        print_json({"sets": rows, "space": found.space, "model": found.model})
        return
    typer.echo(f"{'':14} {'':7} {'n':>5} {'hit@1':>6} {'hit@5':>6} {'hit@10':>6} {'mrr':>6}")
    for one in found.pages:
        for mode in one.ranks if one.questions else ():
            values = [one.hit(mode, k) for k in (1, 5, 10)] + [one.mrr(mode)]
            typer.echo(
                f"{one.name:14} {mode:7} {one.questions:5} "
                + " ".join(f"{value:6.3f}" for value in values)
            )
        if one.left_out:
            typer.echo("  " + _left_out(context, one))
        if one.name in answers:
            typer.echo("  " + _answer_words(context, answers[one.name]))


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


def _answer_words(context: Context, figures: AnswerFigures) -> str:
    row = _answer_json(figures)
    cited, answer, refusal = row["citation"], row["answer"], row["abstention"]

    def said(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    return context.say(
        Text(
            f"answers {len(figures.answered)}: right page cited {said(cited['page_precision'])} of"
            f" {cited['n']}; exact {said(answer['exact'])}, F1 {said(answer['f1'])} of"
            f" {answer['n']}; refusals P {said(refusal['precision'])} R {said(refusal['recall'])},"
            f" {refusal['n']} without an answer; {row['seconds_per_question']:.1f} s each",
            f"回答 {len(figures.answered)}：引用页正确 {said(cited['page_precision'])}"
            f"（{cited['n']}）；完全一致 {said(answer['exact'])}，F1 {said(answer['f1'])}"
            f"（{answer['n']}）；拒答 P {said(refusal['precision'])} R {said(refusal['recall'])}"
            f"（无答案 {refusal['n']}）；每题 {row['seconds_per_question']:.1f} 秒",
        )
    )


def _answer_json(figures: AnswerFigures) -> dict[str, Any]:
    cited, scores, refusal = figures.cited, figures.scores, figures.abstention()

    def mean(values: Sequence[float]) -> float | None:
        return round(sum(values) / len(values), 4) if values else None

    return {
        "citation": {"page_precision": mean(cited), "n": len(cited)},
        "answer": {
            "exact": mean([score.exact for score in scores]),
            "contains": mean([score.contains for score in scores]),
            "f1": mean([score.f1 for score in scores]),
            "n": len(scores),
        },
        "abstention": {
            "precision": refusal.precision,
            "recall": refusal.recall,
            "f1": refusal.f1,
            "n": refusal.questions,
        },
        "seconds_per_question": round(figures.seconds_per_question, 4),
    }


def _left_out(context: Context, figures: PageFigures) -> str:
    parts = ", ".join(f"{reason} {count}" for reason, count in sorted(figures.left_out.items()))
    return context.say(Text(f"left out: {parts}", f"未计入：{parts}"))


def _page_json(figures: PageFigures) -> dict[str, Any]:
    modes: dict[str, Any] = {
        mode: {
            **{f"hit@{k}": round(figures.hit(mode, k), 4) for k in (1, 5, 10)},
            "mrr": round(figures.mrr(mode), 4),
        }
        for mode in figures.ranks
    }
    return {
        "n": figures.questions,
        **modes,
        "left_out": dict(figures.left_out),
        "seconds_per_question": round(figures.seconds_per_question, 4),
    }
