"""Below an answer: what was searched for, and why a sentence is not in it."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rag.errors import StoreError
from rag.text.messages import Text
from rag.types.answers import AlsoSearched, Answer, Coverage, Message
from tests.fakes import FakeApp
from ui.app import create_app
from ui.handlers import respond
from ui.tabs import Problem, Screen, Sessions, Turn
from ui.views.chat import turn_html

HOME = "http://127.0.0.1:7860"
ID = "ab" * 32
ANSWER = Answer("?", "Not there.", "en", "not_in_documents", ())
READ = Coverage(7, 7, ("a.pdf",))
CUT = Answer("?", "Not", "en", "unsupported", (), finish="cancelled")


@pytest.fixture
def app(tmp_path: Path) -> FakeApp:
    return FakeApp(tmp_path / "knowledge")


def ask_why(app: FakeApp, **values: object) -> dict[str, str]:
    body = {
        "asked": ["What is it?"],
        "sentence": "It is red.",
        "documents": [],
        "language": "en",
        **values,
    }
    with TestClient(create_app(app, language="auto"), base_url=HOME) as client:
        answer = client.post("/app/why", json=body, headers={"origin": HOME})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def test_a_finished_answer_can_be_asked_why_not(app: FakeApp) -> None:
    turn = Turn("?", "done", "Not there.", answer=ANSWER, documents=(ID,))
    html = turn_html(turn, 1, "en")
    assert "Why not…?" in html
    assert f'data-documents="["{ID}"]"' in unescape(html)
    for other in (
        turn_html(Turn("?", "writing", "Not"), 0, "en"),
        turn_html(Turn("?", "stopped", "Not", answer=CUT), 1, "en"),
        turn_html(Turn("?", "done", "All.", answer=replace(ANSWER, coverage=READ)), 1, "en"),
        turn_html(Turn("?", "failed", problem=Problem(Text("a", "b"), Text("c", "d"))), 1, "en"),
    ):
        assert "Why not…?" not in other


def test_the_app_is_asked_what_the_person_asked_before_and_where(app: FakeApp) -> None:
    found = ask_why(app, asked=["What is it?", "And the lid?"], documents=[ID])
    assert found["note"] == ""
    (asked,) = app.doubted
    assert (asked.question, asked.sentence) == ("And the lid?", "It is red.")
    assert asked.history == (Message("user", "What is it?"),)
    assert asked.documents == (ID,)
    assert not asked.answer, "the model is not asked again"


def test_what_became_of_the_sentence_is_said_with_every_stage_and_escaped(app: FakeApp) -> None:
    html = ask_why(app)["html"]
    assert "Its passage came in place 9, and the model is given the first 5." in html
    assert "→ Ask with words" in html
    assert "&lt;rare&gt;" in html
    assert "&lt;b&gt;Drop&lt;/b&gt; your PDFs" in html
    assert '<li class="passed"><i aria-hidden="true">✓</i>It stands there.</li>' in html
    assert '<li class="lost"><i aria-hidden="true">✗</i>Only five are &lt;shown&gt;.</li>' in html
    assert "它排在第 9" in ask_why(app, language="zh")["html"]


def test_what_goes_wrong_is_said_in_words(app: FakeApp) -> None:
    app.error = StoreError(Text("Nothing yet.", "还没有。"), hint=Text("Wait.", "请等待。"))
    assert ask_why(app) == {"note": "Nothing yet.\n  → Wait.", "html": ""}


@pytest.mark.parametrize(
    "wrong", [{"asked": []}, {"sentence": ""}, {"sentence": "x" * 2001}, {"documents": ["../a"]}]
)
def test_what_the_page_would_not_send_is_refused(app: FakeApp, wrong: dict[str, object]) -> None:
    body = {"asked": ["a"], "sentence": "b", "documents": [], "language": "en", **wrong}
    with TestClient(create_app(app, language="auto"), base_url=HOME) as client:
        answer = client.post("/app/why", json=body, headers={"origin": HOME})
    assert answer.status_code == 422


def test_lines_of_statements_that_were_searched_for_are_shown() -> None:
    turn = Turn(
        "Has the quick ratio improved?",
        also=AlsoSearched("computed_from", "<b> balance sheets: cash"),
    )
    assert "Also searched for: &lt;b&gt; balance sheets: cash" in turn_html(turn, 1, "en")
    assert "同时检索：&lt;b&gt; balance" in turn_html(turn, 1, "zh")
    assert "Searched for" not in turn_html(turn, 1, "en")


def test_another_name_that_was_searched_for_is_shown() -> None:
    turn = Turn("What is the LTV?", also=AlsoSearched("also_called", "What is the loan to value?"))
    html = turn_html(turn, 1, "en")
    assert "Also searched for: What is the loan to value?" in html
    assert "called this, too" in html
    assert "computed from" not in html


def test_a_follow_up_shows_what_was_searched_for(app: FakeApp) -> None:
    screen = Screen()
    for question in ("How do I add documents?", "And in <2022>?"):
        ticket = Sessions().ticket("tab")
        *_, screen = respond(app, screen, question, documents=(), ticket=ticket)
    first, second = screen.turns
    assert first.searched == ""
    assert "Searched for" not in turn_html(first, 1, "en")
    assert second.searched == "How do I add documents? And in <2022>?"
    assert "Searched for: How do I add documents? And in &lt;2022&gt;?" in turn_html(
        second, 2, "en"
    )
    assert "检索内容：How" in turn_html(second, 2, "zh")
