"""``rag bench``: how fast models answer on this machine, and how much of its limit they use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rag.cli.context import GAPS, Context, JsonOption, print_json, print_lines, progress_bar

Engine = Annotated[str, typer.Option("--engine", help="only rows of this engine")]
Model = Annotated[
    list[str] | None,
    typer.Option("--model", help="a name, a folder or a .gguf file; may be given several times"),
]
Precision = Annotated[
    list[str] | None,
    typer.Option("--precision", help="fp32, fp16, bf16, int8, nf4, Q4_K_M …; several times"),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="fewer and shorter prompts and answers, no questions")
]
Repetitions = Annotated[
    int, typer.Option("--repetitions", min=1, max=4, help="answers timed in each row")
]
Quality = Annotated[
    int | None,
    typer.Option("--quality", min=0, help="short questions asked in each row (default: 12)"),
]
Questions = Annotated[
    Path | None,
    typer.Option("--questions", help="take them from a set, as `rag eval DIR` reads it"),
]
Compare = Annotated[
    Path | None, typer.Option("--compare", help="an earlier --json; exit 3 if slower than that")
]
Chart = Annotated[Path | None, typer.Option("--chart", help="draw the figures there (.png)")]

NEW_TOKENS, QUICK_TOKENS = 64, 24
QUALITY = 12


def bench(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    *,
    engine: Engine = "",
    model: Model = None,
    precision: Precision = None,
    quick: Quick = False,
    repetitions: Repetitions = 3,
    quality: Quality = None,
    questions: Questions = None,
    compare: Compare = None,
    chart: Chart = None,
    as_json: JsonOption = False,
) -> None:
    """Measure speed, memory and short answers of models, engines and precisions here."""
    from rag.benchmark.report import draw, load_run
    from rag.benchmark.rows import Options
    from rag.benchmark.run import measure
    from rag.system import charts

    context: Context = ctx.obj
    before = load_run(compare) if compare is not None else None
    if chart is not None:
        charts.check(chart)
    usual = 0 if quick and questions is None else QUALITY
    asked = usual if quality is None else quality
    answers, tokens = (min(repetitions, 2), QUICK_TOKENS) if quick else (repetitions, NEW_TOKENS)
    options = Options(
        tuple(model or ()), engine, tuple(precision or ()),
        answers, tokens, asked, questions, quick,
    )  # fmt: skip
    with progress_bar(context) as told:
        run = measure(context.settings, options, report=told, say=context.say)
    code = _print(context, run, before, as_json=as_json)
    if chart is not None:
        draw(chart, run)
    raise typer.Exit(code)


def _print(
    context: Context, run: dict[str, Any], before: dict[str, Any] | None, *, as_json: bool
) -> int:
    """Print the rows and what changed; return the exit code."""
    from rag.benchmark import report

    comparison = report.compare(before, run) if before is not None else None
    if as_json:
        print_json({**run, **({"comparison": comparison.json()} if comparison else {})})
    else:
        print_lines(report.shown(run, context.language))
        print_lines(report.compared(comparison, context.language) if comparison else ())
    slower = comparison is not None and comparison.fell
    measured = any(row["repetitions"] for row in run["rows"])
    return GAPS if slower or run["interrupted"] or not measured else 0
