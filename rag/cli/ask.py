"""``rag ask`` and ``rag search``: questions from the command line.

They read the library and never write it, so they work while the app is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.context import Context, JsonOption, print_json
from rag.cli.open_library import only, opened
from rag.text.messages import Text, undrawn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rag.types.answers import Answer, AskMode, Event, Message, Passage, Quoted


Question = Annotated[str, typer.Argument(help="in English or Chinese")]
InDocument = Annotated[
    str | None, typer.Option("--document", help="only in this document (file name or path)")
]
ReadWhole = Annotated[
    bool | None,
    typer.Option(
        "--whole/--passages",
        help="read documents whole, or the best passages only (default: by the question)",
    ),
]
InChat = Annotated[
    str, typer.Option("--chat", help="keep it in a chat of `rag chats list`, or in a `new` one")
]
_UNPROVEN = Text(
    "Your documents do not support this answer: no sentence of it stands in the passages found.",
    "你的文档不支持这个回答：其中没有一句话在找到的段落中得到印证。",
)
_SHOWN = 300  # characters of a passage printed to a terminal


def ask(
    ctx: typer.Context,
    question: Question,
    *,
    document: InDocument = None,
    whole: ReadWhole = None,
    chat: InChat = "",
    as_json: JsonOption = False,
) -> None:
    """Answer one question, streamed, with sources."""
    from rag.answering.direct.draft import events
    from rag.cli.chats import history_of, keep_answer
    from rag.cli.context import print_coverage, shown_progress
    from rag.cli.json_output import answer_json
    from rag.types.answers import Delta, Finished, Quoted

    context: Context = ctx.obj
    answer: Answer | None = None
    mode: AskMode = "auto" if whole is None else "whole" if whole else "passages"
    with opened(context, with_model=False) as library:
        documents = only(library.ledger, document)
        history = history_of(library.ledger, chat)
        direct = library.direct(question, documents) if mode == "auto" else None
    if direct is not None:
        found: Iterator[Event] = events(direct)
    else:
        found = _by_model(context, question, history, documents, mode)
    for event in shown_progress(context, found):
        if isinstance(event, Quoted) and not as_json:
            _print_quotation(event)
        if isinstance(event, Delta) and not as_json:
            typer.echo(event.text, nl=False)
        if isinstance(event, Finished):
            answer = event.answer
    assert answer is not None, "a stream of events ends with Finished"
    if chat:
        keep_answer(context, chat, answer, documents or ())
    if as_json:
        print_json(answer_json(answer))
        return
    typer.echo("\n")
    if answer.unproven:
        typer.secho(context.say(_UNPROVEN), bold=True)
    _print_sources(context, answer)
    print_coverage(context, answer)


def _print_quotation(quoted: Quoted) -> None:
    """Show the likeliest place on stderr, while the model reads."""
    (found,) = quoted.sentence.evidence
    typer.secho(f"“{found.quote[:_SHOWN]}”", err=True, italic=True)
    typer.secho(f"  {found.document}, {found.page}\n", err=True, dim=True)


def _by_model(
    context: Context,
    question: str,
    history: Sequence[Message],
    documents: Collection[str] | None,
    mode: AskMode,
) -> Iterator[Event]:
    with opened(context, with_model=True) as library:
        yield from library.ask(question, history=history, documents=documents, mode=mode)


def search(
    ctx: typer.Context,
    question: Question,
    *,
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="how many passages")] = 5,
    document: InDocument = None,
    as_json: JsonOption = False,
) -> None:
    """Find passages; no model is asked."""
    from rag.cli.json_output import search_json

    context: Context = ctx.obj
    with opened(context, with_model=False) as library:
        documents = only(library.ledger, document)
        result = library.parts.pipeline.search(question, k=k, documents=documents)
    if as_json:
        print_json(search_json(result))
        return
    for number, passage in enumerate(result.passages, start=1):
        typer.secho(f"{number}. {_place(context, passage)}", bold=True)
        typer.echo(f"   {' '.join(passage.chunk.text.split())[:_SHOWN]}\n")
    if not result.passages:
        typer.echo(context.say(Text("Nothing was found.", "没有找到。")))


def _place(context: Context, passage: Passage) -> str:
    page = passage.chunk.first_page
    path = undrawn(passage.chunk.heading)
    heading = f" · {path}" if path else ""
    return context.say(
        Text(
            f"{passage.document}, page {page}{heading}",
            f"{passage.document}，第 {page} 页{heading}",
        )
    )


def _print_sources(context: Context, answer: Answer) -> None:
    cited = {e.passage: e for s in answer.sentences for e in s.evidence}
    for number, evidence in sorted(cited.items()):
        typer.secho(f"[{number + 1}] {_place(context, answer.passages[number])}", bold=True)
        typer.echo(f"    {' '.join(evidence.quote.split())[:_SHOWN]}")
    _print_doubts(context, answer)
    usage = answer.usage
    if usage.completion_tokens:
        typer.secho(
            context.say(
                Text(
                    f"{answer.model} · first token {usage.first_token_s:.1f} s · "
                    f"{usage.tokens_per_second:.1f} tokens/s",
                    f"{answer.model} · 首字 {usage.first_token_s:.1f} 秒 · "
                    f"{usage.tokens_per_second:.1f} 词元/秒",
                )
            ),
            dim=True,
            err=True,
        )


def _print_doubts(context: Context, answer: Answer) -> None:
    """Say which sentences are not supported, and why."""
    from rag.verification.reasons import reason_words

    marks = {"weak": ("?", typer.colors.YELLOW), "unsupported": ("✗", typer.colors.RED)}
    for sentence in answer.sentences:
        if sentence.verdict not in marks:
            continue
        sign, colour = marks[sentence.verdict]
        said = " ".join(answer.text[sentence.start : sentence.end].split())
        typer.secho(f"{sign} {said[:_SHOWN]}", fg=colour)
        typer.echo(f"    {reason_words(sentence.reason, context.language)}")
    if answer.left_out:
        count = answer.left_out
        typer.echo(
            context.say(
                Text(
                    f"Left out, because no passage supports it: {count} sentence(s).",
                    f"已略去 {count} 句没有依据的内容。",
                )
            )
        )
