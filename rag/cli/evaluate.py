"""``rag eval``: how good retrieval and answers are, and whether they became worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.cli.context import GAPS, Context, JsonOption
from rag.cli.reading import tell_leaving
from rag.cli.wanted import Measured, Wanted

Folder = Annotated[
    Path | None, typer.Argument(help="a folder with PDFs and questions/*.jsonl, or a BEIR folder")
]
Own = Annotated[bool, typer.Option("--own", help="questions made from your own documents")]
Beir = Annotated[bool, typer.Option("--beir", help="the folder is laid out as BEIR")]
Squad = Annotated[
    Path | None, typer.Option("--squad", help="paragraphs and questions laid out as SQuAD")
]
Questions = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        help="with --squad: the same in another language; with --own: ask these (see --write)",
    ),
]
Sets = Annotated[
    str, typer.Option("--sets", help="only these, separated by commas (names of .jsonl files)")
]
RetrievalOnly = Annotated[
    bool, typer.Option("--retrieval-only", help="ask no model: no citations, no answers")
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, help="answers asked for in each set (0: all of them)")
]
Single = Annotated[
    bool, typer.Option("--single", help="answer each question from its own document alone")
]
Size = Annotated[int, typer.Option("--size", min=4, help="with --own: questions made")]
Seed = Annotated[int, typer.Option("--seed", help="with --own: another number, other questions")]
Rephrase = Annotated[
    bool, typer.Option("--rephrase", help="with --own: a model says the questions in other words")
]
Write = Annotated[
    Path | None, typer.Option("--write", help="with --own: write the questions there, as .jsonl")
]
Details = Annotated[
    Path | None, typer.Option("--details", help="write each answer there, one object a line")
]
Compare = Annotated[
    bool, typer.Option("--compare", help="with the last run of the same sets; exit 3 if worse")
]
Against = Annotated[
    str, typer.Option("--against", help="compare with this run (number or name; see --runs)")
]
Name = Annotated[str, typer.Option("--name", help="a name for this run")]
Runs = Annotated[bool, typer.Option("--runs", help="list the earlier runs; measure nothing")]
Chart = Annotated[Path | None, typer.Option("--chart", help="draw the figures there (.png)")]


def evaluate(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    folder: Folder = None,
    *,
    own: Own = False,
    beir: Beir = False,
    squad: Squad = None,
    questions: Questions = None,
    sets: Sets = "",
    retrieval_only: RetrievalOnly = False,
    limit: Limit = 20,
    single: Single = False,
    size: Size = 100,
    seed: Seed = 1,
    rephrase: Rephrase = False,
    write: Write = None,
    details: Details = None,
    compare: Compare = False,
    against: Against = "",
    name: Name = "",
    runs: Runs = False,
    chart: Chart = None,
    as_json: JsonOption = False,
) -> None:
    """Measure retrieval and answers on a set of questions, or on your own documents."""
    context: Context = ctx.obj
    wanted = Wanted(
        folder, beir, squad, questions, tuple(sets.split(",")) if sets else (), limit, single,
        not retrieval_only, own, size, seed, rephrase, write, compare, against, name,
    )  # fmt: skip
    if runs:
        _show_runs(context, wanted, as_json=as_json)
        return
    if rephrase or not retrieval_only:
        tell_leaving(context)
    _show(context, wanted, details, chart, as_json=as_json)


def _show_runs(context: Context, wanted: Wanted, *, as_json: bool) -> None:
    from rag.cli.comparing import show_runs
    from rag.evaluation.keeping import list_runs

    show_runs(context, list_runs(context, wanted), as_json=as_json)


def _show(
    context: Context, wanted: Wanted, details: Path | None, chart: Path | None, *, as_json: bool
) -> None:
    from rag.cli.comparing import show_comparison
    from rag.evaluation.report import answer_lines, show

    if details is not None:
        details.write_text("", "utf-8")  # a path that cannot be written is said now
    if chart is not None:
        from rag.charts import check

        check(chart)
    found = _measure(context, wanted)
    if details is not None:
        details.write_text("".join(map(answer_lines, found.answered)), "utf-8")
    show(context, found, as_json=as_json)
    if chart is not None:
        from rag.charts import draw

        draw(chart, found.run, found.comparison)
    if found.comparison is not None:
        if not as_json:
            show_comparison(context, found.comparison)
        if found.comparison.fell:
            raise typer.Exit(GAPS)


def _measure(context: Context, wanted: Wanted) -> Measured:
    if wanted.own:
        from rag.cli.own import measure_own

        return measure_own(context, wanted)
    from rag.cli.measuring import measure_collection, measure_folder

    if wanted.squad is not None or wanted.beir:
        return measure_collection(context, wanted)
    return measure_folder(context, wanted)
