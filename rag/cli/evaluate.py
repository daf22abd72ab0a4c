"""``rag eval``: how good retrieval and answers are, and whether they became worse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.context import GAPS, Context, JsonOption, print_json, print_lines, progress_bar
from rag.cli.open_library import tell_leaving
from rag.cli.sync import run_sync
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.evaluation.measure import Measured, Options

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
    from rag.evaluation.measure import Options

    context: Context = ctx.obj
    options = Options(
        folder, beir, squad, questions, tuple(sets.split(",")) if sets else (), limit, single,
        not retrieval_only, own, size, seed, rephrase, write, compare, against, name,
    )  # fmt: skip
    if runs:
        _print_runs(context, options, as_json=as_json)
        return
    if rephrase or not retrieval_only:
        tell_leaving(context)
    found = _measured(context, options, details, chart)
    _print(context, found, chart, as_json=as_json)
    if found.comparison is not None and found.comparison.fell:
        raise typer.Exit(GAPS)


def _print_runs(context: Context, options: Options, *, as_json: bool) -> None:
    from rag.evaluation import report
    from rag.evaluation.measure import list_runs

    rows = list_runs(context.settings, options)
    if as_json:
        print_json({"runs": [report.run_json(row) for row in rows]})
    else:
        print_lines(report.run_lines(rows, context.language))


def _measured(
    context: Context, options: Options, details: Path | None, chart: Path | None
) -> Measured:
    """Measure, and write what became of each question where that is asked for."""
    from rag.evaluation import report
    from rag.evaluation.measure import measure
    from rag.system import charts

    def warn(words: Text) -> None:
        typer.secho(context.say(words), fg="yellow", err=True)

    if details is not None:
        details.write_text("", "utf-8")  # a path that cannot be written is said now
    if chart is not None:
        charts.check(chart)
    if options.own and not (context.settings.data / "library.db").is_file():
        run_sync(context, ocr="off")  # questions do not wait for scans to be read
    with progress_bar(context) as told:
        found = measure(context.settings, options, report=told, notify=warn)
    if details is not None:
        details.write_text(report.details(found.answered), "utf-8")
    return found


def _print(context: Context, found: Measured, chart: Path | None, *, as_json: bool) -> None:
    """Print the figures, then draw them: a chart that fails costs no figures."""
    from rag.evaluation import report

    if as_json:
        print_json(report.measured_json(found))
    else:
        print_lines(report.shown(found, context.language))
        if found.unkept is not None:
            typer.secho(context.say(found.unkept), fg="yellow", err=True)
        if found.comparison is not None:
            print_lines(report.compared(found.comparison, context.language))
    if chart is not None:
        report.draw(chart, found.run, found.comparison)
