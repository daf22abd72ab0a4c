"""A question in, ranked passages out, over a real ledger and a model-free embedder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.fusion import Ranking
from rag.retrieval.relevance import PROBES, Calibration, Calibrations
from rag.retrieval.retriever import HybridRetriever
from rag.retrieval.terms.files import load_term_files
from rag.retrieval.terms.second_reading import Terms
from rag.types.answers import Message
from tests.libraries import PageLibrary

CARDS = "cards"
LEASE = "lease"
TEXTS = {
    CARDS: [
        "RTX 4090 的显存带宽是 1.0 TB/s。",
        "The RTX 3090 draws 350 W under load.",
        "梯度检查点会增加约20%的计算时间。",
    ],
    LEASE: [
        "The lease ends on May 5, 2020 and may be renewed once.",
        "Form 10-K lists net income of $1,577.00 million.",
        "The tenant pays the rent on the first day of each month.",
    ],
}


@pytest.fixture
def library(tmp_path):
    """The retriever over TEXTS, one passage a page."""
    made = PageLibrary(tmp_path, HashingEmbedder())
    for name, texts in TEXTS.items():
        made.add(name, texts)
    return made


def found(library, question, **options):
    result = library.retriever.search(question, **{"k": 3} | options)
    return [passage.chunk.text for passage in result.passages]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How much power does the RTX 3090 draw?", TEXTS[CARDS][1]),
        ("显存带宽是多少？", TEXTS[CARDS][0]),
        ("梯度检查点要多少时间？", TEXTS[CARDS][2]),
        ("When does the lease end?", TEXTS[LEASE][0]),
        ("10K income", TEXTS[LEASE][1]),
        ("1577", TEXTS[LEASE][1]),
        ("rtx4090", TEXTS[CARDS][0]),
    ],
)
def test_the_passage_that_answers_comes_first(library, question, text):
    assert found(library, question)[0] == text


def test_passages_know_their_place_and_their_ranks(library):
    (first, *_) = library.retriever.search("显存带宽", k=2).passages
    assert (first.document, first.chunk.first_page) == ("cards.pdf", 1)
    assert (first.ranks.dense, first.ranks.lexical) == (1, 1)
    assert first.score == pytest.approx(1.0)


def test_scores_fall_and_no_passage_comes_twice(library):
    passages = library.retriever.search("the rent of the lease", k=6).passages
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    assert len({p.id for p in passages}) == len(passages) == 6


def test_a_document_filter_leaves_nothing_else_in(library):
    result = library.retriever.search(
        "How much power does the RTX 3090 draw?", k=9, documents=["lease"]
    )
    assert {p.document for p in result.passages} == {"lease.pdf"}
    assert len(result.passages) == 3


def test_within_chosen_documents_every_vector_is_scored(library):
    result = library.retriever.search("量子力学", k=9, documents=[LEASE])
    assert sorted(p.ranks.dense for p in result.passages) == [1, 2, 3]


@pytest.mark.parametrize("documents", [[], ["no such document"]])
def test_a_filter_that_names_nothing_finds_nothing(library, documents):
    result = library.retriever.search("lease", k=3, documents=documents)
    assert (result.passages, result.relevance) == ((), 0.0)


@pytest.mark.parametrize("question", ["", "  \n", "\u3000"])
def test_a_blank_question_finds_nothing(library, question):
    result = library.retriever.search(question, k=3)
    assert (result.passages, result.relevance) == ((), 0.0)


def test_a_question_without_words_still_gets_an_answer(library):
    assert len(found(library, "?!")) == 3


def test_an_empty_library_has_no_relevance(tmp_path):
    empty = PageLibrary(tmp_path, HashingEmbedder())
    result = empty.retriever.search("What is the power of the RTX 3090?", k=5)
    assert (result.passages, result.relevance) == ((), 0.0)


def test_a_passage_that_went_is_not_found_though_the_index_still_has_it(library):
    gone = library.ledger.remove_files([f"{LEASE}.pdf"])
    assert gone
    assert set(gone) <= library.index.ids()
    result = library.retriever.search("When does the lease end?", k=5)
    assert {p.document for p in result.passages} == {"cards.pdf"}
    assert len(result.passages) == 3


@pytest.mark.parametrize(
    "question", ["What is the capital of Mongolia?", "蒙古国的首都是哪里？", "Who wrote Faust?"]
)
def test_a_question_about_something_else_is_not_relevant(library, question):
    assert library.retriever.search(question, k=3).relevance < 0.1


@pytest.mark.parametrize(
    "question", ["How much power does the RTX 5090 draw under load?", "RTX 5090的显存带宽是多少？"]
)
def test_a_model_number_that_no_document_has_is_not_in_the_documents(library, question):
    found = library.retriever.search(question, k=3)
    assert found.relevance == 0
    assert found.passages, "the nearest are shown all the same"
    assert library.retriever.search(question.replace("5090", "3090"), k=3).relevance > 0.1


@pytest.mark.parametrize(
    "question",
    [
        "How much power does the RTX 3090 draw?",
        "显存带宽是多少？",
        "When does the lease end?",
        "Was the lease of 2031 ended?",
    ],
)
def test_a_question_that_is_answered_is_relevant(library, question):
    assert library.retriever.search(question, k=3).relevance > 0.5


def test_k_above_the_candidates_is_honoured(library):
    assert len(found(library, "the", k=6)) == 6


def test_times_are_measured(library):
    seconds = library.retriever.search("lease", k=1).seconds
    assert seconds.embed > 0
    assert seconds.dense > 0
    assert seconds.lexical > 0
    assert seconds.fuse > 0


def test_what_unrelated_questions_find_is_asked_once_for_all_retrievers(library, monkeypatch):
    embedded = []
    embed = library.embedder.embed_query

    def counted(text):
        embedded.append(text)
        return embed(text)

    monkeypatch.setattr(library.embedder, "embed_query", counted)
    baselines: dict = {}
    relevances = []
    for _ in range(3):  # the app makes a retriever for every question
        retriever = HybridRetriever(
            library.store,
            library.lexical,
            library.index,
            library.embedder,
            candidates=50,
            baselines=baselines,
        )
        relevances.append(retriever.search("When does the lease end?", k=3).relevance)
    assert len(embedded) == 3 + len(PROBES["en"])
    assert len(set(relevances)) == 1


def test_how_often_a_word_occurs_is_counted_anew_when_anyone_changes_the_library(library):
    store = library.retriever._store
    assert store.document_frequency(["rtx", "leas", "nowher"]) == (
        {"rtx": 2, "leas": 1, "nowher": 0},
        6,
    )
    with ThreadPoolExecutor(1) as other:  # a thread of its own has a connection of its own
        other.submit(library.ledger.remove_files, [f"{LEASE}.pdf"]).result()
    assert store.document_frequency(["rtx", "leas"]) == ({"rtx": 2, "leas": 0}, 3)
    library.add("more", ["One more RTX card."])  # and by this connection itself
    assert store.document_frequency(["rtx", "leas"]) == ({"rtx": 3, "leas": 0}, 4)
    library.ledger.close()


def test_more_words_than_are_kept_are_counted_all_the_same(library, monkeypatch):
    monkeypatch.setattr("rag.storage.passages._REMEMBERED", 2)
    store = library.retriever._store
    for terms in (["rtx", "leas"], ["rtx", "rent"], ["rtx", "leas", "rent"], ["rent"]):
        frequency, total = store.document_frequency(terms)
        assert frequency == {term: {"rtx": 2}.get(term, 1) for term in terms}
        assert total == 6


RENT, DEPOSIT, CHINESE = (1.0, 0.0, 0.0), (0.6, 0.3, 0.0), (0.0, 0.0, 0.6)
MEANT = {"rent": RENT, "租金": RENT, "deposit": DEPOSIT, "北京": CHINESE}


class TwoLanguages:
    """Vectors of (rent, other topics, language), each text by the words it holds."""

    name, dim, max_tokens = "two-languages", 3, 1000

    def count_tokens(self, text):
        return len(text)

    def embed_query(self, text):
        chinese = any("一" <= letter <= "鿿" for letter in text)
        sums = [sum(v[i] for word, v in MEANT.items() if word in text) for i in range(3)]
        row = np.array(sums, dtype=np.float32)
        row[2] += 0.7 if chinese and "北京" not in text else 0.05
        return row / np.linalg.norm(row)

    def embed_passages(self, texts):
        return np.stack([self.embed_query(text) for text in texts])


def test_across_languages_the_language_of_the_question_counts_for_less(tmp_path, monkeypatch):
    library = PageLibrary(tmp_path, TwoLanguages())
    # an English page that quotes Chinese lies nearer to every Chinese question
    quoting = "The deposit is kept in a place that is called 北京 by the people there."
    library.add("lease", ["The rent is paid on the first day of the month.", quoting])
    question = "租金什么时候付？"
    (first, *_) = library.retriever.search(question, k=3).passages
    assert first.chunk.first_page == 1
    monkeypatch.setattr("rag.retrieval.retriever.OF_LANGUAGE", 0.0)
    (first, *_) = library.retriever.search(question, k=3).passages
    assert first.chunk.first_page == 2


def test_an_embedder_that_does_not_know_the_language_leads_nobody_astray(tmp_path):
    library = PageLibrary(tmp_path, TwoLanguages())
    library.add("lease", ["The rent is paid on the first day of the month."] * 6)
    library.add("租约", ["押金在搬走之后退还，租金每月一日支付。"])
    question = "租金什么时候付？"

    def searched(meaning: float) -> Ranking:
        known: Calibrations = {"zh": Calibration(meaning=meaning)}
        retriever = HybridRetriever(
            library.store, library.lexical, library.index, library.embedder,
            candidates=50, calibrations=lambda: known,
        )  # fmt: skip
        return retriever.rank(question, k=3)

    assert searched(1.0).rankings.across_languages  # the English pages are the nearest
    alone = searched(0.0)
    assert not alone.rankings.across_languages
    assert alone.lexical_weight == 1
    assert alone.places[alone.final[0].id][0] == "租约"


def knowing(library, terms):
    """The retriever of a library with these terms instead of the shipped ones."""
    return HybridRetriever(
        library.store, library.lexical, library.index, library.embedder, candidates=50, terms=terms
    )


REPORT = [
    "Amcor designs packaging. The share of recycled material improved between 2022 and 2023.",
    "Risk factors. Our growth in 2023 and 2022 may slow down, and margins may fall short of plans.",
    """Consolidated Balance Sheets, June 30, 2023 and 2022
    Cash and cash equivalents 689 775
    Trade receivables, net 1,875 1,935
    Inventories, net 2,213 2,439
    Total current assets 5,308 5,853
    Total current liabilities 4,476 5,103
    Total liabilities 12,913 13,285""",
    """Consolidated Statements of Income, 2023 and 2022
    Net sales 14,694 14,544
    Cost of sales (11,969) (11,724)
    Gross profit 2,725 2,820
    Operating income 1,508 1,239""",
    "Directors. The board of Amcor met six times in 2023.",
]
CHINESE_REPORT = [
    "公司主要从事软包装业务，2023年与2022年相比，再生材料占比有所改善。",
    "董事会在2023年共召开六次会议。",
    (
        "合并资产负债表 2023年12月31日\n货币资金 689 775\n应收账款 1,875 1,935\n存货 2,213 2,439\n"
        "流动资产合计 5,308 5,853\n流动负债合计 4,476 5,103"
    ),
]


@pytest.mark.parametrize(
    ("pages", "question", "page"),
    [
        (REPORT, "Has Amcor's quick ratio improved between 2023 and 2022?", 3),
        (CHINESE_REPORT, "2023年的速动比率与2022年相比有改善吗？", 3),
    ],
)
def test_a_figure_that_no_page_states_is_found_by_its_lines(tmp_path, pages, question, page):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("report", pages)
    found = library.retriever.search(question, k=3)
    assert found.passages[0].chunk.first_page == page
    assert found.also is not None
    assert found.also.kind == "computed_from"
    assert found.seconds.lexical > 0
    alone = knowing(library, Terms(())).search(question, k=3)
    assert alone.passages[0].chunk.first_page != page
    assert alone.relevance < found.relevance


def test_a_figure_that_a_page_states_is_found_by_its_own_words(tmp_path):
    library = PageLibrary(tmp_path, HashingEmbedder())
    stated = "The quick ratio of Amcor was .69 in 2023, after .67 in 2022."
    library.add("report", [*REPORT, stated])
    found = library.retriever.search("What was the quick ratio of Amcor in 2023?", k=3)
    assert found.passages[0].chunk.text == stated
    assert found.also is None


def test_a_library_without_statements_is_searched_by_the_question_alone(library):
    question = "How large is the tenant's debt ratio?"
    found = library.retriever.search(question, k=6)
    assert found.also is None
    assert knowing(library, Terms(())).search(question, k=6).passages == found.passages


def test_a_follow_up_is_searched_by_lines_too(tmp_path):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("report", REPORT)
    turns = [Message("user", "How was the delivery of Amcor in 2023?"), Message("assistant", "Ok.")]
    found = library.retriever.search("And its quick ratio?", k=3, history=turns)
    assert found.passages[0].chunk.first_page == 3
    assert found.also is not None
    assert "2023" in found.also.text


LOAN = [
    "The borrower may lend out rooms. The cap on noise of the house is in the annex.",
    "The lender may call the loan where the loan to value exceeds 65 percent of the price.",
    "The cap on the rent of the flat is set by the city each year.",
]
HOTEL = [
    "The report of the hotel covers the year 2023, and what guests think of the year.",
    "Rooms sold 21,400\nRooms available 29,200\nRoom revenue 3,204,000",
    "The hotel board met in 2023 and spoke of plans and of the year ahead.",
]
LTV = '[[also_called]]\nnames_en = ["LTV", "loan to value"]\nnames_zh = ["贷款价值比"]'
REVPAR = """[[computed_from]]
names_en = ["RevPAR", "revenue per room"]
names_zh = ["平均客房收益"]
lines = [{ en = "room revenue, rooms sold, rooms available", zh = "客房收入、可售房间数" }]
"""


@pytest.mark.parametrize(
    ("pages", "file", "question", "kind"),
    [
        (LOAN, LTV, "What is the cap on the LTV?", "also_called"),
        (HOTEL, REVPAR, "How did RevPAR of the hotel do in the year 2023?", "computed_from"),
    ],
)
def test_a_term_of_a_users_file_finds_what_the_question_does_not_say(
    tmp_path, pages, file, question, kind
):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("document", pages)
    (tmp_path / "terms").mkdir()
    (tmp_path / "terms" / "mine.toml").write_text(file, "utf-8")
    alone = library.retriever.search(question, k=3)
    assert alone.passages[0].chunk.first_page != 2
    assert alone.also is None
    terms = Terms(load_term_files(tmp_path / "terms").used)
    found = knowing(library, terms).search(question, k=3)
    assert found.passages[0].chunk.first_page == 2
    assert found.also is not None
    assert found.also.kind == kind


LETTERS = [
    "The fax number of the court is 555-0100.",
    "The fax number of the clerk is 555-0101, and that of the court is on the first sheet.",
    "Signed in Chicago by J. Smith.",
]


def test_the_page_that_a_question_names_comes_first(tmp_path):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("letters", LETTERS)
    (passage, *_) = library.retriever.search("What stands on the last page?", k=3).passages
    assert passage.chunk.first_page == 3  # the only document there is
    library.add("others", [*LETTERS[:2], "Signed in Boston."])

    def first(question: str, documents: list[str] | None) -> tuple[str, int]:
        (passage, *_) = library.retriever.search(question, k=3, documents=documents).passages
        return passage.chunk.document_id, passage.chunk.first_page

    plain = "What is the fax number of the court?"
    assert first(plain, ["letters"]) == ("letters", 1)
    assert first(f"{plain} See page two.", ["letters"]) == ("letters", 2)
    assert first(f"{plain} It is on page 3.", ["letters"]) == (
        "letters",
        3,
    )  # though no retriever led
    assert first("What stands on the last page?", ["letters"]) == ("letters", 3)
    assert first("最后一页写了什么？", ["letters"]) == ("letters", 3)
    assert first("Who signed in Chicago, on page 3?", None) == ("letters", 3)
    few = HybridRetriever(
        library.store, library.lexical, library.index, library.embedder, candidates=2
    )
    ranking = few.rank("Who signed in Chicago, who signed in Boston? See page 1.", k=1)
    assert len({place[0] for place in ranking.places.values()}) == 2
    found = {chunk_id for chunk_id, _ in (*ranking.rankings.lexical, *ranking.rankings.dense)}
    assert {item.id for item in ranking.final} <= found  # page 1 of which?
    assert first("Who signed in Chicago, on page 9?", ["letters"]) == ("letters", 3)


def test_a_page_is_also_named_by_what_is_printed_on_it(tmp_path):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("letters", LETTERS)
    library.ledger.connection.execute("UPDATE pages SET label = '77' WHERE number = 2")
    found = library.retriever.search("Who signed page 77?", k=3, documents=["letters"])
    assert found.passages[0].chunk.first_page == 2


def test_a_page_that_is_asked_for_is_not_refused(tmp_path):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("letters", LETTERS)
    library.add("others", ["Bread is baked at night.", "Cheese is stored in cellars."])
    search = library.retriever.search
    asked, strange = "What do we have here, on page {}?", "Which mushrooms are edible, on page {}?"
    assert search(asked.format(2), k=3, documents=["letters"]).relevance >= 0.5
    assert search(strange.format(9), k=3, documents=["letters"]).relevance < 0.3  # no such page
    assert search(strange.format(2), k=3).relevance < 0.3  # of which document?


def test_a_named_page_leads_before_the_lines_of_a_figure(tmp_path):
    library = PageLibrary(tmp_path, HashingEmbedder())
    library.add("report", REPORT)
    question = "What does it say of the quick ratio on page 2?"
    found = library.retriever.search(question, k=3, documents=["report"])
    assert [passage.chunk.first_page for passage in found.passages][:2] == [2, 3]
    assert found.also is not None
    assert found.also.kind == "computed_from"
