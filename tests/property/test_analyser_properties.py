"""Whatever the text: terms can be stored, quoted and searched for."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.analyser import BilingualAnalyser

terms = BilingualAnalyser().terms
TEXTS = st.text(max_size=60) | st.text(
    alphabet="aé'’`\"-_./,:@&+%09 \n\t文字가ガ１％\u0301\u200b\u00a0", max_size=40
)


@given(text=TEXTS)
def test_no_term_is_empty_or_holds_white_space_or_quotes(text):
    for term in terms(text):
        assert term
        assert not any(letter.isspace() or letter in "\"'`" for letter in term)


@given(text=TEXTS)
def test_terms_do_not_depend_on_case_or_width(text):
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert terms(wide) == terms(text) == terms(text.casefold())


@given(left=TEXTS, right=TEXTS)
def test_texts_on_two_lines_are_analysed_apart(left, right):
    words = BilingualAnalyser().words
    assert words(f"{left}\n{right}") == words(left) + words(right)


@given(text=TEXTS)
def test_every_term_is_found_again_by_the_full_text_index(text):
    found = terms(text)
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIRTUAL TABLE t USING fts5(terms,"
        """ tokenize="ascii tokenchars '!#$%&()*+,-./:;<=>?@[\\]^_{|}~'")"""
    )
    connection.execute("INSERT INTO t VALUES (?)", (" ".join(found),))
    for term in found:
        hits = connection.execute("SELECT count(*) FROM t WHERE t MATCH ?", (f'"{term}"',))
        assert hits.fetchone() == (1,)
    connection.close()
