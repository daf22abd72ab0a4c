"""The set of conversations is sound: what it names exists, and most later turns stand alone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from rag.evaluation.datasets import MIN_EVIDENCE_OVERLAP

pytestmark = pytest.mark.eval
CONVERSATIONS = Path(__file__).with_name("conversations.jsonl")
LEAST = 200

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, and the id of the conversation that it belongs to."""

    conversation: str
    row: Json


@pytest.fixture(scope="module")
def conversations() -> list[Json]:
    lines = CONVERSATIONS.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def turns(conversations: list[Json]) -> list[Turn]:
    return [Turn(each["id"], row) for each in conversations for row in each["turns"]]


@pytest.fixture(scope="module")
def questions(eval_sets: Path) -> dict[tuple[str, str], Json]:
    """Return the questions of all sets by (file name without suffix, id)."""
    found: dict[tuple[str, str], Json] = {}
    for path in sorted((eval_sets / "questions").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found[path.stem, row["id"]] = row
    return found


@pytest.fixture(scope="module")
def pages_of(eval_sets: Path) -> dict[str, int]:
    """Return how many pages each PDF of the bundle has."""
    count: dict[str, int] = {}
    for path in sorted(eval_sets.glob("pdf_*/*.pdf")):
        with pypdfium2.PdfDocument(path) as pdf:
            count[path.name] = len(pdf)
    return count


def named(row: Json) -> tuple[str, str] | None:
    """Return the question that a turn is, or takes its gold from."""
    reference = row.get("from") or row.get("gold_from")
    return (reference["set"], reference["id"]) if reference else None


def counts(question: Json) -> bool:
    """Return whether text alone answers the question, from a page that is known."""
    return bool(
        question.get("answerable", True)
        and question.get("pages_1based")
        and not question.get("needs_vision")
        and not question.get("doc_has_no_text_layer")
        and question.get("evidence_overlap_on_page", 1) >= MIN_EVIDENCE_OVERLAP
    )


def test_there_are_enough_conversations_of_three_to_six_turns_in_both_languages(
    conversations: list[Json],
) -> None:
    languages = Counter(each["lang"] for each in conversations)

    assert len(conversations) >= LEAST
    assert len({each["id"] for each in conversations}) == len(conversations)
    assert set(languages) == {"en", "zh"}
    assert min(languages.values()) >= 0.4 * len(conversations)
    assert all(3 <= len(each["turns"]) <= 6 for each in conversations)
    assert sum(each["aside"] for each in conversations) == len(conversations) // 3


def test_more_than_half_of_the_later_turns_stand_alone(conversations: list[Json]) -> None:
    later = Counter(row["kind"] for each in conversations for row in each["turns"][1:])

    assert all(each["turns"][0]["kind"] == "alone" for each in conversations)
    assert set(later) == {"alone", "follow_up"}
    assert later["alone"] > later["follow_up"]


def test_a_turn_is_a_question_of_the_sets_or_has_its_own_words_and_gold(turns: list[Turn]) -> None:
    for turn in turns:
        row = turn.row
        if "from" in row:
            assert set(row) == {"from", "kind"}, turn
            assert row["kind"] == "alone", turn
        else:
            assert set(row) - {"gold_from"} == {"text", "kind", "docs", "pages"}, turn
            assert row["text"].strip(), turn
            assert row["docs"], turn
            assert row["pages"], turn


def test_every_named_question_exists_and_can_be_answered_from_text(
    turns: list[Turn], questions: dict[tuple[str, str], Json]
) -> None:
    for turn in turns:
        name = named(turn.row)
        if name is not None:
            assert name in questions, turn
            assert counts(questions[name]), turn


def test_gold_taken_over_is_that_of_the_question_with_pages_added_at_most(
    turns: list[Turn], questions: dict[tuple[str, str], Json]
) -> None:
    for turn in turns:
        if "gold_from" in turn.row:
            question = questions[turn.row["gold_from"]["set"], turn.row["gold_from"]["id"]]
            assert turn.row["docs"][0] == question["docs"][0], turn
            assert set(question["pages_1based"]) <= set(turn.row["pages"]), turn


def test_every_document_and_page_exists(turns: list[Turn], pages_of: dict[str, int]) -> None:
    for turn in turns:
        for doc in turn.row.get("docs", ()):
            assert doc in pages_of, turn
        for page in turn.row.get("pages", ()):
            assert 1 <= page <= pages_of[turn.row["docs"][0]], turn


def test_no_text_of_the_sets_was_copied(
    turns: list[Turn], questions: dict[tuple[str, str], Json]
) -> None:
    foreign = {row["question"].casefold().strip(" ?？") for row in questions.values()}
    copied = [
        turn
        for turn in turns
        if "text" in turn.row and turn.row["text"].casefold().strip(" ?？") in foreign
    ]

    assert not copied
