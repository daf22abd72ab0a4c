"""Whether a place is about what was asked: its subject, its column, its row, its yes or no."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pytest

from rag.answering.subject import subject_of
from rag.retrieval.analyser import BilingualAnalyser
from rag.text.sentences import split_sentences
from rag.types.answers import Passage, Sentence
from rag.verification.linker import Embed, Linker
from tests import factories

ANALYSER = BilingualAnalyser()


class Library:
    """What a subject asks of the ledger, over a few texts: one passage is one document."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.terms = {name: set(ANALYSER.terms(text)) for name, text in texts.items()}

    def document_frequency(
        self, terms: Sequence[str], documents: Collection[str] | None = None
    ) -> tuple[dict[str, int], int]:
        held = [self.terms[d] for d in (documents if documents is not None else self.terms)]
        return {t: sum(t in one for one in held) for t in terms}, len(held)


def passage(name: str, text: str) -> Passage:
    return factories.passage(text, id=1, document_id=name)


def judged(question: str, answer: str, *passages: Passage, embed: Embed | None = None) -> Sentence:
    library = Library({p.chunk.document_id: p.chunk.text for p in passages})
    subject = subject_of(question, analyser=ANALYSER, store=library)
    linker = Linker(passages, terms=ANALYSER.terms, embed=embed, question=question, subject=subject)
    (span,) = split_sentences(answer)
    found = linker.judge(answer, *span)
    assert found is not None
    return found


TAXES = passage(
    "contoso",
    "Our income taxes fell. The increase in fiscal year 2022 was primarily due to a $3.3 billion "
    "net income tax benefit in the first quarter of fiscal year 2022.",
)


def test_a_figure_of_a_company_that_was_not_asked_for_is_unsupported():
    found = judged(
        "What was Tesla's net income for fiscal 2022?",
        "The net income for fiscal 2022 was $3.3 billion.",
        TAXES,
    )
    assert (found.verdict, found.reason) == ("unsupported", "about:Tesla")


def test_the_same_sentence_is_supported_where_its_company_was_asked_for():
    found = judged(
        "What was the net income tax benefit of fiscal 2022?",
        "The net income tax benefit for fiscal year 2022 was $3.3 billion.",
        TAXES,
    )
    assert found.verdict == "supported"


def test_a_date_of_another_thing_on_the_same_page_is_not_supported():
    page = passage(
        "sport",
        "2007年11月17日，苏格兰对意大利的赛事接近终场时，裁判误判一自由球予意大利。",
    )
    found = judged("轻艇水球是哪一年传入香港的？", "2007年11月17日", page)
    assert (found.verdict, found.reason) == ("weak", "subject")


TABLE = "Years ended December 31, 2018 2017 2016\nNet sales $ 32,765 $ 31,657 $ 30,109\n"


def test_a_figure_of_the_year_before_is_not_held_against_the_year_of_the_sentence():
    said = "Net sales were $32,765 in 2018, up from $31,657 the previous year."
    found = judged("What were the net sales in 2018?", said, passage("report", TABLE))
    assert (found.verdict, found.reason) == ("weak", "wording")


def test_two_that_are_compared_each_stand_in_a_document_of_their_own():
    asked = "Did Contoso or Fabrikam have the higher revenue in 2022?"
    contoso = passage("contoso", "In 2022 the revenue of Contoso was $512 million.")
    fabrikam = passage("fabrikam", "In 2022 the revenue of Fabrikam was $733 million.")
    for said in ("The revenue of Contoso was $512 million.", "Fabrikam had $733 million."):
        assert judged(asked, said, contoso, fabrikam).verdict == "supported"


def test_a_name_may_be_written_otherwise_in_another_language():
    page = passage("特斯拉", "特斯拉公司成立于2003年，总部设在得克萨斯州。")
    found = judged(
        "When was Tesla founded?",
        "Tesla was founded in 2003.",
        page,
        embed=lambda texts: np.ones((len(texts), 1), np.float32),
    )
    assert (found.verdict, found.reason) == ("supported", "")


def test_a_word_that_no_document_has_says_nothing_of_the_subject():
    page = passage("lease", "The monthly rent is 950 euros.")
    assert judged("How much is the montly rent?", "The rent is 950 euros.", page).verdict == (
        "supported"
    )


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Net sales were $31,657 in 2017.", "supported"),
        ("Net sales were $32,765 in 2017.", "weak"),
        ("Net sales were $31,657 in 2017, and $32,765 in 2018.", "supported"),
        ("Net sales were $32,765 in 2017, and $31,657 in 2018.", "weak"),
        ("Net sales increased from $31,657 in 2017 to $32,765 in 2018.", "supported"),
    ],
)
def test_a_figure_belongs_to_the_year_of_its_column(answer, verdict):
    table = passage("report", TABLE)
    found = judged("What were the net sales in 2017 and in 2018?", answer, table)
    assert found.verdict == verdict
    assert found.reason == ("column:32,765" if verdict == "weak" else "")


def test_the_first_row_below_its_years_has_them_as_its_header():
    table = passage(
        "regions",
        "Fiscal year ended 2022 2021\nAmericas $ 5,014 $ 4,313\nEurope 3,125 2,456\nAsia 1,123 999",
    )
    asked = "What was the revenue of the Americas in fiscal 2022?"
    wrong = judged(asked, "The revenue of the Americas in fiscal 2022 was $4,313.", table)
    assert (wrong.verdict, wrong.reason) == ("unsupported", "column:4,313")


def test_a_table_below_another_has_its_own_header():
    table = passage(
        "types",
        "项目 | 甲型 | 乙型 |\n---|---|---|\n价格 | 500元 | 600元 |\n其他型号的对比见下表。\n"
        "项目 | 乙型 | 甲型 |\n---|---|---|\n重量 | 70公斤 | 80公斤 |\n高度 | 2米 | 3米 |",
    )
    asked = "甲型的重量是多少"
    assert judged(asked, "甲型的重量为80公斤。", table).reason == "wording"
    assert judged(asked, "甲型的重量为70公斤。", table).reason == "column:70公斤"


def test_the_row_that_was_asked_for_is_not_the_total():
    table = passage(
        "net",
        "Fiscal year ended 2022 2021\nAmericas 5,014 4,313\nEurope 3,125 2,456\n"
        "Total net revenue $ 9,262 $ 8,225",
    )
    asked = "What was the total net revenue of Europe in fiscal 2022?"
    found = judged(asked, "Europe's total net revenue was $3,125.", table)
    assert (found.verdict, found.reason) == ("supported", "")


def test_a_cell_belongs_to_the_name_of_its_column():
    rows = "特性 | RTX 4090 | A100 40GB | A100 80GB |\n---|---|---|---|\n"
    rows += "显存容量 | 24GB | 40GB | 80GB |\n功耗 | 450W | 250W | 300W |\n"
    table = passage(
        "cards", rows + "显存带宽 | 1.0 TB/s | 1.6 TB/s | 2.0 TB/s |\n接口 | PCIe | PCIe | SXM |"
    )
    asked = "RTX 4090和A100 80GB的显存带宽各是多少"
    right = judged(asked, "RTX 4090的显存带宽为1.0 TB/s。", table)
    wrong = judged(asked, "RTX 4090的显存带宽为1.6 TB/s。", table)
    assert right.verdict == "supported"
    assert (wrong.verdict, wrong.reason) == ("weak", "column:1.6 TB/s")


def test_a_figure_of_another_row_is_not_supported():
    table = passage(
        "fees",
        "The sponsor pays the annual fee in each year of this contract on the first of May.\n"
        "It is paid to the club in full, and no part of it is paid back.\n"
        "Annual Fee\nFirst Contract Year (2018/19): $ 35,000\n"
        "Second Contract Year (2019/20): $ 35,700\nThird Contract Year (2020/21): $ 36,410",
    )
    asked = "How much is the annual fee in the third contract year?"
    wrong = judged(asked, "The annual fee in the third contract year is $35,700.", table)
    right = judged(asked, "The annual fee in the third contract year is $36,410.", table)
    assert (wrong.verdict, wrong.reason) == ("weak", "elsewhere:35,700")
    assert right.verdict == "supported"
    assert right.evidence[0].quote.startswith("Third Contract Year")


def test_the_row_that_holds_the_figure_is_the_place_not_a_sentence_with_the_same_words():
    page = passage(
        "backlog",
        "At the end of 2018, 30% of the total backlog was attributable to customers abroad.\n"
        "Our backlog was as follows:\n(Dollars in millions) 2018 2017\n"
        "Commercial $412,307 $410,986\nServices 78,174 63,654\nTotal Backlog $490,481 $474,640",
    )
    found = judged(
        "Total backlog at end of 2018",
        "The total backlog at the end of 2018 was $490,481 million.",
        page,
    )
    assert found.verdict == "supported"
    assert "490,481" in found.evidence[0].quote


PARTIES = passage("deal", "No party to this Agreement has the right to assign any of its rights.")


@pytest.mark.parametrize(("answer", "reason"), [("No.", "answered"), ("Yes.", "negation")])
def test_a_bare_yes_or_no_shows_the_place_and_whether_that_says_no(answer, reason):
    found = judged("May a party to this agreement assign its rights?", answer, PARTIES)
    assert (found.verdict, found.reason) == ("weak", reason)
    assert found.evidence[0].quote.startswith("No party")


def test_a_bare_answer_whose_question_stands_nowhere_is_unsupported():
    found = judged("Is there a swimming pool?", "Yes.", PARTIES)
    assert (found.verdict, found.reason) == ("unsupported", "nowhere")


def test_the_term_that_stands_in_the_place_of_another_is_told():
    far = (
        "排版软件有许多种，各有各的长处。安装时要选好镜像站点。字体可以放在系统目录里。"
        "宏包要按时更新。文档用编辑器来写。参考文献另外处理。"
    )
    told = "xelatex 命令是结合 XeTeX 引擎和 LaTeX 格式的一个编译命令。"
    page = passage("tex", f"pdfTeX 是常用的引擎。{far}{told}")
    asked = "xelatex 命令结合的是哪个引擎和哪个格式？"
    wrong = judged(asked, "xelatex 命令结合的是 pdfTeX 引擎和 LaTeX 格式。", page)
    right = judged(asked, "xelatex 命令结合的是 XeTeX 引擎和 LaTeX 格式。", page)
    assert (wrong.verdict, wrong.reason) == ("weak", "elsewhere:pdfTeX")
    assert right.verdict == "supported"


def test_a_figure_of_the_clause_beside_is_not_supported():
    page = passage("survey", "Some 27% own a tablet, and 18% own a smartphone.")
    wrong = judged("How many own a smartphone?", "27%", page)
    assert (wrong.verdict, wrong.reason) == ("weak", "elsewhere:27%")
    assert judged("How many own a smartphone?", "18%", page).verdict == "supported"


def test_a_numbered_thing_is_not_another_of_its_kind():
    page = passage(
        "licences",
        "We won 3,511 licences in Auction 107. In Auction 105 we participated and won 557 "
        "licences in the 3.5 GHz band.",
    )
    asked = "How many licences did we win in Auction 107?"
    wrong = judged(asked, "We won 557 licences in Auction 107.", page)
    right = judged(asked, "We won 3,511 licences in Auction 107.", page)
    other = judged(
        asked, "In Auction 107 we participated and won 557 licences in the 3.5 GHz band.", page
    )
    assert (wrong.verdict, wrong.reason) == ("weak", "elsewhere:557")
    assert (other.verdict, other.reason) == ("weak", "elsewhere:Auction 107")
    assert right.verdict == "supported"


@pytest.mark.parametrize(
    ("place", "claim"),
    [
        ("The total fee shall not exceed $500.", "The total fee shall exceed $500."),
        ("The tenant may sublet the whole flat under no circumstances.",
         "The tenant may sublet the flat."),
        ("公司从未有过大规模裁员。", "公司有过大规模裁员。"),
    ],
)  # fmt: skip
def test_what_a_place_denies_is_not_supported(place, claim):
    found = judged("", claim, passage("rules", place))
    assert (found.verdict, found.reason) == ("weak", "negation")


def test_without_regard_denies_nothing():
    page = passage(
        "law",
        "This Agreement shall be governed by the laws of the State of Colorado without regard to "
        "conflicts of law.",
    )
    found = judged(
        "Which state's law governs?",
        "This Agreement is governed by the laws of the State of Colorado.",
        page,
    )
    assert found.verdict == "supported"


def test_what_was_done_in_another_year_is_no_plan_for_the_year_that_was_asked_for():
    page = passage(
        "stores", "During fiscal 2022, the Company opened 47 new stores and remodeled 20 stores."
    )
    found = judged(
        "What are the new stores of the outlook for fiscal 2023?",
        "The Company opens 47 new stores and remodels 20 stores.",
        page,
    )
    assert (found.verdict, found.reason) == ("weak", "date:2023")
