"""Questions about the library, the app and numbered places are answered by code, at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag.app import wiring
from rag.app.app import App
from rag.app.container import Container
from rag.types.answers import Answer, Checked, Delta, Finished, Message
from tests.factories import settings
from tests.inside import Inside
from tests.integration.app.test_app import until
from tests.pdfs import write_pdf

pytestmark = pytest.mark.usefixtures("shared_workers")

LEASE = (
    "LEASE\n1. Term\nThe lease runs for ten years.\n7. Notice\n7.1 Form. In writing only.\n"
    "7.2 Period. Thirty days before the end of a month.\n7.3 Costs. None."
)
KELP = ["Kelp grows along the coast.\nTable 2: Growth by month\nMay 12 June 14\n", "Discussion."]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("library") / "knowledge"
    write_pdf(folder / "lease.pdf", [LEASE, "Signed by both parties."])
    write_pdf(folder / "kelp paper.pdf", KELP)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    made = App.open(settings(folder))
    made.start()
    until(lambda: made.state().model_state == "ready" and len(made.documents()) == 3)
    until(lambda: made.state().sync_progress is None)
    yield made
    made.close()


def ask(app: App, question: str, **options: object) -> Answer:
    *_, last = app.ask(question, cancelled=lambda: False, **options)  # type: ignore[arg-type]
    assert isinstance(last, Finished)
    return last.answer


def test_documents_are_counted_and_gaps_named(app: App) -> None:
    answer = ask(app, "How many documents do I have?")
    assert answer.source == "library"
    assert answer.text.startswith("You have 3 documents with 4 pages. 1 document could not be read")
    assert "broken.pdf" in ask(app, "哪些文件读不了，为什么？").text


def test_a_name_that_no_document_has_is_neither_quoted_for_nor_supported(app: App) -> None:
    assert ask(app, "How long does the lease run?").quotation is not None
    answer = ask(app, "How long does the lease of Tesla run?")
    assert (answer.quotation, answer.verdict) == (None, "unsupported")
    assert {sentence.reason for sentence in answer.sentences} == {"echo", "about:Tesla"}


def test_a_list_leads_to_the_documents(app: App) -> None:
    answer = ask(app, "我有哪些文档？")
    assert {passage.document for passage in answer.passages} == {"lease.pdf", "kelp paper.pdf"}
    linked = [answer.text[s.start : s.end] for s in answer.sentences]
    assert sorted(linked) == ["kelp paper.pdf", "lease.pdf"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    for year, fee in (("2023", "nine"), ("2024", "ten")):
        write_pdf(folder / year / "lease.pdf", [f"1. Rent\nThe rent is {fee} euros for the barn."])
    write_pdf(folder / "kelp.pdf", KELP)
    (folder / "2023" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / "2024" / "broken.pdf").write_bytes(b"%PDF-1.4 neither")
    shell = Inside(folder)
    shell.run("sync")

    def said(question: str) -> str:
        return str(shell.json("ask", question)["answer"])

    for question in ("Which documents do I have?", "我有哪些文档？"):
        text = said(question)
        assert "\n- 2023/lease.pdf (" in text.replace("（", " (")
        assert "\n- 2024/lease.pdf (" in text.replace("（", " (")
        assert "\n- kelp.pdf" in text
    assert "2024/broken.pdf" in said("What could not be read and why?")
    about = said("Which documents are about the barn?")
    assert "2023/lease.pdf" in about
    assert "2024/lease.pdf" in about
    quoted = said("What does section 1 say?")
    assert "· 2023/lease.pdf, p. 1" in quoted
    assert "· 2024/lease.pdf, p. 1" in quoted


def test_documents_about_something_lead_to_the_place(app: App) -> None:
    answer = ask(app, "Which documents are about kelp?")
    assert [p.document for p in answer.passages] == ["kelp paper.pdf"]


def test_pages_of_one_document(app: App) -> None:
    assert (
        ask(app, "How many pages does the kelp paper have?").text == "kelp paper.pdf has 2 pages."
    )
    # no document is called so: that is a question for the documents
    assert ask(app, "How many pages may the offer have?").source == "documents"


def test_picked_documents_are_the_ones_that_count(app: App) -> None:
    lease = next(one.id for one in app.documents() if one.paths == ("lease.pdf",))
    assert ask(app, "How many documents are there?", documents=[lease]).text.startswith(
        "You have 1"
    )


def test_a_clause_is_quoted_where_it_stands(app: App) -> None:
    answer = ask(app, "What does clause 7.2 say?")
    assert answer.source == "place"
    assert "7.2 Period. Thirty days before the end of a month." in answer.text
    assert "7.3" not in answer.text
    (sentence,) = answer.sentences
    (evidence,) = sentence.evidence
    assert (evidence.document, evidence.page) == ("lease.pdf", 1)
    assert evidence.quote == "7.2 Period. Thirty days before the end of a month."
    assert evidence.boxes


NOTICE = "What does clause 7.2 of the lease say?"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app over two documents that have the same clauses."""
    folder = tmp_path_factory.mktemp("two") / "knowledge"
    write_pdf(folder / "lease.pdf", [f"{LEASE}\n8. Barn\nThe barn goes with the house."])
    write_pdf(folder / "loan.pdf", ["LOAN\n7. Rate\nFive percent.\n8. Security\nThe tractor."])
    made = App.open(settings(folder))
    made.start()
    until(lambda: len(made.documents()) == 2 and made.state().sync_progress is None)
    yield made
    made.close()


@pytest.mark.parametrize(
    "asked",
    [
        [NOTICE, "And clause 8?"],
        [NOTICE, "那第八条呢"],
        [NOTICE, "还有第八条呢？"],
        [NOTICE, "What of clause 8 then?"],
        [NOTICE, "What does clause 8 say?"],
        [NOTICE, "And 7.3?", "and section 8?"],
        ["How long does the lease run?", "And what does clause 8 say?"],
        ["lease.pdf 第七条怎么规定？", "第八条呢"],
    ],
)
def test_a_place_that_follows_is_of_the_same_document(two: App, asked: list[str]) -> None:
    answer = ask(two, asked[-1], history=history(*asked[:-1]))
    assert answer.source == "place"
    assert "barn" in answer.text
    assert "tractor" not in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        ["How long does the lease run?", "What does clause 8 say?"],  # it stands by itself
        [NOTICE, "Who grows kelp along the coast?", "And clause 8?"],
        [NOTICE, "What does clause 8 of the loan say?"],
    ],
)
def test_a_place_after_something_else_is_looked_for_everywhere(two: App, asked: list[str]) -> None:
    answer = ask(two, asked[-1], history=history(*asked[:-1]))
    assert answer.source == "place"
    assert "tractor" in answer.text


def history(*asked: str) -> list[Message]:
    return [
        message
        for question in asked
        for message in (Message("user", question), Message("assistant", "It says so."))
    ]


def test_a_quotation_is_shown_before_its_places_are_found_on_their_pages(
    app: App, tmp_path: Path
) -> None:
    knowledge = app.settings.knowledge
    folder = Path(shutil.copytree(knowledge, tmp_path / "knowledge"))
    container = Container(settings(folder))
    with closing(container), closing(container.ledger(read_only=True)) as ledger:
        direct = wiring.direct_answerer(container, ledger, model=lambda: "")
        for question in ("What does clause 7.2 say?", "Which documents are about the lease?"):
            events = direct.answer(question)
            assert events is not None
            shown = next(event for event in events if isinstance(event, Delta))
            (folder / "lease.pdf").rename(folder / "away.pdf")
            *told, last = events
            (folder / "away.pdf").rename(folder / "lease.pdf")
            assert isinstance(last, Finished)
            answer = last.answer
            assert answer.text == shown.text
            assert [one.sentence for one in told if isinstance(one, Checked)] == list(
                answer.sentences
            )
            assert not any(e.boxes for s in answer.sentences for e in s.evidence)


def test_a_place_that_is_not_there_is_said_not_to_be(app: App) -> None:
    answer = ask(app, "clause 9.9")
    assert answer.verdict == "not_in_documents"
    assert "clause 9.9" in answer.text
    assert "there" not in ask(app, "第九十九条").text


def test_a_part_that_cannot_be_told_apart_is_not_claimed(app: App) -> None:
    answer = ask(app, "clause 7.2(b)")
    assert "Thirty days" in answer.text
    assert "could not be told apart" in answer.text


def test_the_documents_can_be_asked_instead(app: App) -> None:
    assert ask(app, "What can you do?", mode="passages").source == "documents"
    lease = next(one.id for one in app.documents() if one.paths == ("lease.pdf",))
    assert ask(app, "What can you do?", documents=[lease]).source == "documents"


def test_a_question_about_a_clause_is_answered_from_it(app: App) -> None:
    answer = ask(app, "What period is meant in section 7.2?")
    assert answer.source == "documents"
    assert "Thirty days" in answer.passages[0].chunk.text


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("hello", "Hello"),
        ("谢谢", "不客气"),
        ("What can you do?", "your own documents"),
        ("我的文件会上传吗", "这台电脑"),
    ],
)
def test_the_app_answers_for_itself_in_the_language_of_the_question(
    app: App, question: str, words: str
) -> None:
    answer = ask(app, question)
    assert (answer.source, answer.verdict) == ("app", "supported")
    assert words in answer.text


def test_what_the_documents_do_not_hold_may_be_about_the_app(app: App) -> None:
    answer = ask(app, "Is whatever I type into your window going to some cloud?")
    assert answer.source == "app"


def test_an_empty_library_says_how_to_begin(tmp_path: Path) -> None:
    made = App.open(settings(tmp_path / "knowledge"))
    try:
        assert ask(made, "Hi!").source == "app"
        assert "no documents yet" in ask(made, "How many documents do I have?").text
    finally:
        made.close()


def test_the_guide_is_quoted_where_it_is_in_the_library(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    lines = (
        "How do I add documents?\nDrop PDF files onto the window, or copy\nthem into the folder."
    )
    write_pdf(folder / "RAG Desk guide.pdf", [lines])
    made = App.open(settings(folder))
    try:
        made.start()
        until(lambda: bool(made.documents()) and made.state().sync_progress is None)
        answer = ask(made, "How do I add documents?")
        (sentence,) = answer.sentences
        assert "Drop PDF files onto the window, or copy them into the folder." in answer.text
        assert sentence.evidence[0].boxes
    finally:
        made.close()
