"""Numbered places of a document, found by how lines begin."""

from __future__ import annotations

import pytest

from rag.text.anchors import find_anchors

CONTRACT = """TABLE OF CONTENTS
7. Termination ........ 12
7.2 Notice ............ 13
This Agreement is made under
Section 7.2 of the Master Agreement and remains in force.
7. Termination
7.1 Term. Ten years.
7.2 Notice. Thirty days in writing.
It is sent by post.
7.2.1 Address. To the landlord.
7.3 Costs. None.
ARTICLE\u00a0VIII\u00a0GOVERNING LAW
The law of France.
EXHIBIT B
Prices
"""


def places(text: str) -> dict[tuple[str, str], str]:
    return {(a.kind, a.number): text[a.start : a.end] for a in find_anchors(text, [0])}


def test_a_clause_goes_on_to_the_next_that_is_no_part_of_it() -> None:
    found = places(CONTRACT)
    assert found["clause", "7.2"].startswith("7.2 Notice. Thirty days")
    assert found["clause", "7.2"].endswith("To the landlord.\n")
    assert found["clause", "7"].endswith("7.3 Costs. None.\n")


def test_contents_and_references_at_the_start_of_a_line_are_no_places() -> None:
    text = "7.2 Notice ............ 13\nas said in\nSection 9.1 of the Act and\nArticle 3 hereof.\n"
    assert not places(text)


def test_numbers_are_kept_as_people_ask_for_them() -> None:
    found = places(CONTRACT)
    assert ("clause", "8") in found
    assert ("appendix", "B") in found


@pytest.mark.parametrize(
    ("line", "kind", "number"),
    [
        ("第七条 违约责任", "clause", "7"),
        ("第三章 总则", "chapter", "3"),
        ("图3：系统结构", "figure", "3"),
        ("表 2 参数", "table", "2"),
        ("附录二 计算方法", "appendix", "2"),
        ("Figure 3. Growth of kelp", "figure", "3"),
        ("Table A1: Costs", "table", "A1"),
        ("Chapter 4", "chapter", "4"),
    ],
)
def test_headings_and_captions_in_both_languages(line: str, kind: str, number: str) -> None:
    assert (kind, number) in places(f"Before.\n{line}\nAfter it.\n")


def test_a_footnote_stands_at_the_foot_of_its_page() -> None:
    page = "Text.\n" * 40 + "5 See the annual report.\n"
    assert ("footnote", "5") in places(page)
    assert ("footnote", "5") not in places("5 See the annual report.\n" + "Text.\n" * 40)


def test_a_line_of_spaces_is_no_trap() -> None:
    find_anchors(f"7.2 Notice{' ' * 60_000}x\n", [0])  # would take minutes
