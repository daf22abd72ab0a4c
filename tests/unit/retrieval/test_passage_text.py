"""What of a passage is embedded and what is searched by its words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.retrieval.analyser import embedding_text, join_broken_lines, lexical_text
from tests.factories import chunk


def words(text):
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("显存带\n宽很高", "显存带宽很高"),
        ("很高，\n而且", "很高，而且"),
        ("很高 \n 而且", "很高而且"),
        ("“引文”\n之后", "“引文”之后"),
        ("RTX\n4090", "RTX\n4090"),
        ("带宽\n24 GB", "带宽\n24 GB"),
        ("one\ntwo", "one\ntwo"),
        ("一段。\n\n二段", "一段。\n\n二段"),
    ],
)
def test_only_line_breaks_inside_chinese_sentences_go(text, joined):
    assert join_broken_lines(text) == joined


def test_the_heading_stands_before_the_passage():
    found = chunk("The text.", heading="Guide › Part one")
    assert embedding_text(found, limit=99, count=words) == "Guide › Part one\nThe text."
    assert lexical_text(found) == "Guide › Part one\nThe text."


def test_a_passage_without_heading_is_embedded_alone():
    assert embedding_text(chunk(" The text. "), limit=99, count=words) == "The text."
    assert lexical_text(chunk("The text.")) == "The text."


def test_the_heading_loses_its_outermost_steps_when_there_is_little_room():
    found = chunk("one two three", heading="Title › Chapter › Section")
    assert embedding_text(found, limit=8, count=words).startswith("Title › Chapter › Section\n")
    assert embedding_text(found, limit=6, count=words) == "Chapter › Section\none two three"
    assert embedding_text(found, limit=5, count=words) == "Section\none two three"
    assert embedding_text(found, limit=3, count=words) == "one two three"


def test_the_passage_itself_is_never_cut():
    assert (
        embedding_text(chunk("one two three", heading="T"), limit=1, count=words) == "one two three"
    )


def test_the_header_of_a_table_is_searched_with_its_rows():
    found = replace(chunk("Sales 1 2", heading="Title"), context="(Millions) 2018 2017")
    whole = "Title\n(Millions) 2018 2017\nSales 1 2"
    assert lexical_text(found) == whole
    assert embedding_text(found, limit=99, count=words) == whole
    assert embedding_text(found, limit=6, count=words) == "(Millions) 2018 2017\nSales 1 2"
    assert embedding_text(found, limit=4, count=words) == "Title\nSales 1 2"
