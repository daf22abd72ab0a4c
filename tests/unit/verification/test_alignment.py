"""A figure that was exchanged in a sentence taken word for word, and nothing else, is seen."""

from __future__ import annotations

import pytest

from rag.retrieval.analyser import BilingualAnalyser
from rag.text.quantities import quantities
from rag.verification.linker import link
from rag.verification.wording import exchanged
from tests.factories import passage


def seen(claim: str, evidence: str) -> list[str]:
    return [claim[q.start : q.end] for q in exchanged(claim, quantities(claim), evidence)]


@pytest.mark.parametrize(
    ("claim", "evidence", "found"),
    [
        (
            "Cash taxes paid (net) were $1.2 billion and $881 million in 2018 and 2018.",
            "Cash taxes paid (net) were $1.2 billion and $881 million in 2018 and 2019.",
            ["2018"],
        ),
        (
            "Stores that were closed for more than 14 months are left out until they open again.",
            "Stores that were closed for more than 14 days are left out until they open again.",
            ["14 months"],
        ),
        (
            "Our Level 3 derivative assets and liabilities are certain cleared swap contracts.",
            "Our Level 2 derivative assets and liabilities are certain cleared swap contracts.",
            ["3"],
        ),
        (
            "甲方应当在2018年3月之前向乙方支付全部款项并提供发票",
            "甲方应当在2018年5月之前向乙方支付全部款项并提供发票",
            ["2018年3月"],
        ),
    ],
)
def test_another_figure_in_the_same_place_is_seen(
    claim: str, evidence: str, found: list[str]
) -> None:
    assert seen(claim, evidence) == found
    assert seen(evidence, evidence) == []


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        (  # another spelling
            "It paid its holders about $0.6 billion on 5 March 2018 in cash and shares.",
            "It paid its holders about $600 million on March 5, 2018 in cash and shares.",
        ),
        (  # less precise
            "It paid a dividend in cash and in shares in 2018, as it had said.",
            "It paid a dividend in cash and in shares in May 2018, as it had said.",
        ),
        (  # worded in its own way
            "Revenue was 12 million in 2018, which is more than in any of the years before.",
            "In 2017 the turnover of the group amounted to 9 million, and 12 million a year later.",
        ),
        ("Rent: 950 euros.", "Rent: 900 euros."),  # too short to tell
        (  # words where the evidence has a figure
            "All the tenants of the house have to pay the rent for several months in advance.",
            "All the tenants of the house have to pay the rent for 3 months in advance.",
        ),
    ],
)
def test_what_says_the_same_or_says_it_otherwise_is_left_alone(claim: str, evidence: str) -> None:
    assert seen(claim, evidence) == []


def test_a_year_that_stands_elsewhere_in_the_passage_does_not_vouch() -> None:
    page = (
        "The new rule was adopted by the board in fiscal 2018. The adoption did not have a "
        "material impact on our fiscal 2019 consolidated statements of earnings."
    )
    wrong = (
        "The adoption did not have a material impact on our fiscal 2018 consolidated statements."
    )
    terms = BilingualAnalyser().terms
    (false,) = link(wrong, [passage(page)], terms=terms, page_of=lambda *_: 1)
    (true,) = link(
        wrong.replace("2018", "2019"), [passage(page)], terms=terms, page_of=lambda *_: 1
    )
    assert (false.verdict, false.reason.partition(":")[0]) == ("weak", "elsewhere")
    assert true.verdict == "supported"
