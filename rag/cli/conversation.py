"""A question on the command line as part of a kept chat, where that was asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import typer

from rag.cli.chats import writing
from rag.cli.context import Context
from rag.errors import ConfigError
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.types.answers import Answer, Message

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
    from rag.app.container import Factory
    from rag.errors import UnknownDocument
    from rag.indexing.removal import find_document
    from rag.storage.chats import Chats

    ledger = Factory(context.settings).ledger(read_only=True)
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
