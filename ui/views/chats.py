"""The list of kept chats as HTML: the last one first, each opened or deleted from its row."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from rag.storage.chats import ChatSummary
from rag.text.messages import Language
from ui.views.common import icon, word

SHOWN = 200  # rows; older chats are listed by the command line
_DAY = 86_400


def chats_html(chats: Sequence[ChatSummary], language: Language, *, now: float) -> str:
    """Return the rows; ``now`` is in seconds since 1970."""
    return "".join(_row(chat, language, now) for chat in chats[:SHOWN])


def _row(chat: ChatSummary, language: Language, now: float) -> str:
    title = escape(chat.title)
    delete = word("chat_delete", language, name=chat.title)
    return (
        f'<div class="chat" data-chat="{chat.id}">'
        f'<button type="button" class="open" data-do="open-chat" title="{title}">'
        f"<b>{title}</b><small>{escape(_when(chat.changed_at, language, now))}</small></button>"
        f'<button type="button" class="tool" data-do="delete-chat" aria-label="{delete}" '
        f'title="{word("chat_delete_title", language)}">{icon("close")}</button>'
        f'<div class="sure" role="group" hidden><p>{word("chat_sure", language)}</p>'
        f'<button type="button" data-do="delete-chat-now">{word("chat_yes", language)}</button>'
        f'<button type="button" data-do="delete-chat-not">{word("cancel", language)}</button>'
        "</div></div>"
    )


def _when(then: float, language: Language, now: float) -> str:
    """Return the time of today, "yesterday", or the date."""
    day, today = time.localtime(then)[:3], time.localtime(now)[:3]
    if day == today:
        return time.strftime("%H:%M", time.localtime(then))
    if day == time.localtime(now - _DAY)[:3]:
        return word("yesterday", language)
    form = "%m-%d" if day[0] == today[0] else "%Y-%m-%d"
    return time.strftime(form, time.localtime(then))
