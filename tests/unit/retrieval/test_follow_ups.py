"""What a follow-up refers to is found by rules, and a change of topic is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.query.follow_ups import readings
from rag.types.answers import Message
from tests.libraries import PageLibrary


def read(*turns: str) -> str | None:
    *before, last = turns
    return readings(last, [Message("user", turn) for turn in before]).completed


@pytest.mark.parametrize(
    ("turns", "completed"),
    [
        (
            ["What was Boeing's revenue in 2018?", "And in 2022?"],
            "What was Boeing's revenue, in 2022?",
        ),
        (
            ["What was Boeing's revenue in 2018?", "What about Amazon?"],
            "What was revenue in 2018, Amazon?",
        ),
        (
            ["Who is Ada Lovelace?", "When was she born in London?"],
            "Who is Ada Lovelace, When was she born in London?",
        ),
        (["How much does it weigh?", "and the lid"], "How much does it weigh, the lid"),
        (["RTX 4090的功耗是多少？", "那RTX 3090呢？"], "的功耗是多少，RTX 3090呢？"),
        (["RTX 4090的功耗是多少？", "它有多少显存？"], "RTX 4090的功耗是多少，它有多少显存？"),
        (["2018年的营收是多少？", "2019年呢？"], "的营收是多少，2019年呢？"),
        (
            ["What was 3M's cost of sales in 2018?", "And in 2016?", "And net sales?"],
            "What was 3M's cost of sales, in 2016, net sales?",
        ),
    ],
)
def test_a_follow_up_is_completed_with_what_it_does_not_replace(
    turns: list[str], completed: str
) -> None:
    assert read(*turns) == completed


@pytest.mark.parametrize(
    "turns",
    [
        ["What was 3M's income?", "How many pounds of hemp does Gridiron buy?"],
        ["它的功耗是多少？", "A100和RTX 4090的价格差多少？"],
        ["What was 3M's income?", "Is there a limit on liability in the Vivint agreement?"],
        ["What was 3M's income?", "How does Microsoft describe its goodwill?"],
        ["RTX 4090的功耗是多少？", "应该给RTX 3090配多大的电源？"],
        ["What was 3M's income?", "What was 3M's income?"],
        ["What was 3M's income?", "  "],
        ["What was 3M's income?"],
    ],
)
def test_a_question_that_names_its_own_subject_has_one_reading(turns: list[str]) -> None:
    assert read(*turns) is None


@pytest.mark.parametrize(
    ("turns", "completed"),
    [
        (["How do I add documents?", "如何添加文档？"], None),
        (["显存带宽是多少？", "How wide is the memory bus?"], None),
        (["How much is the rent?", "什么时候付呢？"], "How much is the rent, 什么时候付呢？"),
        (
            ["这份合同的租金是多少？", "And when is it due?"],
            "这份合同的租金是多少，when is it due?",
        ),
    ],
)
def test_who_changes_the_language_without_a_sign_begins_anew(
    turns: list[str], completed: str | None
) -> None:
    assert read(*turns) == completed


def test_only_what_the_person_asked_counts() -> None:
    history = [Message("assistant", "Boeing had 101 billion."), Message("system", "Be brief.")]
    assert readings("And in 2022?", history).completed is None


def test_a_question_that_says_so_is_trusted_more_as_a_follow_up_than_one_that_may_be() -> None:
    before = [Message("user", "灰凤冠雉体长多少？")]
    sure, maybe = readings("它生几只蛋？", before), readings("雌鸡每次生几只蛋？", before)
    assert (sure.says_so, maybe.says_so) == (True, False)
    assert 1 > sure.likely > maybe.likely > 0
    weak = {"words": 3, "coverage": 0.5, "relevance": 0.3, "completed": 0.8, "best": 0.7}
    assert 1 > sure.trust(**weak) >= maybe.trust(**weak) > 0  # type: ignore[arg-type]


def test_a_question_that_finds_itself_is_not_searched_with_the_one_before() -> None:
    before = [Message("user", "What was Boeing's revenue in 2018?")]
    asked = "what is the notice period for ending the agreement without cause?"
    alone = readings(asked, before)
    assert alone.completed is not None, "its words name nothing"
    found = {"words": 6, "coverage": 0.95, "relevance": 0.97, "completed": 0.5, "best": 0.95}
    assert alone.trust(**found) == 0  # type: ignore[arg-type]


def test_what_stands_alone_in_mid_chat_is_what_the_next_question_goes_on_from() -> None:
    alone = "what is the notice period for ending the agreement without cause?"
    completed = read("What was Boeing's revenue in 2018?", alone, "And how is it given?")
    assert completed is not None
    assert "Boeing" not in completed
    assert "notice period" in completed


def test_a_chain_of_follow_ups_does_not_grow_for_ever() -> None:
    turns = ["What does the boiler cost?", *[f"And pump {n}?" for n in range(60)]]
    completed = read(*turns)
    assert completed is not None
    assert completed.startswith("What does the boiler cost"), "what the chain is about"
    assert len(completed) < 300


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("cards", [f"RTX {n} 的功耗是 {n // 10} 瓦。" for n in (4090, 3090, 3080)])
    made.add("birds", ["灰凤冠雉体长91厘米。", "孔雀的雌鸡每次生六只蛋。", "恐龙早已灭绝。"])
    return made


def test_a_follow_up_finds_what_it_refers_to(library: PageLibrary) -> None:
    question, before = "那显卡 RTX 3080 呢？", [Message("user", "RTX 4090 的功耗是多少？")]
    found = library.retriever.search(question, k=1, history=before)
    assert "RTX 3080" in found.passages[0].chunk.text
    assert found.searched == "的功耗是多少，显卡 RTX 3080 呢？"
    assert found.question == question


@pytest.mark.parametrize("history", [[], [Message("assistant", "RTX 4090 的功耗是 409 瓦。")]])
def test_without_questions_before_nothing_changes(
    library: PageLibrary, history: list[Message]
) -> None:
    for question in ("它的功耗是多少？", "RTX 3090", "体长？", ""):
        plain = library.retriever.search(question, k=5)
        after = library.retriever.search(question, k=5, history=history)
        assert after.passages == plain.passages
        assert (after.relevance, after.searched) == (plain.relevance, "")


def test_a_change_of_topic_is_judged_by_its_own_words(library: PageLibrary) -> None:
    before = [Message("user", "RTX 4090 的功耗是多少？")]
    found = library.retriever.search("小提琴怎么调音？", k=5, history=before)
    assert found.searched, "nothing in it says that the topic changed"
    assert found.relevance == library.retriever.search("小提琴怎么调音？", k=5).relevance < 0.1


def test_a_pasted_page_as_a_follow_up_is_searched_like_any_other(library: PageLibrary) -> None:
    long = "那么押金呢" + "请说明租客的义务和房东的义务" * 400
    turns = [Message("user", "RTX 4090 的功耗是多少？"), Message("user", long)]
    assert library.retriever.search(long, k=3, history=turns[:1]).passages
    assert library.retriever.search("那 RTX 3090 呢？", k=3, history=turns).passages
