"""Words as index terms."""

from __future__ import annotations

import pytest

from rag.retrieval.analyser import BilingualAnalyser

terms = BilingualAnalyser().terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Running runners ran", ["run", "runner", "ran"]),
        ("显存带宽", ["显存", "存带", "带宽"]),
        ("税", ["税"]),
        ("1,234.5", ["1234.5"]),
        ("$1,577.00", ["1577.00", "1577"]),
        ("3.2% ４５％", ["3.2", "3.2%", "45", "45%"]),
        ("4-bit", ["4bit", "4", "bit"]),
        ("RTX-4090", ["rtx4090", "rtx", "4090"]),
        ("FY2018", ["fy2018", "fy", "2018"]),
        ("ISO/IEC-27001", ["isoiec27001", "iso", "iec", "27001"]),
        ("10-K", ["10k", "10", "k"]),
        ("2018-03-31", ["2018-03-31", "2018", "03", "31"]),
        ("max_temp=80", ["max_temp", "max", "temp", "80"]),
        ("long-term and/or", ["long", "term", "and", "or"]),
        ("e-mail", ["email", "e", "mail"]),
        ("U.S. company's", ["us", "compani"]),
        ("café Über", ["cafe", "uber"]),
        ("カタカナ한국어", ["カタ", "タカ", "カナ", "ナ한", "한국", "국어"]),
        ("ガ", ["ガ"]),
        ("\U00020000\U00020001", ["\U00020000\U00020001"]),
        ("2018年3月", ["2018", "年", "3", "月", "2018-03"]),
        ("顯示卡記憶體", ["显示", "示卡", "卡记", "记忆", "忆体"]),
        ("ＡＢＣ，人工智能", ["abc", "人工", "工智", "智能"]),
        ("Привет", ["привет"]),
        ("", []),
        ("— … 。", []),
    ],
)
def test_text_is_cut_into_terms(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("RTX 4090", "the RTX-4090 card"),
        ("RTX4090", "an RTX 4090"),
        ("1577", "$1,577.00"),
        ("FY2018", "in 2018"),
        ("email", "by e-mail"),
        ("ＧＰＵ显存", "GPU显存"),
        ("agreements", "this Agreement"),
        ("10-K", "Form 10-K"),
        ("8.7", "8.70"),
        ("resume", "Résumé"),
        ("3.2亿", "320 million"),
        ("320,000,000", "3.2亿元"),
        ("2018年3月", "March 2018"),
        ("在03/2018", "二〇一八年三月"),
        ("百分之二十五", "25%"),
        ("二十五天", "25 days"),
        ("頻寬", "频宽"),
    ],
)
def test_two_ways_to_write_a_thing_share_a_term(question, passage):
    assert set(terms(question)) & set(terms(passage))


def test_numbers_that_differ_share_no_term():
    assert not set(terms("254.7")) & set(terms("2547 25.47 254"))
