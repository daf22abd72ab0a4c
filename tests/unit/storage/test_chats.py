"""Chats are kept with what proved them, and nothing changes that afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import UnknownChat
from rag.storage.chats import Chats
from rag.storage.ledger import Ledger
from rag.types.answers import Answer, Coverage, Evidence, Ranks, Sentence, Usage
from rag.types.documents import Box
from tests.factories import passage

LEASE, GUIDE = "ab" * 32, "cd" * 32
BOX = Box(1, 10.0, 20.0, 30.5, 40.0)


def answer(question: str = "What is the rent?", *, document_id: str = LEASE) -> Answer:
    text = "The rent is 950 euros. It is warm."
    shown = replace(
        passage("The monthly rent is 950 euros.", document_id=document_id),
        document="lease.pdf",
        ranks=Ranks(1, 2),
        boxes=(BOX,),
    )
    proof = Evidence(0, "lease.pdf", 1, "The monthly rent is 950 euros.", 0, 30, 0.9, (BOX,))
    sentences = (
        Sentence(0, 22, "supported", (proof,)),
        Sentence(23, 34, "unsupported", (), "nowhere"),
    )
    return Answer(
        question, text, "en", "weak", (shown,), (), sentences, Usage(10, 5), "a model",
        coverage=Coverage(3, 4, ("lease.pdf",), 2, 1),
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "library.db")
    yield made
    made.close()


def test_a_chat_comes_back_as_it_was_also_in_another_process(
    ledger: Ledger, tmp_path: Path
) -> None:
    chats = Chats(ledger)
    first = chats.add(None, answer("What is  the\nrent?"), documents={GUIDE, LEASE})
    assert chats.add(first, answer("And in 2022?")) == first
    other = Ledger(tmp_path / "library.db", read_only=True)
    turns = Chats(other).turns(first)
    assert [turn.answer for turn in turns] == [
        answer("What is  the\nrent?"),
        answer("And in 2022?"),
    ]
    assert turns[0].documents == (LEASE, GUIDE)
    (summary,) = Chats(other).all()
    assert (summary.id, summary.title, summary.turns) == (first, "What is the rent?", 2)
    other.close()


def test_what_another_version_kept_is_shown_as_it_stands(ledger: Ledger) -> None:
    chat = Chats(ledger).add(None, answer())
    (kept,) = ledger.connection.execute("SELECT answer FROM turns").fetchone()
    other = {**json.loads(kept), "verdict": "dubious", "colour": "green"}
    del other["relevance"]
    ledger.connection.execute(
        "INSERT INTO turns (chat_id, question, answer, documents, asked_at)"
        " VALUES (?, 'And?', ?, '[]', 0.0)",
        (chat, json.dumps(other)),
    )
    assert [turn.answer.verdict for turn in Chats(ledger).turns(chat)] == ["weak", "dubious"]


def test_the_last_chat_that_was_gone_on_with_is_listed_first(ledger: Ledger) -> None:
    chats = Chats(ledger)
    one, two = chats.add(None, answer("One?")), chats.add(None, answer("Two?"))
    assert [chat.id for chat in chats.all()] == [two, one]
    stamp = chats.stamp()
    chats.add(one, answer("More?"))
    assert [chat.id for chat in chats.all()] == [one, two]
    assert chats.stamp() != stamp


@pytest.mark.parametrize("table", ["turns", "evidence"])
def test_what_was_shown_cannot_be_changed(ledger: Ledger, table: str) -> None:
    Chats(ledger).add(None, answer())
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        ledger.connection.execute(f"UPDATE {table} SET rowid = rowid + 1")


def test_a_chat_knows_which_documents_it_quotes(ledger: Ledger) -> None:
    chats = Chats(ledger)
    lease, guide = chats.add(None, answer()), chats.add(None, answer(document_id=GUIDE))
    assert (chats.citing(LEASE), chats.citing(GUIDE), chats.citing("ef" * 32)) == (
        [lease],
        [guide],
        [],
    )


def test_a_deleted_chat_leaves_nothing_behind(ledger: Ledger) -> None:
    chats = Chats(ledger)
    chat, other = chats.add(None, answer()), chats.add(None, answer())
    chats.delete([chat, 999])
    assert [one.id for one in chats.all()] == [other]
    for table in ("turns", "evidence"):
        assert ledger.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 1
    with pytest.raises(UnknownChat):
        chats.turns(chat)
    with pytest.raises(UnknownChat):
        chats.add(chat, answer())
    assert chats.add(None, answer()) > other, "a number is never used twice"


def test_a_forgotten_document_stays_quoted(ledger: Ledger) -> None:
    chats = Chats(ledger)
    chat = chats.add(None, answer())
    ledger.forget(LEASE)
    (turn,) = chats.turns(chat)
    assert turn.answer.sentences[0].evidence[0].quote == "The monthly rent is 950 euros."
    assert chats.citing(LEASE) == [chat]


def test_what_became_of_a_quoted_document_is_told(ledger: Ledger) -> None:
    chats = Chats(ledger)
    assert chats.absent([LEASE]) == {LEASE: "gone"}
    ledger.forget(LEASE)
    assert chats.absent([LEASE]) == {LEASE: "forgotten"}
    with ledger.transaction() as connection:
        connection.execute("INSERT INTO superseded VALUES (?, ?, 'a.pdf', 0)", (GUIDE, LEASE))
    assert chats.absent([GUIDE]) == {GUIDE: "older"}
