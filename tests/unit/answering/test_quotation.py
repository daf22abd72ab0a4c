"""A sentence is found however it was copied, and never mistaken for one with other numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.explain.finding import ALIKE, Quotation

SENTENCE = "Net income was $1,577 million in 2018, up from 1,420 million."
PAGE = f"The year in short. {SENTENCE} The board met twice."
CHINESE = "显存带宽是每秒1008GB，位宽是384位。"


@pytest.mark.parametrize(
    "copied",
    [
        "net  income was\n$1,577 million in 2018, up from 1,420 million.",
        "Net in-\ncome was $1,577 million in 2018, up from 1,420 million.",
        "Ｎｅｔ income was ＄1,577 million in 2018, up from 1,420 million．",
        "Net income was $1577 million in 2018, up from 1420 million.",
        "Net income was $1,577 milion in 2018, up from 1,420 million.",
    ],
)
def test_the_copy_leads_back_to_the_place(copied: str) -> None:
    (match,) = Quotation(copied).places(PAGE)
    assert match.found
    assert match.likeness >= ALIKE
    assert PAGE[match.start : match.end].rstrip(" T.") == SENTENCE.rstrip(".")


@pytest.mark.parametrize("changed", [SENTENCE.replace("2018", "2019"), "Net income was 42."])
def test_other_numbers_are_another_sentence(changed: str) -> None:
    assert not any(match.found for match in Quotation(changed).places(PAGE))


def test_every_place_is_found_where_nothing_differs() -> None:
    text = f"{CHINESE}\n表一。{CHINESE}"
    matches = Quotation(CHINESE.replace("，", ",")).places(text)
    assert [text[match.start : match.end] for match in matches] == [CHINESE, CHINESE]


def test_what_is_not_nearer_than_something_else_is_left_out() -> None:
    quotation = Quotation("Net income was $1,577 million that year, and the board met often.")
    (near,) = quotation.places(PAGE)
    assert not near.found
    assert quotation.places(PAGE, nearer_than=near.likeness) == []
    assert quotation.places(PAGE, nearer_than=near.likeness - 0.01) == [near]


@pytest.mark.parametrize(("sentence", "text"), [("", PAGE), (" - ", PAGE), ("abc", ""), ("q", "z")])
def test_nothing_is_found_in_nothing(sentence: str, text: str) -> None:
    assert Quotation(sentence).places(text) == []


@given(st.text(min_size=1, max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_what_stands_in_a_text_is_found_in_it(sentence: str, before: str, after: str) -> None:
    quotation = Quotation(sentence)
    text = f"{before}\n{sentence}\n{after}"
    for match in quotation.places(text):
        assert 0 <= match.start < match.end <= len(text)
    if quotation.bare.isascii():
        assert not quotation.bare or any(m.likeness == 1 for m in quotation.places(text))
