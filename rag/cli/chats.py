"""``rag chats``: conversations that are kept, and questions as part of one."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rag.cli.context import Context, JsonOption, print_json
from rag.errors import ConfigError
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.storage.chats import Absence, Chats, KeptTurn
    from rag.storage.ledger import Ledger
    from rag.types.answers import Answer, Evidence, Message, Passage


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
    context: Context = ctx.obj
    with _opened(context) as chats:
        found = chats.all()
    if as_json:
        print_json({"chats": [asdict(chat) for chat in found]})
        return
    for chat in found:
        typer.echo(f"{chat.id:>5}  {_when(chat.changed_at)}  {chat.turns:>3}  {chat.title}")
    if not found:
        typer.echo(context.say(Text("No chats are kept.", "没有保存的对话。")))


@app.command()
def show(ctx: typer.Context, chat: ChatId) -> None:
    """Show a chat with the places that its answers rest on."""
    context: Context = ctx.obj
    with _opened(context) as chats:
        turns = chats.turns(chat)
        typer.echo(_markdown(context, turns, _absent(chats, turns)))


@app.command()
def export(
    ctx: typer.Context,
    chat: ChatId,
    *,
    form: Annotated[Literal["md", "json"], typer.Option("--format", help="md or json")] = "md",
) -> None:
    """Write a chat to stdout, as Markdown or JSON."""
    context: Context = ctx.obj
    with _opened(context) as chats:
        turns = chats.turns(chat)
        absent = _absent(chats, turns)
    if form == "json":
        print_json({"id": chat, "turns": [_turn_json(turn, absent) for turn in turns]})
    else:
        typer.echo(_markdown(context, turns, absent))


@app.command()
def delete(ctx: typer.Context, chat: ChatId) -> None:
    """Delete a chat with everything it kept; this cannot be undone."""
    from rag.storage.chats import Chats

    context: Context = ctx.obj
    with _opened(context) as chats:
        chats.turns(chat)  # which says if there is none
    with writing(context) as ledger:
        Chats(ledger).delete([chat])
    typer.echo(context.say(Text(f"Chat {chat} is deleted.", f"已删除对话 {chat}。")))


@contextmanager
def writing(context: Context) -> Iterator[Ledger]:
    """Open the ledger to keep something in it. Chats may be added while the app is open."""
    from rag.storage.ledger import Ledger

    ledger = Ledger(context.settings.data / "library.db")
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def _opened(context: Context) -> Iterator[Chats]:
    from rag.app.container import Container
    from rag.storage.chats import Chats

    ledger = Container(context.settings).ledger(read_only=True)
    try:
        yield Chats(ledger)
    finally:
        ledger.close()


def _absent(chats: Chats, turns: list[KeptTurn]) -> dict[str, Absence]:
    return chats.absent({p.chunk.document_id for turn in turns for p in turn.answer.passages})


def _turn_json(turn: KeptTurn, absent: dict[str, Absence]) -> dict[str, Any]:
    from rag.cli.json_output import answer_json

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


NEW = "new"


def history_of(ledger: Ledger, chat: str) -> list[Message]:
    """Return what was said in the chat; nothing for a new one, or for none.

    Raises:
        ConfigError: ``chat`` is no number and not ``new``.
        UnknownChat: there is no such chat.
    """
    from rag.storage.chats import Chats
    from rag.types.answers import Message

    number = _number(chat)
    return [
        message
        for turn in (Chats(ledger).turns(number) if number is not None else ())
        if turn.answer.text
        for message in (
            Message("user", turn.question),
            Message("assistant", turn.answer.text),
        )
    ]


def keep_answer(context: Context, chat: str, answer: Answer, documents: Collection[str]) -> None:
    """Add the answer to the chat, and say which one it is."""
    from rag.storage.chats import Chats

    with writing(context) as ledger:
        number = Chats(ledger).add(_number(chat), answer, documents=documents)
    words = Text(f"Kept in chat {number}.", f"已保存到对话 {number}。")
    typer.secho(context.say(words), dim=True, err=True)


def chats_quoting(context: Context, path: str) -> list[int]:
    """Return the chats that quote a document; none where there is no such document."""
    from rag.app.container import Container
    from rag.errors import UnknownDocument
    from rag.indexing.removal import find_document
    from rag.storage.chats import Chats

    ledger = Container(context.settings).ledger(read_only=True)
    try:
        return Chats(ledger).citing(find_document(ledger, path))
    except UnknownDocument:
        return []
    finally:
        ledger.close()


def print_quoting(context: Context, chats: list[int]) -> None:
    """Say which chats keep quotations from a document that was forgotten."""
    if not chats:
        return
    numbers = ", ".join(map(str, chats))
    words = Text(
        f"Chats that keep quotations from it: {numbers}; `rag chats delete` removes one.",
        f"保存了其中引文的对话：{numbers}；`rag chats delete` 可删除。",
    )
    typer.echo(context.say(words))


def _number(chat: str) -> int | None:
    if chat in {"", NEW}:
        return None
    if chat.isdecimal():
        return int(chat)
    raise ConfigError(
        Text(f"{chat} is no chat.", f"{chat} 不是对话编号。"),
        hint=Text(
            "Give a number from `rag chats list`, or `new`.",
            "请给出 `rag chats list` 中的编号，或 `new`。",
        ),
    )
