"""Linking sentences of an answer to what supports them, by words, numbers and meaning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.verification.linker import link
from rag.verification.reasons import reason_words
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
    assert sentence.reason == "nowhere"


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


REPORT = passage(
    "Net sales (in millions) 2018 2017\nTotal 32,765 31,657\nGross margin 45.2% 44.1%\n"
    "Ada Lovelace joined Contoso Inc in March 2018. She is not a director. Sales increased by 5%.\n"
    "Section 6(c) of the “Master Plan” applies to Windows 7.",
    id=3,
    document_id="report",
    page=2,
)
BERICHT = passage(
    "公司2018年营业收入3.2亿元，同比增长百分之二十五。该项目不包括海外业务。根据《星河计划》执行。",
    id=4,
    document_id="zh",
    page=5,
)


@pytest.mark.parametrize(
    "answer",
    [
        "Total net sales were $32,765 million in 2018.",
        "Total net sales were about $32.8 billion in 2018.",
        "The gross margin was 45.2 percent in 2018.",
        "Ada Lovelace joined Contoso in March 2018.",
        "She isn't a director.",
        "Section 6(c) of the Master Plan applies to Windows 7.",
        "公司2018年营业收入为32,000万元，同比增长25%。",
        "该项目不包括海外业务。",
    ],
)
def test_what_stands_there_in_another_spelling_is_supported(answer):
    (sentence,) = linked(answer, passages=[REPORT, BERICHT])
    assert (sentence.verdict, sentence.reason) == ("supported", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Total net sales were $32,756 million in 2018.", "number:32,756 million"),
        ("Total net sales were $32,765 billion in 2018.", "scale:32,765 billion"),
        ("Total net sales were $32,765 million in 2016.", "date:2016"),
        ("The gross margin was 54.2% in 2018.", "number:54.2%"),
        ("Sales increased by 5 km.", "unit:5 km"),
        ("Sales decreased by 5%.", "opposite:decreased"),
        ("Ada Byron joined Contoso Inc in March 2018.", "name:Ada Byron"),
        ("Ada Lovelace joined Contoso Inc in April 2018.", "date:April 2018"),
        ("She is a director.", "negation"),
        ("Ada Lovelace has not joined Contoso Inc in March 2018.", "negation"),
        ("Section 6(d) of the “Master Plan” applies to Windows 7.", "number:6(d)"),
        ("Section 6(c) of the “Master Class” applies to Windows 7.", "quote:Master Class"),
        ("Section 6(c) of the “Master Plan” applies to Windows 8.", "name:Windows 8"),
        ("公司2018年营业收入3.2万元，同比增长25%。", "scale:3.2万元"),
        ("公司2018年营业收入3.2亿元，同比下降25%。", "opposite:下降"),
        ("该项目包括海外业务。", "negation"),
        ("根据《银河计划》执行。", "quote:银河计划"),
    ],
)
def test_what_does_not_stand_there_is_named(answer, reason):
    (sentence,) = linked(answer, passages=[REPORT, BERICHT])
    assert sentence.verdict != "supported"
    assert sentence.reason == reason
    for language in ("en", "zh"):
        assert reason_words(sentence.reason, language) not in {"", sentence.reason}


def test_a_number_of_no_passage_is_unsupported_however_alike_the_rest_is():
    (sentence,) = linked("The agreement ends on May 6, 2020.")
    assert sentence.verdict == "unsupported"
    assert sentence.evidence[0].page == 7  # where it was looked for


def test_a_number_of_another_place_is_weak():
    (sentence,) = linked("The agreement ends on May 5, 2020 for 450W.")
    assert (sentence.verdict, sentence.reason) == ("weak", "elsewhere:450W")


def test_the_question_decides_between_places_that_hold_the_same_number():
    rows = passage("Inventories 1,577\nNote\nNet sales 1,577", id=9, document_id="rows")
    for question, place in (("What are the inventories?", "Inv"), ("What are net sales?", "Net")):
        (sentence,) = link(
            "$1,577",
            [rows],
            terms=BilingualAnalyser().terms,
            page_of=lambda shown, offset: 1,
            question=question,
        )
        assert sentence.evidence[0].quote.startswith(place)


def test_between_languages_names_are_not_asked_for_but_numbers_are():
    def embed(texts):
        return np.eye(2, dtype=np.float32)[[0 if "3.2亿" in text else 1 for text in texts]]

    answer = "Revenue of the Chinese Company was {} in 2018."
    (right,) = linked(answer.format("320 million yuan"), passages=[BERICHT], embed=embed)
    assert right.verdict == "supported"
    (wrong,) = linked(answer.format("330 million yuan"), passages=[BERICHT], embed=embed)
    assert (wrong.verdict, wrong.reason) == ("unsupported", "number:330 million yuan")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("The fee on page 7 is $1,577.00 a month.", "supported"),
        ("On page 7, the agreement ends on May 5, 2020.", "supported"),
        ("The fee on page 8 is $1,577.00 a month.", "weak"),
        ("The fee on page 7 is $1,575.00 a month.", "unsupported"),
        ("第3页上 RTX 4090 的功耗为 450W。", "supported"),
        ("第9页上 RTX 4090 的功耗为 450W。", "unsupported"),
    ],
)
def test_a_page_that_an_answer_names_is_that_of_its_evidence(answer, verdict):
    (sentence,) = linked(answer)
    assert sentence.verdict == verdict, sentence.reason


def test_any_page_of_a_passage_may_be_named():
    text = "The fee is $1,577.00 a month."
    over = passage(text, id=1, document_id="lease", start=40, page=7)
    over = replace(over, chunk=replace(over.chunk, last_page=8), label="v")
    for said, verdict in (("8", "supported"), ("9", "weak")):
        (sentence,) = linked(f"The fee on page {said} is $1,577.00 a month.", passages=[over])
        assert sentence.verdict == verdict


def test_a_sentence_whose_check_fails_is_not_supported_and_the_next_one_is_checked():
    analyser = BilingualAnalyser()

    def terms(text):
        if "unspeakable" in text:
            raise ValueError("no word for that")
        return analyser.terms(text)

    answer = "The fee is unspeakable. The agreement ends on May 5, 2020."
    first, second = link(answer, PASSAGES, terms=terms, page_of=lambda *_: 1)
    assert (first.verdict, first.reason, first.evidence) == ("unsupported", "unchecked", ())
    assert second.verdict == "supported"
    assert reason_words("unchecked", "en") == "It could not be checked."


def test_a_passage_that_cannot_be_taken_apart_supports_nothing_and_the_others_do():
    analyser = BilingualAnalyser()

    def terms(text):
        if "450W" in text:
            raise ValueError("no word for that")
        return analyser.terms(text)

    (found,) = link(
        "The agreement ends on May 5, 2020.", PASSAGES, terms=terms, page_of=lambda *_: 1
    )
    assert (found.verdict, found.evidence[0].passage) == ("supported", 1)


@pytest.mark.parametrize(
    "header",
    [
        "(Millions, except per share)", "(In Millions)", "($ MILLIONS)", "IN MILLIONS",
        "(RMB million)", "（单位：百万元）", "（百万元）", "(in $mm)",
    ],
)  # fmt: skip
def test_a_header_names_the_scale_of_its_table_in_any_case(header):
    table = passage(
        f"Selected data\n{header} 2018 2017\nNet sales 32,765 31,657\nCost 16,682 16,055"
    )
    (found,) = linked("In 2017, net sales were $31,657 million.", passages=[table])
    assert found.verdict == "supported"
