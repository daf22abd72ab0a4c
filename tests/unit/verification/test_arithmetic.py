"""Sums that an answer writes out are done again, and their numbers looked up."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rag.retrieval.analyser import BilingualAnalyser
from rag.types.answers import Passage, Sentence
from rag.types.documents import Chunk
from rag.verification.arithmetic import calculations
from rag.verification.linker import link
from rag.verification.reasons import reason_words


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The quick ratio is ($689 + $1,875) / $4,476 ≈ 0.57.", "0.5728"),
        ("1,577 / 32,765 x 100 = 4.8%", "4.813"),
        ("1,577 ÷ 32,765 = 4.8%", "0.04813"),
        ("Revenue rose by 177,866 − 135,987 = $41.9 billion", "41879"),
        ("(177,866 - 135,987) / 135,987 = 41,879 / 135,987 = 0.308 = 30.8%", "0.3080"),
        ("DPO: 365 * (25,309 + 34,616)/2 / (111,934 + 4,583) = 93.86", "93.86"),
        ("毛利率为（14,694－11,969）", None),
        ("毛利率为 (14,694 - 11,969) ÷ 14,694 × 100% = 18.5%。", "0.1854"),
    ],
)
def test_a_right_sum_is_right(text: str, value: str | None) -> None:
    found = calculations(text)
    if value is None:
        assert found == []
        return
    (one,) = found
    assert one.right
    assert round(one.value, 6).normalize() == pytest.approx(Decimal(value), rel=Decimal("0.001"))


@pytest.mark.parametrize(
    "text",
    [
        "(177,866 - 135,987) / 135,987 * 100 = 14.4%",
        "1,577 / 32,765 = 6%, so it is capital-intensive",
        "2 + 2 = 5",
        "10 / 4 = 2.5 = 26%",
        "700 - 70 = 603",
        "1,577 / 32,765 = 48%",
        "689 * 2 = 13,780",
    ],
)
def test_a_wrong_sum_is_wrong(text: str) -> None:
    (one,) = calculations(text)
    assert not one.right


@pytest.mark.parametrize(
    "text",
    [
        "x = 5",
        "capex = 5",
        "1 / 0 = 7",
        "a - 3 = 4",
        "2.8 = 2.8",
        "pages 3-5",
        "= 4",
        "5 + = 5",
        "1+" * 5_000 + "=1",
        "(" * 5_000 + "1=1",
        "-" * 20_000 + "= 3",
    ],
)
def test_what_is_no_sum_is_none(text: str) -> None:
    assert calculations(text) == []


SHEET = """Consolidated Balance Sheets of Amcor, June 30, 2023
Cash and cash equivalents 689
Trade receivables, net 1,875
Total current liabilities 4,476"""


def judged(answer: str, text: str = SHEET) -> Sentence:
    passage = Passage(1, Chunk("d", 0, len(text), 1, 1, text), "a.pdf", "a.pdf")
    (sentence,) = link(
        answer, [passage], terms=BilingualAnalyser().terms, page_of=lambda *_: 1, embed=None
    )
    return sentence


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (
            "The quick ratio of Amcor is (689 + 1,875) / 4,476 = 0.57.", "weak", "computed:0.5728"
        ),
        ("Its quick ratio is 0.57: (689 + 1,875) / 4,476 = 0.57.", "weak", "computed:0.5728"),
        ("Half of the cash of Amcor is 689 / 2 = 344.5.", "weak", "computed:344.5"),
        (
            "The quick ratio of Amcor is (689 + 1,875) / 4,476 = 0.75.",
            "unsupported",
            "arithmetic:0.5728",
        ),
        (
            "The quick ratio of Amcor is (698 + 1,875) / 4,476 = 0.57.", "unsupported", "number:698"
        ),
        ("The quick ratio of Amcor is 0.57.", "unsupported", "number:0.57"),
        ("Twice the **cash** of Amcor: 689 * 2 = **1,378**.", "weak", "computed:1,378"),
        ("Cash and cash equivalents of Amcor were 689.", "supported", ""),

    ],
)  # fmt: skip
def test_a_computed_sentence_is_as_good_as_its_sum(answer: str, verdict: str, reason: str) -> None:
    sentence = judged(answer)
    assert (sentence.verdict, sentence.reason) == (verdict, reason)
    for language in ("en", "zh"):
        assert not reason or reason.partition(":")[2] in reason_words(sentence.reason, language)


@pytest.mark.parametrize(
    "sentence",
    [
        "Two cards of the kind RTX 4090 x 2 = 48 GB of memory.",
        "The margin of the segment (2023/2022) = 18.5%.",
    ],
)
def test_names_and_years_are_no_sums(sentence: str) -> None:
    assert judged(sentence, sentence).verdict == "supported"


def test_a_number_of_the_text_may_be_said_and_computed_with() -> None:
    text = "Net sales of the firm were 14,694, and its cost of sales was 11,969 in the year."
    sum_ = "so its margin is (14,694 - 11,969) / 14,694 = 18.5%"
    found = judged(f"{text[:-1]}, {sum_}.", text)
    assert (found.verdict, found.reason) == ("weak", "computed:0.1854")
