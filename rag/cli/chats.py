"""``rag chats``: conversations that are kept, and questions as part of one."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rag.cli.context import Context, JsonOption, print_json
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.storage.chats import Absence, KeptTurn
    from rag.types.answers import Evidence, Passage


app = typer.Typer(
    help="Conversations that are kept: list, show, export, delete.",
    no_args_is_help=True,
    add_completion=False,
)
ChatId = Annotated[int, typer.Argument(help="a number from `rag chats list`")]
_ABSENT: dict[str, Text] = {
    "gone": Text("no longer in the folder", "已不在文件夹中"),
    "forgotten": Text("forgotten", "已忘记"),
    "older": Text("older version", "旧版本"),
}


@app.command("list")
def list_chats(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """List all chats, the last one first."""
    from rag.storage.chats import Chats

    context: Context = ctx.obj
    with context.ledger(read_only=True) as ledger:
        found = Chats(ledger).all()
    if as_json:
        print_json({"chats": [asdict(chat) for chat in found]})
        return
    for chat in found:
        typer.echo(f"{chat.id:>5}  {_when(chat.changed_at)}  {chat.turns:>3}  {chat.title}")
    if not found:
        context.tell(Text("No chats are kept.", "没有保存的对话。"))


@app.command()
def show(ctx: typer.Context, chat: ChatId) -> None:
    """Show a chat with the places that its answers rest on."""
    export(ctx, chat)


@app.command()
def export(
    ctx: typer.Context,
    chat: ChatId,
    *,
    form: Annotated[Literal["md", "json"], typer.Option("--format", help="md or json")] = "md",
) -> None:
    """Write a chat to stdout, as Markdown or JSON."""
    from rag.storage.chats import Chats

    context: Context = ctx.obj
    with context.ledger(read_only=True) as ledger:
        turns = Chats(ledger).turns(chat)
        cited = {p.chunk.document_id for turn in turns for p in turn.answer.passages}
        absent = Chats(ledger).absent(cited)
    if form == "json":
        print_json({"id": chat, "turns": [_turn_json(turn, absent) for turn in turns]})
    else:
        typer.echo(_markdown(context, turns, absent))


@app.command()
def delete(ctx: typer.Context, chat: ChatId) -> None:
    """Delete a chat with everything it kept; this cannot be undone."""
    from rag.storage.chats import Chats

    context: Context = ctx.obj
    with context.ledger(read_only=True) as ledger:
        Chats(ledger).turns(chat)  # which says if there is none
    with context.ledger() as ledger:
        Chats(ledger).delete([chat])
    context.tell(Text(f"Chat {chat} is deleted.", f"已删除对话 {chat}。"))


def _turn_json(turn: KeptTurn, absent: dict[str, Absence]) -> dict[str, Any]:
    from rag.cli.ask import answer_json

    cited = {p.chunk.document_id: p.document for p in turn.answer.passages}
    return {
        "asked_at": turn.asked_at,
        **answer_json(turn.answer),
        "documents": [
            {"id": i, "document": name, "now": absent.get(i, "present")}
            for i, name in cited.items()
        ],
    }


def _markdown(context: Context, turns: list[KeptTurn], absent: dict[str, Absence]) -> str:
    parts: list[str] = []
    for turn in turns:
        parts += [f"## {turn.question}", turn.answer.text]
        proof = [
            _quoted(context, item, turn.answer.passages[item.passage], absent)
            for sentence in turn.answer.sentences
            if sentence.verdict in {"supported", "weak"}
            for item in sentence.evidence
        ]
        parts += ["\n".join(dict.fromkeys(proof))] if proof else []
        parts.append(f"*{_when(turn.asked_at)} · {turn.answer.model or '–'}*")
    return "\n\n".join(parts)


def _quoted(context: Context, item: Evidence, passage: Passage, absent: dict[str, Absence]) -> str:
    became = absent.get(passage.chunk.document_id)
    page = Text(f"page {item.page}", f"第 {item.page} 页")
    where = ", ".join(
        [
            f"**{item.document}**",
            context.say(page),
            *([context.say(_ABSENT[became])] if became else []),
        ]
    )
    return f"> {' '.join(item.quote.split())}\n> — {where}\n"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
