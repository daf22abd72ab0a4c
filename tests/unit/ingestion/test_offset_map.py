"""From a text back to the file's characters, exactly."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag.ingestion.pdf.lines import TextLine
from rag.ingestion.pdf.offset_map import OURS, read_recipe, stretches, to_runs, write_recipe
from rag.ingestion.pdf.page import DraftPage
from rag.ingestion.pdf.page_text import compose


@given(st.lists(st.integers(min_value=OURS, max_value=60)))
def test_a_recipe_gives_back_every_place(places: list[int]) -> None:
    assert read_recipe(write_recipe(to_runs(places))) == places


@given(st.lists(st.integers(min_value=0, max_value=60)))
def test_stretches_cover_every_place_and_run_forward(places: list[int]) -> None:
    found = stretches(places)
    assert all(first <= last for first, last in found)
    assert all(any(a <= p <= b for a, b in found) for p in places)


def draft(*lines: str, order: list[int] | None = None, hidden: str = "") -> DraftPage:
    raw, found = "", []
    for number, line in enumerate(lines):
        found.append(
            TextLine(len(raw), len(raw) + len(line), 72, 20.0 * number, 300, 20.0 * number + 12)
        )
        raw += line if line.endswith("\ufffe") else line + "\r\n"
    at = raw.find(hidden) if hidden else 0
    unseen = frozenset(range(at, at + len(hidden)))
    return DraftPage(
        1, "", 612, 792, "text", None, raw, found, order or list(range(len(lines))), unseen
    )


def text_of(page: DraftPage, *, words: str = "", dropped: tuple[int, ...] = ()) -> str:
    return compose(page, dropped=dropped, words=words.split).text


@given(
    st.lists(st.text(st.sampled_from("ab文-\u00ad𝒙 "), min_size=1, max_size=9), max_size=6),
    st.randoms(use_true_random=False),
)
def test_every_character_of_a_page_stands_where_its_recipe_says(lines, random) -> None:
    page = draft(*[line for line in lines if line.strip()])
    order = list(page.order)
    random.shuffle(order)
    composed = compose(replace(page, order=order), dropped=(), words=lambda: ["ab"])
    places = read_recipe(composed.recipe)
    assert len(places) == len(composed.text)
    for char, place in zip(composed.text, places, strict=True):
        here = "\n" if place == OURS else page.raw[place]
        assert char == here or (char == "-" and here in "\ufffe\x02\u00ad")


def test_a_word_broken_at_the_line_end_is_joined_whether_pdfium_marked_it_or_not() -> None:
    assert text_of(draft("the infor\ufffe", "mation is")) == "the information is"
    assert text_of(draft("the infor-", "mation is")) == "the information is"


def test_the_document_says_whether_a_hyphen_stays() -> None:
    long_term = draft("a long-", "term plan")
    assert text_of(long_term, words="long term") == "a long-term plan"
    assert text_of(long_term, words="long-term") == "a long-term plan"
    assert text_of(long_term, words="long term longterm") == "a longterm plan"


def test_a_hyphen_that_breaks_no_word_is_left_alone() -> None:
    assert text_of(draft("from 1990-", "2000 on")) == "from 1990-\n2000 on"
    assert text_of(draft("item -", "next")) == "item -\nnext"
    assert text_of(draft("Anglo\ufffe", "Saxon")) == "Anglo-Saxon"
    assert text_of(draft("the end\ufffe")) == "the end-"


def test_the_last_line_before_a_dropped_one_joins_the_line_after() -> None:
    assert text_of(draft("infor-", "Annual report 7", "mation"), dropped=(1,)) == "information"


def test_hidden_characters_and_lines_in_another_order() -> None:
    assert text_of(draft("seen unseen", "more", hidden=" unseen")) == "seen\nmore"
    assert text_of(draft("second", "first", order=[1, 0])) == "first\nsecond"
