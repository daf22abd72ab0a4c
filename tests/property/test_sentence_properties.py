"""Whatever the text: sentences are in order and lose nothing but white space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.text.sentences import split_lines, split_prose, split_sentences

PIECES = st.sampled_from(
    [
        "The U.S. ", "3.5", "e.g. ", "Mr. ", "。", "！", "？", "……", "”", "\n", "\r\n", "\n\n",
        "```", "~~~", "- ", "1. ", "| a | b |", "显存", "带宽", " ", "\u3000", "[1]", ".", "?", "!",
        "word ", "Word", ")", "\x0b", "\x1c", "\u2028", "😀",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=80)


@pytest.mark.parametrize("split", [split_sentences, split_prose, split_lines])
@given(text=TEXTS)
def test_spans_are_ordered_trimmed_and_cover_all_but_white_space(split, text):
    at = 0
    for start, end in split(text):
        assert at <= start < end <= len(text)
        assert text[at:start].strip() == ""
        assert text[start:end] == text[start:end].strip()
        at = end
    assert text[at:].strip() == ""
