from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.ingestion.pdf.page_text import clean, kept

raws = st.text(st.sampled_from(list("ab文 \r\n\ufffe\x02\x00-.")), max_size=60)


@given(raws)
def test_every_character_of_the_text_leads_back_to_the_same_character(raw: str) -> None:
    text = clean(raw)
    indices = kept(raw)
    assert len(indices) == len(text)
    assert "".join(raw[i] for i in indices) == text
    assert indices == sorted(indices)


def test_a_word_broken_at_the_line_end_is_joined() -> None:
    assert clean("con\ufffe\r\ntract law\r\n") == "contract law"


def test_an_ordinary_hyphen_stays() -> None:
    assert clean("4-bit\r\nmodel") == "4-bit\nmodel"
