"""Questions made by rule: what is asked about, in which words, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rag.evaluation.library import reduced
from rag.evaluation.measure import keeps, rephrased
from rag.indexing.questions.facts import facts_of
from rag.indexing.questions.maker import Question, make_questions
from rag.indexing.questions.wording import worded
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.passages import LedgerPassages
from rag.types.answers import Delta, Message
from rag.types.documents import Heading
from tests.libraries import PageLibrary

ENGLISH = """The museum was opened to the public by the mayor on March 3, 1921 in Antwerp.
The permanent collection holds 4,812 paintings that were given by local families.
As further discussed in Note 16, the roof has been repaired several times since.
It was closed for 14 months because of the flood in the lower town and harbour."""
TABLE = """Consolidated income (in millions)
2022 2021 2020
Operating income before tax 1,577 1,373 1,420
Interest expense on loans 246 210 177
Net income of the group 1,021 998 840"""
CHINESE = """跑马地锦标是一项在香港举行的赛马比赛，每年一次于跑马地马场举行。
首届跑马地锦标于1993年11月10日在香港举行，冠军奖金为八十万元港币。
该馆目前收藏了大量油画作品，其中4812件由本地家族捐赠给城市。"""


def asked(text: str, *headings: str) -> dict[str, str]:
    found = facts_of(text, 1, [Heading(0, title, 1) for title in headings])
    return {worded(fact, seed="1"): fact.answer for fact in found}


def test_a_sentence_is_asked_for_its_date_or_count_and_does_not_say_it() -> None:
    found = asked(ENGLISH)
    assert "March 3, 1921" in found.values()
    assert any(a.startswith("4,812") and "how many paintings" in q for q, a in found.items())
    assert not any(answer and answer in question for question, answer in found.items())


def test_what_hangs_on_the_sentence_before_or_only_names_a_note_is_left_alone() -> None:
    assert not any("flood" in question or "Note" in question for question in asked(ENGLISH))
    assert asked("This is due within 30 days of the invoice date in every single case.") == {}


def test_a_cell_is_asked_for_by_its_row_and_the_year_over_it() -> None:
    found = asked(TABLE)
    assert len(found) == 3
    for question, answer in found.items():
        row = next(r for r in TABLE.splitlines() if answer in r)
        label = row.split(answer)[0].rstrip("0123456789, ")
        assert label.lower() in question.lower()
        year = {0: "2022", 1: "2021", 2: "2020"}[row[len(label) :].split().index(answer)]
        assert f"in {year}" in question


def test_chinese_is_asked_in_chinese() -> None:
    found = asked(CHINESE)
    assert any(
        question.startswith("首届跑马地锦标于什么时候在香港") and answer == "1993年11月10日"
        for question, answer in found.items()
    )
    assert any("跑马地锦标" in q and "什么" in q for q, answer in found.items() if "赛马" in answer)


def test_a_heading_is_asked_for_in_another_order() -> None:
    (question,) = asked("", "3.2 Liquidity and capital resources")
    assert question == "What is said about capital resources and liquidity?"
    (question,) = asked("", "第三章 显存容量与带宽")
    assert "带宽" in question
    assert question.index("带宽") < question.index("显存容量")
    assert asked("", "Index", "2019") == {}


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    made = PageLibrary(tmp_path, HashingEmbedder())
    for number in range(10):
        year, town = 1921 + number, f"Town{chr(97 + number)}"
        made.add(
            f"guide{number}",
            [
                "\n".join(
                    (
                        f"The museum of {town} was opened by the mayor on March 3, {year}.",
                        f"The collection in {town} holds {4812 + number} paintings from families.",
                    )
                ),
                f"{town}博物馆于{year}年5月10日在市中心的旧车站里重新开放，观众来自全国各地。",
                TABLE.replace("1,577", f"{1577 + number}"),
            ],
        )
    return made


def test_every_document_is_asked_about_and_the_same_seed_asks_the_same(
    library: PageLibrary,
) -> None:
    first = make_questions(library.ledger, size=20, seed=1)
    assert first == make_questions(library.ledger, size=20, seed=1)
    assert first != make_questions(library.ledger, size=20, seed=2)
    assert len({question.id for question in first}) == len(first) == 20
    hidden = [question for question in first if question.taken_out]
    assert len(hidden) == 5
    assert not any(question.answerable for question in hidden)
    open_ = {question.documents for question in first if not question.taken_out}
    out = {question.documents for question in hidden}
    assert open_.isdisjoint(out)
    assert len(open_ | out) == 10
    assert {question.language for question in first} == {"en", "zh"}


def test_what_several_documents_say_is_asked_with_the_document_s_name(library: PageLibrary) -> None:
    found = [q for q in make_questions(library.ledger, size=60, seed=1) if q.kind == "table"]
    assert found
    for question in found:
        assert Path(question.documents[0]).stem in question.text
        assert not question.taken_out


def test_a_question_leads_to_the_page_that_it_was_made_of(library: PageLibrary) -> None:
    for question in make_questions(library.ledger, size=40, seed=3):
        document = library.ledger.load_document(Path(question.documents[0]).stem)
        assert document is not None
        text = document.pages[question.pages[0] - 1].text.replace("\n", "")
        assert all(answer.replace(" ", "") in text.replace(" ", "") for answer in question.answers)


def test_in_a_small_library_pages_are_taken_out(tmp_path: Path) -> None:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("one", [ENGLISH, CHINESE, TABLE])
    hidden = [q for q in make_questions(made.ledger, size=8, seed=1) if not q.answerable]
    assert {question.taken_out for question in hidden} == {"pages"}


def test_a_copy_without_a_document_or_page_does_not_know_it_and_the_library_stays(
    library: PageLibrary,
) -> None:
    store = LedgerPassages(library.ledger, library.version)
    before = store.chunk_ids()
    with reduced(library.ledger, [("guide0", None), ("guide1", [2])]) as copy:
        other = LedgerPassages(copy, library.version)
        assert len(other.chunk_ids()) == len(before) - 3 - 1
        counts, total = other.document_frequency(["towna", "townb"])
        assert (counts, total) == ({"towna": 0, "townb": 1}, 26)
        assert "guide0.pdf" not in copy.files()
        folder = copy.path.parent
        assert folder.parent == library.ledger.path.parent
    assert not folder.exists()
    assert store.chunk_ids() == before


class Script:
    """Says what it is told to, one reply after the other."""

    name, context_tokens = "script", 4096

    def __init__(self, *replies: str) -> None:
        self._replies = list(replies)

    def stream(self, messages: Sequence[Message], **_: object) -> Iterator[Delta]:
        yield Delta(self._replies.pop(0), 1, "stop")


def test_other_words_are_taken_only_if_the_answer_is_found_with_them() -> None:
    made = Question("1", "own", "en", ("a.pdf",), "When was the museum opened?", ("1921",), (1,),
                    True, "sentence", ("The museum",))  # fmt: skip

    def said(*replies: str) -> str:
        script = Script(*replies)
        (found,) = rephrased([made], script, page_text=lambda *_: ENGLISH)  # type: ignore[arg-type]
        return found.text

    assert said("In what year did it open?", "It opened in 1921.") == "In what year did it open?"
    assert said("In what year did it open?", "In 1950.") == made.text
    assert said("Sure, here you are:") == made.text
    assert not keeps(made, "Was the museum opened in 1921?")
    assert not keeps(made, "博物馆什么时候开放？")
