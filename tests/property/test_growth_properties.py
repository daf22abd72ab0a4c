"""Lines that could be read in many ways: sixteen times the text takes no more than its share."""

from __future__ import annotations

import time

import pytest

from tests.readers_of_text import READERS

_TOKENS = [
    "1,234 ", "$ 1,234 ", "(1) ", "1% ", "- ", "5 - ", "1", "1.", "1,", "1:", "2018 ", "2018,",
    "March 5, ", " ", "\u00a0", "\n", " \n", ".", ". ", "!?", "...\"", "-", "| ", "|-", "---", "*",
    "**a", "`", "#", "(", "[1] ", "<", "<<  ", "“", "《", "a", "Ab ", "a.", "A-", "a'", "一",
    "十亿", "第一", "中 ", "two ", "and ", "please, ", "please ", "with ", "the ", "of the two ",
    "how many ", "page 1 ", "list all ", "; ", "：", "= 1 ", "1+", "x ", "document not ", "=",
]  # fmt: skip
_HOSTILE = [
    (start, token, end)
    for token in _TOKENS
    for start, end in (("", "x"), ("Total ", "\nx"))
]  # fmt: skip
_REAL = [
    ("Total ", "1,234 ", "x"),
    ("Net sales ", "$ 31,657 ", "(a)"),
    ("Other assets ", "(1,420) 12.5% - ", "n.m."),
    ("Contents ", ". . . . ", "12"),
    ("summary ", "please ", "\nWhat is it?"),
    ("Weighted average ", "2018 2017 2016 ", "thereafter"),
    ("营业收入 ", "1,234.5 ", "见附注"),
]  # fmt: skip
_CHARACTERS = (100, 400, 1600)
_BRIEF_S = 0.1  # less than that may be the machine
_SLOWER = 24  # times, for four times the text: the square and half as much again


@pytest.mark.parametrize("name", READERS)
def test_a_longer_line_takes_its_share_longer(name):
    """One measured line after another, so that the first that explodes ends the test."""
    for start, token, end in (*_REAL, *_HOSTILE):
        before = _BRIEF_S / _SLOWER
        for size in _CHARACTERS:
            text = start + token * (size // len(token)) + end
            began = time.process_time()
            READERS[name](text)
            took = time.process_time() - began
            assert took < max(_BRIEF_S, _SLOWER * before), (name, start, token, end, size, took)
            before = took
