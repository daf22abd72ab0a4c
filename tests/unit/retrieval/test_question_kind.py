"""Questions that no document answers are told from those that one does."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
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

EVAL = Path(__file__).parents[2] / "eval"
KINDS = {AboutLibrary: "library", AboutApp: "app", SmallTalk: "greeting"}
FROM_CONTENT = {"author", "date"}  # of a document: what its own text says
_EVERY = 4  # of the second questions, one in so many was not looked at for the rules


def rows_of(part: str) -> list[dict[str, Any]]:
    """Return the questions that the rules were made on ("first", "second"), or "unseen" ones."""
    name = "ordinary_questions" if part == "first" else "ordinary_questions_2"
    lines = (EVAL / f"{name}.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not row.get("aside")]
    if part == "first":
        return rows
    unseen = part == "unseen"
    return [row for row in rows if (int(row["id"].split("_")[1]) % _EVERY == 0) is unseen]


def told(question: str) -> str:
    kind = question_kind(question)
    return KINDS[type(kind)] if kind else "content"


def meant(row: dict[str, Any]) -> str:
    from_content = row["kind"] == "library" and row["want"]["about"] in FROM_CONTENT
    return "content" if row["kind"] == "place" or from_content else str(row["kind"])


@pytest.mark.parametrize(
    ("part", "kind", "floor"),
    [
        ("first", "library", 0.97), ("first", "app", 0.97), ("first", "greeting", 0.97),
        ("first", "content", 0.99), ("second", "library", 0.93), ("second", "app", 0.93),
        ("second", "greeting", 0.97), ("second", "content", 0.98), ("unseen", "library", 0.79),
        ("unseen", "app", 0.66), ("unseen", "greeting", 0.93), ("unseen", "content", 0.99),
    ],
)  # fmt: skip
def test_a_question_is_told_from_the_others(part: str, kind: str, floor: float) -> None:
    rows = [row for row in rows_of(part) if meant(row) == kind]
    wrong = [row["id"] for row in rows if told(row["text"]) != kind]
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
        "How many of those files are signed?",
        "How many pages may the offer have?",
        "Which languages did the missionaries learn?",
        "My mother takes blood thinners. Is there anything on it in the leaflet?",
        "论文里训练用了几块显卡",
        "公司会把我的个人信息提供给别人吗？",
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


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("My boss worries about leaks. Does the text of my PDFs go to a server?", "app"),
        ("nubmer of PDFs in here pls", "library"),
        ("琴日上載咗啲咩文件？", "library"),
        ("Thanks a bunch, that's just what I was after", "greeting"),
        ("the laptop is full, so what's my biggest file", "library"),
        ("改了文件內容之後要不要重建索引？", "app"),
    ],
)
def test_how_it_is_put_does_not_matter(question: str, kind: str) -> None:
    assert told(question) == kind


def test_what_is_told_by_words_has_its_period_language_and_document_too() -> None:
    added = question_kind("I'd like to see what has been uploaded today.")
    assert added == AboutLibrary("added", period="today")
    french = question_kind("tell me please which of all my papers would be in French")
    assert french == AboutLibrary("language", topic="french")
    thick = question_kind("How thick is the tender file? pages I mean")
    assert thick == AboutLibrary("pages", document="tender")
    oldest = question_kind("I'm tidying up, so which PDF did I add first of all?")
    assert oldest == AboutLibrary("extreme", extreme="oldest")


def test_each_rule_names_concepts_that_there_are() -> None:
    text = files("rag.retrieval.query").joinpath("question_words.toml").read_text("utf-8")
    table = tomllib.loads(text)
    named = {
        word.lstrip("-")
        for target, lines in table["rules"].items()
        for part in [*target.split()[2:], *lines]
        for word in part.replace("|", " ").split()
    }
    assert named - {"loosely"} <= set(table["concepts"])


def test_a_long_text_is_never_small_talk() -> None:
    assert question_kind("hello " * 60) is None


def test_the_loose_rules_ask_who_is_addressed() -> None:
    assert loose_kind("Will you put what I type into some cloud?") == AboutApp("privacy")
    assert loose_kind("Which cloud did the vendor choose?") is None


@pytest.mark.parametrize("char", ["嗯", "哈", "哦", "ha", "好"])
def test_a_long_row_of_the_same_sound_is_no_trap(char: str) -> None:
    question_kind(char * 70 + "为什么")  # would go on for ages


@pytest.mark.parametrize(
    "question",
    ["How long is the lease?", "合同多久？", "What is not included?", "What papers must I bring?",
     "这篇论文用的什么模型", "What model is used?", "What materials are used?",
     "Which items are excluded from the warranty?", "How many papers are cited?"],
)  # fmt: skip
def test_what_a_document_says_is_not_asked_of_the_list(question: str) -> None:
    assert question_kind(question) is None


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Which papers are cited?", "content"),
        ("which books are cited in it", "content"),
        ("Which papers does it cite?", "content"),
        ("引用了哪些文献？", "content"),
        ("哪些论文被引用最多？", "content"),
        ("Which papers are cited in the answer?", "app"),
        ("Which documents do you cite?", "app"),
        ("你引用了哪些文件？", "app"),
        ("how do citations work", "app"),
    ],
)
def test_what_documents_cite_is_in_the_documents_what_answers_cite_is_of_the_app(
    question: str, kind: str
) -> None:
    assert told(question) == kind
