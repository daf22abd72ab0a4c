"""The server that answers, as commands show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from rag.errors import ConfigError, RagError
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.types.server_address import Address

Seen = Literal["ok", "warning", "error"]


def server_json(settings: Settings) -> dict[str, Any] | None:
    """Return where answers come from, as JSON shows it; ``None`` where from this program."""
    server = settings.generator.server()
    if server is None:
        return None
    return {
        "url": server.base,
        "model": settings.generator.model,
        "this_machine": server.is_here,
        "documents_leave": not server.is_here,
    }


def look(settings: Settings) -> Iterator[tuple[Seen, Text, Text | None]]:
    """Ask the server what it serves; yield state, words and remedy for ``rag doctor``."""
    from rag.app.container import Container
    from rag.types.server_address import leaving

    try:
        server = settings.generator.server()
    except ConfigError:
        return  # told where the model is looked at
    if server is None:
        return
    away = leaving(server)
    yield (
        "warning" if away else "ok",
        away or _stays(server),
        Text(
            "Unset generator.url to answer on this machine.",
            "清除 generator.url 即可改为在本机回答。",
        )
        if away
        else None,
    )
    try:
        generator = Container(settings).generator()
    except RagError as error:
        yield "error", error.message, error.hint
        return
    try:
        yield "ok", _served(generator), None
    finally:
        generator.close()


def _stays(server: Address) -> Text:
    return Text(
        f"Answers come from {server.shown} on this machine.", f"回答来自本机的 {server.shown}。"
    )


def _served(generator: Any) -> Text:
    window = generator.context_tokens
    known = generator.window_known
    exact = generator.counts_exactly
    return Text(
        f"{generator.name} answers; window {window} tokens"
        f"{'' if known else ' (as set: the server does not say)'}, prompts are "
        f"{'counted by the server' if exact else 'estimated, upwards'}; its memory is not known "
        "here.",
        f"{generator.name} 可以回答；窗口 {window} 个 token"
        f"{'' if known else '（按设置，服务器未说明）'}，提示长度"
        f"{'由服务器计数' if exact else '按上限估算'}；其内存占用未知。",
    )
