"""Passages are slices of their document: in order, none blank, none too long, nothing lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.ingestion.chunking import RecursiveChunker
from rag.types.documents import Heading
from tests.factories import document

words = st.sampled_from(
    ["law", "The", "显存带宽", "。", ". ", "\n", "\n\n", " ", "1,234.5", "，", "_____", "🙂", "!"]
)
pages = st.lists(st.lists(words, max_size=60).map("".join), min_size=1, max_size=4)
SIZES = [(20, 0), (40, 0), (40, 12)]


def count(text: str) -> int:
    """Characters, and two tokens that every passage costs."""
    return len(text) + 2


def chunker(tokens: int, overlap: int) -> RecursiveChunker:
    return RecursiveChunker(tokens=tokens, overlap=overlap, max_tokens=64, count=count)


@pytest.mark.parametrize(("tokens", "overlap"), SIZES)
@settings(deadline=None)
@given(pages)
def test_every_passage_is_its_slice_and_fits(tokens: int, overlap: int, texts: list[str]) -> None:
    whole = document(*texts)
    chunks = chunker(tokens, overlap).split(whole)
    text = whole.text
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert count(chunk.text) <= tokens
        assert chunk.tokens == count(chunk.text)
        assert whole.page_at(chunk.start) == chunk.first_page
        assert whole.page_at(chunk.end - 1) == chunk.last_page
    assert [c.start for c in chunks] == sorted(c.start for c in chunks)
    assert [c.end for c in chunks] == sorted(c.end for c in chunks)


@pytest.mark.parametrize(("tokens", "overlap"), SIZES)
@settings(deadline=None)
@given(pages)
def test_no_character_is_lost(tokens: int, overlap: int, texts: list[str]) -> None:
    whole = document(*texts)
    covered = {i for c in chunker(tokens, overlap).split(whole) for i in range(c.start, c.end)}
    text = whole.text
    assert [text[i] for i in range(len(text)) if i not in covered and not text[i].isspace()] == []


@settings(deadline=None)
@given(pages)
def test_without_overlap_no_two_passages_share_a_character(texts: list[str]) -> None:
    chunks = chunker(20, 0).split(document(*texts))
    assert all(a.end <= b.start for a, b in itertools.pairwise(chunks))


def test_a_passage_knows_the_headings_above_it() -> None:
    whole = document(
        "Part one\nabc abc abc",
        "Detail\nxyz xyz xyz",
        title="Manual",
        headings=(Heading(0, "Part one", 1), Heading(1, "Detail", 2)),
    )
    chunks = chunker(20, 0).split(whole)
    assert chunks[0].heading == "Manual › Part one"
    assert chunks[-1].heading == "Manual › Part one › Detail"


def test_the_title_is_not_said_twice() -> None:
    whole = document(
        "A manual of\neverything\nabc abc abc",
        title="A manual of everything",
        headings=(Heading(0, "A manual of", 1), Heading(1, "abc", 1)),
    )
    assert chunker(20, 0).split(whole)[-1].heading == "A manual of everything › abc"


def test_a_sentence_is_not_cut_where_it_fits_whole() -> None:
    chunks = chunker(40, 0).split(
        document("一句话说完了。另一句话也说完了。第三句话在这里说完了。最后一句。")
    )
    assert all(chunk.text.endswith("。") for chunk in chunks)
