"""The shipped terms of finance: which questions name figures that statements let one compute."""

from __future__ import annotations

from collections import Counter

import pytest

from rag.retrieval.terms.files import shipped_term_files
from rag.retrieval.terms.second_reading import shipped_terms, trust_in
from rag.text.messages import Language


def by_lines(question: str, language: Language, *, among_many: bool = True) -> str | None:
    """The lines that a question is also searched by, without a term file of a user's."""
    also = shipped_terms().second_reading(question, language, among_many=among_many)
    if also is None:
        return None
    assert also.kind == "computed_from", "no other names are shipped"
    return also.text


@pytest.mark.parametrize(
    ("question", "statements"),
    [
        ("Has AMCOR's quick ratio improved in FY2023?", ["balance sheets"]),
        ("Is 3M a capital-intensive business?", ["balance sheets", "cash flows", "income"]),
        ("Is it improving its gross margins?", ["income"]),
        ("What is the FY2017 DPO of Amazon?", ["balance sheets", "income"]),
        ("What was capex in 2020?", ["cash flows"]),
        ("How many inventories does the balance sheet show?", ["balance sheets"]),
        ("What's in the P&L?", ["income"]),
    ],
)
def test_a_figure_is_looked_for_in_its_statements(question: str, statements: list[str]) -> None:
    found = by_lines(question, "en")
    assert found is not None
    for name in ("income", "balance sheets", "cash flows"):
        assert (f"consolidated {name}" in found or f"statements of {name}" in found) == (
            name in statements
        ), found


@pytest.mark.parametrize(
    "question",
    [
        "How high is the tower?",
        "How many inventories does the firm own?",  # a line counts beside its statement only
        "What drove the operating margin in 2022?",
        "Why has gross profit fallen?",
        "What are the components of cost of sales?",
        "Where do I find fish roe?",
        "毛利率下降的原因是什么？",
        "How is the rent paid?",
        "合同什么时候到期？",
    ],
)
def test_other_questions_have_one_reading(question: str) -> None:
    assert by_lines(question, "en") is None
    assert by_lines(question, "zh") is None


def test_a_figure_counts_though_another_sentence_asks_for_reasons() -> None:
    found = by_lines(
        "Has the gross margin improved? If gross margin is not a useful metric, explain why.", "en"
    )
    assert found is not None
    assert "cost of sales" in found


def test_names_and_years_stay_and_words_of_the_task_go() -> None:
    found = by_lines(
        "Assume that you are an analyst. What is the net PPNE of Best Buy for FY2018? Answer in "
        "USD billions. Use the balance sheet.",
        "en",
    )
    assert found == (
        "Best Buy FY2018 consolidated balance sheets, financial position: property, plant and "
        "equipment, net, accumulated depreciation"
    )


def test_a_firm_in_lower_case_is_not_lost_among_many() -> None:
    question = "what was boeing's quick ratio in 2022? round to two decimals."
    among = by_lines(question, "en")
    assert among is not None
    assert "boeing's" in among
    assert "2022" in among
    assert "decimals" not in among
    alone = by_lines(question, "en", among_many=False)
    assert alone is not None
    assert alone.startswith("2022 consolidated balance sheets")


def test_chinese_questions_keep_what_is_not_the_figure() -> None:
    found = by_lines("比亚迪2022年的速动比率是多少？", "zh")
    assert found is not None
    assert found.startswith("比亚迪2022年的")
    assert "合并资产负债表：货币资金、应收账款、存货、流动资产合计" in found
    assert "速动比率" not in found


def test_across_languages_lines_are_in_the_documents_language() -> None:
    question = "波音 Boeing 2022年的毛利率"
    alone = by_lines(question, "en", among_many=False)
    assert alone is not None
    assert alone.startswith("Boeing 2022 consolidated statements of income")
    among = by_lines(question, "en")
    assert among is not None
    assert among.startswith("波音 Boeing 2022年的 consolidated statements of income")


def test_the_longer_of_two_names_counts() -> None:
    quick = by_lines("the debt to equity ratio", "en")
    assert quick is not None
    assert quick.count("total equity") == 1
    assert "资产周转" not in (by_lines("固定资产周转率", "zh") or "")
    assert "营业收入" in (by_lines("固定资产周转率", "zh") or "")


def test_lines_count_as_far_as_the_words_are_not_found_together() -> None:
    assert trust_in(0.0) == trust_in(0.5) > trust_in(0.55) > 0
    assert trust_in(0.6) == trust_in(1.0) == 0


def test_lines_that_no_passage_holds_do_not_count() -> None:
    assert trust_in(0.2, 0.35) == trust_in(0.2, 1.0) > trust_in(0.2, 0.3) > 0
    assert trust_in(0.2, 0.25) == trust_in(0.2, 0.0) == 0


def test_no_name_belongs_to_two_figures() -> None:
    (file,) = shipped_term_files()
    sections = [name for one in file.named_sections for name in (*one.names_en, *one.names_zh)]
    for figures in (file.figures, file.lines):
        named = [name for one in figures for name in (*one.names_en, *one.names_zh)]
        names = [*sections, *named]
        assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(file.sections) == {"income", "balance", "cash"}
    assert file.synonyms == ()
