"""``rag bench``: how fast models answer on this machine, and how much of its limit they use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.context import GAPS, Context, JsonOption, print_json

if TYPE_CHECKING:
    from rag.benchmark.rows import Run

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


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

    engine: str
    models: tuple[str, ...]
    precisions: tuple[str, ...]
    repetitions: int
    new_tokens: int
    quality: int
    questions: Path | None
    quick: bool


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
    from rag.benchmark.compare import load_run
    from rag.charts import check
    from rag.cli.benching import measure

    context: Context = ctx.obj
    before = load_run(compare) if compare is not None else None
    if chart is not None:
        check(chart)
    short = quick and questions is None
    asked = Asked(
        engine,
        tuple(model or ()),
        tuple(precision or ()),
        min(repetitions, 2) if quick else repetitions,
        QUICK_TOKENS if quick else NEW_TOKENS,
        (0 if short else QUALITY) if quality is None else quality,
        questions,
        quick,
    )
    run = measure(context, asked)
    if chart is not None:
        from rag.benchmark.chart import draw

        draw(chart, run)
    raise typer.Exit(_show(context, run, before, as_json=as_json))


def _show(context: Context, run: Run, before: dict[str, object] | None, *, as_json: bool) -> int:
    """Print the rows, and what changed; return the command's exit code."""
    from rag.benchmark.compare import compare
    from rag.benchmark.report import comparison_json, show, show_comparison

    found = run.json()
    comparison = compare(before, found) if before is not None else None
    if as_json:
        more = {"comparison": comparison_json(comparison)} if comparison else {}
        print_json({**found, **more})
    else:
        show(context, found)
        if comparison is not None:
            show_comparison(context, comparison)
    slower = comparison is not None and comparison.fell
    measured = any(row.ran for row in run.rows)
    return GAPS if slower or run.interrupted or not measured else 0
