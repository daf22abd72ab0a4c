"""Numbered places that a question names, and what asks for nothing but what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.retrieval.query.named_places import loosely_named
from rag.retrieval.query.numbered_places import numbered_places

QUESTIONS = Path(__file__).parents[2] / "eval" / "ordinary_questions.jsonl"


@pytest.mark.parametrize(
    ("question", "kind", "number"),
    [
        ("What does clause 7.2 say?", "clause", "7.2"),
        ("article XII", "clause", "12"),
        ("§ 5(b)", "clause", "5(b)"),
        ("Fig. 2a", "figure", "2A"),
        ("appendix B", "appendix", "B"),
        ("第七条怎么规定？", "clause", "7"),
        ("第八条第二款", "clause", "8(2)"),
        ("图３", "figure", "3"),
        ("表2", "table", "2"),
        ("附录二", "appendix", "2"),
        ("exhibit x", "appendix", "X"),
        ("Appendix L", "appendix", "L"),
        ("Part II", "chapter", "2"),
        ("the third chapter", "chapter", "3"),
        ("第17个注释", "footnote", "17"),
    ],
)
def test_a_place_is_recognised_however_it_is_written(question: str, kind: str, number: str) -> None:
    (place,) = numbered_places(question).places
    assert (place.kind, place.written) == (kind, number)


def test_a_range_names_every_place_of_it() -> None:
    for asked in ("sections 3 to 5", "sections 3-5", "第三条到第五条"):
        assert [p.number for p in numbered_places(asked).places] == ["3", "4", "5"]
    assert [p.number for p in numbered_places("section 3-5").places] == ["3.5"]


@pytest.mark.parametrize(
    "question",
    ["What was the figure for 2018?", "第一条生产线什么时候投产", "表2个月没走字了怎么办",
     "What is the figure I have to pay?", "the schedule I have to follow", "请关注一下押金",
     "Which section a tenant must read?", "谁代表一方签字？", "手表 3 保修多久",
     "the number 7.2 in the results", "Which museum lends the exhibits for the 1901 room?"],
)  # fmt: skip
def test_words_and_numbers_alone_are_no_place(question: str) -> None:
    assert not numbered_places(question).places


def test_a_question_about_a_place_is_not_one_for_the_place_itself() -> None:
    assert numbered_places("Show me the text of section 4 of the contract").bare
    assert not numbered_places("What is the deadline in section 4?").bare
    assert numbered_places("第三章主要内容是什么？").bare
    assert not numbered_places("第5.4款里的违约金是多少").bare


def test_places_of_the_written_set_are_found() -> None:
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    rows = [
        row
        for row in rows
        if row["kind"] == "place" and not row.get("aside")
        and row["want"]["place"] not in {"page", "paragraph", "equation"}
        and row["want"]["number"] not in {"first", "last"}
    ]  # fmt: skip

    def found(row: dict[str, object]) -> bool:
        want = str(row["want"]["number"])  # type: ignore[index]
        places = numbered_places(str(row["text"])).places
        return bool(places) and places[0].written.lower() == want.lower().replace("-", ".")

    wrong = [row["text"] for row in rows if not found(row)]
    assert len(wrong) <= 0.05 * len(rows), wrong


def test_a_document_may_be_named_by_one_word_of_its_own() -> None:
    names = {
        "1": ["MPLXLP_06_17_2015-EX-10.1-TRANSPORTATION SERVICES AGREEMENT.pdf"],
        "2": ["VnueInc_20150914_8-K_EX-10.1_Promotion Agreement.pdf"],
        "3": ["N2KINC_10_16_1997-EX-10.16-SPONSORSHIP AGREEMENT.pdf"],
        "4": ["HALITRON,INC_03_01_2005-EX-10.15-SPONSORSHIP AGREEMENT.pdf"],
        "5": ["Rental agreement.pdf"],
        "6": ["Deed.pdf"],
    }
    named = loosely_named("What does section 4 of the Promotion agreement with Vnue say?", names)
    assert (named.ids, named.question) == (("2",), "What does section 4 of the document say?")
    assert loosely_named("Section 3 of the MPLX agreement", names).ids == ("1",)
    assert not loosely_named("Section 3 of the agreement", names).ids
