"""``rag why``: which stage lost a sentence that stands in a document.

It reads the library and never writes it, so it works while the app is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.ask import Question
from rag.cli.context import GAPS, Context, JsonOption, print_json
from rag.cli.open_library import only, opened
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.answering.explain.values import Explanation, Step
    from rag.text.messages import Language

_SIGNS = {True: "✓", False: "✗", None: "·"}
_COLOURS = {True: "green", False: "red", None: None}


def why(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    question: Question,
    sentence: Annotated[str, typer.Argument(help="copied from a document")],
    *,
    document: Annotated[
        str | None, typer.Option("--document", help="where the sentence stands")
    ] = None,
    limited: Annotated[
        bool, typer.Option("--only", help="the question was asked of that document alone")
    ] = False,
    answer: Annotated[
        bool, typer.Option("--answer", help="ask the model, and see whether it uses it")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell why a sentence of a document did not reach the answer."""
    from rag.answering.explain.values import SentenceQuestion

    context: Context = ctx.obj
    for what, name in ((question, "QUESTION"), (sentence, "SENTENCE")):
        if not what.strip():
            raise typer.BadParameter(context.say(_BLANK), param_hint=name)
    if limited and document is None:
        raise typer.BadParameter(context.say(_NAMELESS), param_hint="--only")
    with opened(context, with_model=answer) as library:
        scope = only(library.ledger, document) if limited else None
        found = library.parts.explainer(lambda: library.generator).explain(
            SentenceQuestion(question, sentence, document=document, documents=scope, answer=answer)
        )
    if as_json:
        print_json(why_json(found, context.language))
    else:
        _print(context, found)
    if not found.outcome.searchable:
        raise typer.Exit(GAPS)


_BLANK = Text("There is nothing in it.", "内容为空。")
_NAMELESS = Text("Name the document with --document.", "请用 --document 指明文档。")


def _print(context: Context, found: Explanation) -> None:
    for step in found.steps:
        if step.what == found.outcome.what:
            continue  # it is said below
        typer.secho(f"{_SIGNS[step.passed]} ", fg=_COLOURS[step.passed], nl=False)
        typer.echo(context.say(step.what))
    if len(found.steps) > 1:
        typer.echo()
    typer.secho(context.say(found.outcome.what), bold=True)
    typer.echo(f"→ {context.say(found.outcome.remedy)}")


def why_json(found: Explanation, language: Language) -> dict[str, Any]:
    """Return what ``rag why --json`` prints."""
    place = found.place
    return {
        "question": found.question,
        "sentence": found.sentence,
        "outcome": found.outcome.code,
        "what": found.outcome.what.say(language),
        "remedy": found.outcome.remedy.say(language),
        "place": place
        and {
            "document": place.document,
            "path": place.path,
            "page": place.page,
            "start": place.start,
            "end": place.end,
            "quote": place.quote,
            "likeness": round(place.likeness, 4),
        },
        "steps": [_step_json(step, language) for step in found.steps],
    }


def _step_json(step: Step, language: Language) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "passed": step.passed,
        "what": step.what.say(language),
        "numbers": dict(step.numbers),
    }
