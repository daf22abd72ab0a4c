"""Questions that no document answers are told from those that one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.retrieval.query.question_kind import (
    AboutApp,
    AboutLibrary,
    SmallTalk,
    loose_kind,
    question_kind,
)

QUESTIONS = Path(__file__).parents[2] / "eval" / "ordinary_questions.jsonl"
KINDS = {AboutLibrary: "library", AboutApp: "app", SmallTalk: "greeting"}
FROM_CONTENT = {"author", "date"}  # of a document: what its own text says


def written(*, aside: bool) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    return [row for row in rows if bool(row.get("aside")) is aside]


def told(question: str) -> str:
    kind = question_kind(question)
    return KINDS[type(kind)] if kind else "content"


def meant(row: dict[str, Any]) -> str:
    from_content = row["kind"] == "library" and row["want"]["about"] in FROM_CONTENT
    return "content" if row["kind"] == "place" or from_content else str(row["kind"])


@pytest.mark.parametrize(
    ("kind", "floor"), [("library", 0.95), ("app", 0.97), ("greeting", 0.95), ("content", 0.98)]
)
def test_what_the_rules_were_made_on_is_recognised(kind: str, floor: float) -> None:
    rows = [row for row in written(aside=False) if meant(row) == kind]
    wrong = [row["text"] for row in rows if told(row["text"]) != kind]
    assert 1 - len(wrong) / len(rows) >= floor, wrong


@pytest.mark.parametrize(
    "question",
    [
        "How many documents do I have to sign?",
        "Which documents must be handed over?",
        "多少份文件需要盖章？",
        "Hi, could you tell me what the rent is?",
        "How do I add a user in the router manual?",
        "Which model has 24 GB?",
        "Thanks to which measure did costs fall?",
        "What is the latest delivery date?",
        "Is the data encrypted by the vendor?",
        "第三方能否转让？",
    ],
)
def test_what_looks_like_it_and_is_not_is_left_to_the_documents(question: str) -> None:
    assert question_kind(question) is None


def test_a_period_a_topic_and_a_document_are_taken_from_the_question() -> None:
    assert question_kind("What did I add this week?") == AboutLibrary("added", period="week")
    topic = question_kind("Do I have anything about parental leave?")
    assert topic == AboutLibrary("topic", topic="parental leave")
    pages = question_kind("How many pages does the Kelp Paper have?")
    assert pages == AboutLibrary("pages", document="the kelp paper")
    assert question_kind("最长的文档是哪份？") == AboutLibrary("extreme", extreme="longest")
    why = question_kind("哪些文件读不了，为什么？")
    assert isinstance(why, AboutLibrary)
    assert why.why


def test_a_long_text_is_never_small_talk() -> None:
    assert question_kind("hello " * 60) is None


def test_the_loose_rules_ask_who_is_addressed() -> None:
    assert loose_kind("Will you put what I type into some cloud?") == AboutApp("privacy")
    assert loose_kind("Which cloud did the vendor choose?") is None
