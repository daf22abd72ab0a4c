"""Conversations that are kept: questions, answers, and a snapshot of what proved them.

A snapshot is never changed, whatever becomes of the documents: a turn can be added and a chat
deleted, nothing else (the tables themselves refuse it).
"""

from __future__ import annotations

import json
import time
import types
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from rag.errors import UnknownChat
from rag.text.messages import Text
from rag.types.answers import Answer

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.types.documents import Box


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _revive(kind: Any, value: Any) -> Any:
    """Return a dataclass of what its ``asdict`` gave, as JSON.

    Fields that are not known any more are left out; missing ones take their defaults. Nothing
    is refused: what an older or newer version kept is shown as it stands.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        known = {field.name for field in fields(kind)}
        return kind(**{k: _revive(hints[k], v) for k, v in value.items() if k in known})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_revive(inner[0], one) for one in value)
    if origin in {Union, types.UnionType} and value is not None:
        return _revive(next(one for one in inner if one is not type(None)), value)
    return value


Absence = Literal["older", "forgotten", "gone"]
_TITLE = 200  # characters of the first question


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """A chat as a list shows it."""

    id: int
    title: str  # its first question
    changed_at: float  # seconds since 1970
    turns: int


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """One question with its answer, as it was given."""

    question: str
    answer: Answer
    documents: tuple[str, ...]  # ids of those that were picked; none = all were searched
    asked_at: float


class Chats:
    """The ledger's chats. Safe to use from several threads and processes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, chat: int | None, answer: Answer, *, documents: Collection[str] = ()) -> int:
        """Add a turn to a chat, ``None`` begins a new one; return the chat's id.

        Raises:
            UnknownChat: it was deleted.
            StoreError: it cannot be written.
        """
        now = time.time()
        kept = json.dumps(asdict(answer), ensure_ascii=False, separators=(",", ":"))
        with self._ledger.transaction() as connection:
            if chat is None:
                title = " ".join(answer.question.split())[:_TITLE]
                begun = connection.execute(
                    "INSERT INTO chats (title, created_at) VALUES (?, ?)", (title, now)
                )
                chat = int(begun.lastrowid or 0)
            elif not connection.execute("SELECT 1 FROM chats WHERE id = ?", (chat,)).fetchone():
                raise _unknown(chat)
            added = connection.execute(
                "INSERT INTO turns (chat_id, question, answer, documents, asked_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (chat, answer.question, kept, json.dumps(sorted(documents)), now),
            )
            connection.executemany(
                "INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                _evidence(int(added.lastrowid or 0), answer),
            )
        return chat

    def all(self) -> list[ChatSummary]:
        """Return all chats, the last one first."""
        rows = self._ledger.connection.execute(
            "SELECT c.id, c.title, max(t.asked_at), count(*) FROM chats c"
            " JOIN turns t ON t.chat_id = c.id GROUP BY c.id ORDER BY max(t.id) DESC"
        )
        return [ChatSummary(*row) for row in rows]

    def turns(self, chat: int) -> list[KeptTurn]:
        """Return a chat's turns in order.

        Raises:
            UnknownChat: there is no such chat.
        """
        found = self._turns("chat_id = ?", chat)
        if not found:
            raise _unknown(chat)
        return found

    def since(self, at: float) -> list[KeptTurn]:
        """Return the turns of all chats that were kept from that moment on, in order."""
        return self._turns("asked_at >= ?", at)

    def _turns(self, which: str, value: float) -> list[KeptTurn]:
        rows = self._ledger.connection.execute(
            f"SELECT question, answer, documents, asked_at FROM turns WHERE {which} ORDER BY id",
            (value,),
        )
        return [
            KeptTurn(question, _revive(Answer, json.loads(answer)), tuple(json.loads(picked)), at)
            for question, answer, picked, at in rows
        ]

    def delete(self, chats: Iterable[int]) -> None:
        """Delete chats with all that they kept; unknown ones are ignored."""
        with self._ledger.transaction() as connection:
            connection.executemany("DELETE FROM chats WHERE id = ?", [(chat,) for chat in chats])

    def citing(self, document_id: str) -> list[int]:
        """Return the chats that keep a quotation of a document."""
        rows = self._ledger.connection.execute(
            "SELECT DISTINCT t.chat_id FROM evidence e JOIN turns t ON t.id = e.turn_id"
            " WHERE e.document_id = ? ORDER BY 1",
            (document_id,),
        )
        return [int(row[0]) for row in rows]

    def absent(self, documents: Iterable[str]) -> dict[str, Absence]:
        """Return what became of those of these documents that are not there any more."""
        files = self._ledger.files().values()
        here = {row.document_id for row in files}
        replaced, forgotten = self._ledger.superseded(), self._ledger.forgotten()
        became: dict[str, Absence] = dict.fromkeys(replaced, "older")
        became |= dict.fromkeys(forgotten, "forgotten")
        return {i: became.get(i, "gone") for i in documents if i not in here}

    def stamp(self) -> str:
        """Return what changes whenever the list would; cheap."""
        row = self._ledger.connection.execute(
            "SELECT count(*), coalesce(max(id), 0) FROM turns"
        ).fetchone()
        return f"{row[0]}.{row[1]}"


def _evidence(turn: int, answer: Answer) -> list[tuple[object, ...]]:
    """Return what proved the answer, and what else was shown, as rows."""
    rows: list[tuple[object, ...]] = []
    cited: set[int] = set()
    for sentence in answer.sentences:
        for item in sentence.evidence:
            cited.add(item.passage)
            document = answer.passages[item.passage].chunk.document_id
            said = answer.text[sentence.start : sentence.end]
            shown = document, item.document, item.page, item.quote
            rows.append((turn, *shown, _packed(item.boxes), said, sentence.verdict))
    for place, passage in enumerate(answer.passages):
        if place not in cited:
            chunk = passage.chunk
            shown = chunk.document_id, passage.document, chunk.first_page, chunk.text
            rows.append((turn, *shown, _packed(passage.boxes), "", ""))
    return rows


def _packed(boxes: Iterable[Box]) -> str:
    return json.dumps([[b.page, b.x0, b.y0, b.x1, b.y1] for b in boxes])


def _unknown(chat: int) -> UnknownChat:
    return UnknownChat(
        Text(f"There is no chat {chat}.", f"没有编号为 {chat} 的对话。"),
        hint=Text("`rag chats list` lists all of them.", "`rag chats list` 可列出全部对话。"),
    )
