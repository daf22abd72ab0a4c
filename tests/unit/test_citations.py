"""Linking sentences of an answer to what supports them, by words, numbers and meaning."""

from __future__ import annotations

import numpy as np
import pytest

from rag.generate.citations import link
from rag.retrieve.analyser import BilingualAnalyser
from rag.retrieve.hashing import HashingEmbedder
from tests.factories import passage

TABLE = "参数 RTX 4090 RTX 3090 A100\n功耗 450W 350W 400W\n显存 24GB 24GB 80GB"
PROSE = (
    "The agreement ends on May 5, 2020. It may be renewed\nfor one year. "
    "The fee is $1,577.00 a month."
)
CARDS = passage(TABLE, id=1, document_id="cards", start=100, page=3)
LEASE = passage(PROSE, id=2, document_id="lease", start=40, page=7)
PASSAGES = [CARDS, LEASE]


def linked(answer, *, passages=PASSAGES, embed=None):
    return link(
        answer,
        passages,
        terms=BilingualAnalyser().terms,
        page_of=lambda shown, offset: shown.chunk.first_page,
        embed=embed,
    )


@pytest.mark.parametrize("embed", [None, HashingEmbedder().embed_passages], ids=["words", "both"])
@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ("The agreement ends on May 5, 2020.", "The agreement ends on May 5, 2020."),
        ("It may be renewed for one year.", "It may be renewed\nfor one year."),
        ("The monthly fee is $1577.", "The fee is $1,577.00 a month."),
        ("- **The fee** is 1,577 a month [2].", "The fee is $1,577.00 a month."),
    ],
)
def test_a_sentence_leads_to_the_place_that_supports_it(answer, place, embed):
    (sentence,) = linked(answer, embed=embed)
    (evidence,) = sentence.evidence
    assert (sentence.verdict, evidence.quote) == ("supported", place)
    assert (evidence.passage, evidence.document, evidence.page) == (1, "lease.pdf", 7)


def test_offsets_lead_into_the_document_and_into_the_answer():
    answer = " The fee is $1,577.00 a month. "
    (sentence,) = linked(answer)
    (evidence,) = sentence.evidence
    assert answer[sentence.start : sentence.end] == answer.strip()
    begin = LEASE.chunk.start
    assert PROSE[evidence.start - begin : evidence.end - begin] == evidence.quote
    assert 0.5 <= evidence.score <= 1


def test_a_table_row_supports_what_its_passages_header_names():
    (sentence,) = linked("RTX 3090的功耗是350W。")
    assert sentence.verdict == "supported"
    assert "350W" in sentence.evidence[0].quote
    assert sentence.evidence[0].passage == 0


@pytest.mark.parametrize(
    "answer",
    [
        "The agreement ends on May 6, 2020.",
        "The fee is $1,578.00 a month.",
        "RTX 3090的功耗是351W。",
    ],
)
def test_a_changed_number_is_never_supported(answer):
    (sentence,) = linked(answer)
    assert sentence.verdict in {"weak", "unsupported"}


def test_a_claim_from_nowhere_is_unsupported_and_gets_no_evidence():
    (sentence,) = linked("Bananas grow in Ecuador because of rain.")
    assert (sentence.verdict, sentence.evidence) == ("unsupported", ())


@pytest.mark.parametrize(
    "answer", ["The documents do not contain the price of the card.", "文档中没有提到价格。"]
)
def test_saying_that_the_documents_are_silent_is_no_claim(answer):
    (sentence,) = linked(answer)
    assert (sentence.verdict, sentence.evidence) == ("not_in_documents", ())


def test_sentences_are_judged_one_by_one_in_order():
    answer = "The fee is $1,577.00 a month.\n\n---\nBananas grow in Ecuador because of rain."
    assert [s.verdict for s in linked(answer)] == ["supported", "unsupported"]


def test_pieces_without_words_are_left_out():
    assert linked("---\n```\n\n[1]") == ()
    assert linked("") == ()


def test_without_passages_nothing_is_supported():
    (sentence,) = linked("The fee is $1,577.00.", passages=[])
    assert (sentence.verdict, sentence.evidence) == ("unsupported", ())


def test_across_languages_meaning_chooses_and_numbers_confirm():
    def embed(texts):
        """Row 0 for what is about power, row 1 for the rest."""
        about = [("power" in text or "功耗" in text) for text in texts]
        return np.eye(2, dtype=np.float32)[[0 if power else 1 for power in about]]

    (sentence,) = linked("The power consumption of the RTX 3090 is 350 W.", embed=embed)
    assert sentence.verdict == "supported"
    assert "350W" in sentence.evidence[0].quote
    (wrong,) = linked("The power consumption of the RTX 3090 is 990 W.", embed=embed)
    assert wrong.verdict != "supported"


def test_each_span_is_embedded_once():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return HashingEmbedder().embed_passages(texts)

    linked("The fee is $1,577.00 a month. The agreement ends on May 5, 2020.", embed=embed)
    assert len(asked) == len(set(asked))
