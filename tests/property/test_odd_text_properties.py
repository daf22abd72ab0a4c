"""Whatever text a document, a question or an answer holds: nothing that reads it raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.readers_of_text import READERS

_PIECES = [
    "192.168.0.1:8080", "10.0.0.1", "::1", "v1.2.3-rc.4", "1.2.3:4.5.6", "12:30:61", "3:1",
    "1..2", "1,,2", "1,234,5", "0,000", "9" * 30, "9" * 5000, "1e9", "1E-400", "½", "3¾", "²",
    "١٢٣", "१२", "１２，３４５．６", "①", "Ⅳ", "一" * 50, "亿" * 20, "一亿亿亿",
    "三点一四点五", "百分之", "百分之点", "第", "第1", "第九九九", "12万亿", "1一2",
    "二〇一八年", "2018年13月32日", "31/31/2018", "Q5 2018", "FY", "twenty-twenty",
    "one hundred hundred", "zero thousand", "and", "million", "$", "US$ (", "(1,234)", "(a)(b)",
    "3M", "$3.5M", "10-K", "%", "‰", "= 1 / 0", "5 / 0 = 7", "(5 - 4) / 4 = 26%", "=", "≈",
    "مرحبا ١٢٣", "שלום", "\u200b", "\u200f", "\u202e", "\ufeff", "\u00ad", "\u0301", "\x00",
    "\x1b[1m", "|", "---", "**", "`", "```", "[1]", "<|im_end|>", "“", "《", "（", "page 3",
    "page twenty-two", "How many", "summarise the", "what is", "not", "没有", "单位：百万元",
    "IN MILLIONS", ".", ",", ":", "\n", "\t", "\r", "\u2028", " ", "The company", "has", "is",
    "employees",
]  # fmt: skip
ODD = st.lists(st.sampled_from(_PIECES) | st.text(max_size=6), max_size=14).map("".join) | st.text(
    alphabet="0123456789.,:;/-+eE%$()[]|*=一二十百千万亿点第年月日 \n", max_size=60
)


@pytest.mark.parametrize("name", READERS)
@given(text=ODD)
@settings(deadline=None)  # the first text loads dictionaries
def test_no_text_makes_a_reader_of_text_raise(name, text):
    READERS[name](text)
