"""What a person sees, event by event, without a browser and without Gradio."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from subprocess import run

import pytest

from rag.errors import ModelError
from rag.text.messages import Text
from rag.types.answers import Answer, AnswerMessage, Delta, Event, Finished, Retrieved
from rag.types.progress import Progress
from tests.fake_script import EN, SCRIPT_EN, ZH
from tests.fakes import FakeApp
from ui.handlers import opened, respond
from ui.layout import Events
from ui.tabs import Client, Screen, Sessions, Turn, client_of, history_of
from ui.views.chat import talk_html, turn_html

QUESTION = "How do I add documents?"


@pytest.fixture
def app(tmp_path: Path) -> FakeApp:
    return FakeApp(tmp_path / "knowledge")


def answer(app: FakeApp, question: str = QUESTION, *, turns: Sequence[Turn] = ()) -> list[Screen]:
    ticket = Sessions().ticket("tab")
    screen = Screen(tuple(turns))
    return list(respond(app, screen, question, documents=(), ticket=ticket))


def last(screens: Sequence[Screen]) -> Turn:
    assert screens[-1].live is None
    return screens[-1].turns[-1]


def test_an_answer_is_kept_and_comes_back_with_its_evidence(app: FakeApp) -> None:
    first = answer(app)[-1]
    assert first.chat is not None
    ticket = Sessions().ticket("tab")
    second = list(respond(app, first, "如何添加文档？", documents=(), ticket=ticket))[-1]
    assert second.chat == first.chat
    again = opened(app, first.chat)
    assert again.chat == first.chat
    assert [turn.question for turn in again.turns] == [QUESTION, "如何添加文档？"]
    assert [turn.answer for turn in again.turns] == [turn.answer for turn in second.turns]
    assert again.turns[0].page_sizes == second.turns[0].page_sizes
    app.chats.delete([first.chat])
    ticket = Sessions().ticket("tab")
    third = list(respond(app, again, QUESTION, documents=(), ticket=ticket))[-1]
    assert third.chat not in {None, first.chat}


def test_a_question_without_an_answer_is_not_kept(app: FakeApp) -> None:
    app.error = ModelError(Text("No.", "否。"), hint=Text("Wait.", "请等待。"))
    assert answer(app)[-1].chat is None
    assert app.chats.all() == []


def test_reading_everything_is_followed_and_the_wish_for_it_handed_on(app: FakeApp) -> None:
    ticket = Sessions().ticket("tab")
    screens = list(respond(app, Screen(), QUESTION, documents=(), mode="whole", ticket=ticket))
    assert app.modes == ["whole"]
    read = [s.live.reading.coverage.read for s in screens if s.live and s.live.reading]
    assert read[0] == 0
    turn = last(screens)
    assert turn.answer is not None
    assert turn.answer.coverage is not None
    assert turn.answer.coverage.read == 212


def test_the_question_is_shown_first_then_passages_then_text_then_the_verdict(
    app: FakeApp,
) -> None:
    app.hold_after = 3
    ticket = Sessions().ticket("tab")
    screens = respond(app, Screen(), QUESTION, documents=(), ticket=ticket)
    stages = []
    for screen in screens:
        turn = screen.live or screen.turns[-1]
        assert turn.question == QUESTION
        stages.append(turn.stage)
        if turn.stage == "writing":
            assert turn.passages
            app.go.set()
    assert [s for n, s in enumerate(stages) if s not in stages[:n]] == [
        "searching",
        "reading",
        "writing",
        "done",
    ]


def test_a_finished_turn_keeps_the_answer_with_its_evidence(app: FakeApp) -> None:
    turn = last(answer(app))
    assert turn.text == SCRIPT_EN.text
    assert turn.answer is not None
    assert [sentence.verdict for sentence in turn.answer.sentences] == [
        "supported",
        "supported",
        "weak",
        "unsupported",
    ]
    assert turn.page_sizes
    for size in turn.page_sizes.values():
        assert size == pytest.approx((595.2756, 841.8898), abs=0.01)


def test_a_page_without_a_size_is_left_out_and_the_answer_still_shown(app: FakeApp) -> None:
    app.sizeless = app.files[EN].id
    turn = last(answer(app))
    assert turn.stage == "done"
    assert turn.page_sizes is not None
    assert {document for document, _ in turn.page_sizes} == {app.files[ZH].id}


def test_a_stopped_answer_keeps_what_was_written(app: FakeApp) -> None:
    app.hold_after = 4
    sessions = Sessions()
    ticket = sessions.ticket("tab")
    screens = []
    for screen in respond(app, Screen(), QUESTION, documents=(), ticket=ticket):
        screens.append(screen)
        if screen.live and screen.live.text:
            sessions.stop("tab")
    turn = last(screens)
    assert turn.answer is not None
    assert turn.answer.finish == "cancelled"
    assert SCRIPT_EN.text.startswith(turn.text)
    assert turn.text


def test_an_engine_that_does_not_hear_stop_is_not_waited_for(
    app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.handlers.STOP_GRACE_S", 0.1)
    app.hold_after, app.deaf = 4, True
    sessions = Sessions()
    ticket = sessions.ticket("tab")
    stages = []
    for screen in respond(app, Screen(), QUESTION, documents=(), ticket=ticket):
        turn = screen.live or screen.turns[-1]
        stages.append(turn.stage)
        if turn.text:
            sessions.stop("tab")
    assert stages[-2:] == ["stopping", "stopped"]
    app.go.set()


def test_stop_before_the_answer_begins_asks_nothing(app: FakeApp) -> None:
    sessions = Sessions()
    ticket = sessions.ticket("tab")
    sessions.stop("tab")
    screens = list(respond(app, Screen(), QUESTION, documents=(), ticket=ticket))
    assert last(screens).stage == "stopped"
    assert not app.asked


def test_one_answer_at_a_time_and_the_one_who_waits_is_told(app: FakeApp) -> None:
    app.hold_after = 4
    sessions = Sessions()
    first = respond(app, Screen(), QUESTION, documents=(), ticket=sessions.ticket("a"))
    while not (next(first).live or Turn("")).text:
        pass
    second = respond(app, Screen(), QUESTION, documents=(), ticket=sessions.ticket("b"))
    stages = [(next(second).live or Turn("")).stage for _ in range(2)]
    assert stages == ["searching", "queued"]
    assert len(app.asked) == 1
    app.go.set()
    assert last(list(first)).stage == "done"
    assert last(list(second)).stage == "done"


def test_an_abandoned_answer_is_cancelled_and_frees_the_app(app: FakeApp) -> None:
    app.hold_after = 4
    sessions = Sessions()
    screens = respond(app, Screen(), QUESTION, documents=(), ticket=sessions.ticket("a"))
    while not (next(screens).live or Turn("")).text:
        pass
    screens.close()  # type: ignore[attr-defined]  # it is a generator
    assert app.was_cancelled.wait(10)
    assert sessions.ticket("b").wait(10)


def test_our_errors_become_a_sentence_with_a_remedy(app: FakeApp) -> None:
    app.error = ModelError(Text("No model.", "没有模型。"), hint=Text("Get one.", "请下载。"))
    turn = last(answer(app))
    assert turn.stage == "failed"
    assert turn.problem is not None
    assert turn.problem.message.zh == "没有模型。"
    assert turn.problem.hint.en == "Get one."


def test_a_bug_becomes_a_sentence_too_and_its_traceback_is_logged(
    app: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app.scripts = None  # type: ignore[assignment]
    turn = last(answer(app))
    assert turn.problem is not None
    assert "AttributeError" in turn.problem.message.en
    assert "Traceback" in caplog.text


def test_while_the_model_is_fetched_the_turn_says_how_far_it_is(app: FakeApp) -> None:
    progress = Progress("download", 1, 2, "bytes")
    app.change(model_state="downloading", model_progress=progress)
    seen = []
    ticket = Sessions().ticket("tab")
    turn = Turn("")
    for screen in respond(app, Screen(), QUESTION, documents=(), ticket=ticket):
        turn = screen.live or screen.turns[-1]
        if turn.stage == "model":
            seen.append(turn.progress)
            app.change(model_state="ready", model_progress=None)
    assert seen == [progress]
    assert turn.stage == "done"


def test_a_screen_can_be_copied_into_a_session(app: FakeApp) -> None:
    app.error = ModelError(Text("a", "b"), hint=Text("c", "d"))
    screen = answer(app)[-1]
    assert copy.deepcopy(screen) == screen


def test_the_model_hears_only_turns_that_were_answered(app: FakeApp) -> None:
    turns = (Turn("a?", "done", "A."), Turn("b?", "failed"), Turn("c?", "stopped", "C"))
    assert [message.content for message in history_of(turns)] == ["a?", "A.", "c?", "C"]
    answer(app, turns=turns)
    assert len(app.asked[0][1]) == 4


def test_what_the_page_sends_is_checked() -> None:
    good = "ab" * 32
    sent = {"language": "zh", "documents": [good, "../../etc", 7, None, "AB" * 32]}
    assert client_of(sent) == Client("zh", frozenset({good}))
    assert client_of({"mode": "whole"}).mode == "whole"
    assert client_of({"chat": 3}).chat == 3
    assert client_of({"chat": "3"}).chat is None
    assert client_of({"chat": True}).chat is None
    assert client_of({"mode": "passages"}).mode == "passages"
    assert client_of({"mode": ["whole"]}).mode == "auto"
    odd: list[object] = [None, [], "x", {"language": ["zh"], "documents": "abc"}]
    for nonsense in odd:
        assert client_of(nonsense) == Client()


def test_an_answer_that_was_left_ends_with_an_empty_screen(app: FakeApp) -> None:
    app.hold_after, app.deaf = 4, True
    sessions = Sessions()
    ticket = sessions.ticket("tab")
    screens = []
    for screen in respond(app, Screen((Turn("old"),)), QUESTION, documents=(), ticket=ticket):
        screens.append(screen)
        if screen.live and screen.live.text:
            assert sessions.discard("tab")
    assert screens[-1] == Screen()
    assert not sessions.discard("tab")
    app.go.set()


def test_a_finished_answer_cannot_be_left_any_more(app: FakeApp) -> None:
    sessions = Sessions()
    ticket = sessions.ticket("tab")
    screens = list(respond(app, Screen(), QUESTION, documents=(), ticket=ticket))
    assert not sessions.discard("tab")
    assert screens[-1].turns


def test_the_screen_is_described_without_gradio() -> None:
    code = (
        "import sys, ui, ui.handlers, ui.views.chat, ui.views.evidence, ui.views.library, "
        "ui.views.machine, ui.words; "
        "sys.exit(str({'gradio', 'torch', 'pandas', 'fastapi'} & set(sys.modules) or ''))"
    )
    done = run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert not done.stderr.strip()


def test_the_question_may_be_limited_to_documents(app: FakeApp) -> None:
    ticket = Sessions().ticket("tab")
    picked = {app.files[EN].id}
    screens = list(respond(app, Screen(), QUESTION, documents=picked, ticket=ticket))
    assert app.asked[0][2] == picked
    assert last(screens).scope == 1


def test_a_notice_is_shown_and_one_that_begins_anew_takes_the_text_away(app: FakeApp) -> None:
    told = Text("Memory ran out; <trying> again.", "内存不足，正在重试。")
    notice = AnswerMessage("lowered", told, "passages", anew=True)

    def ask(question: str, **_: object) -> Iterator[Event]:
        yield Retrieved(())
        yield Delta("Half", 1)
        yield notice
        yield Delta("Whole", 1)
        yield Finished(Answer(question, "Whole", "en", "weak", (), notices=(notice,)))

    app.ask = ask  # type: ignore[method-assign]
    screens = list(respond(app, Screen(), "?", documents=(), ticket=Sessions().ticket("a")))
    written = [screen.live.text for screen in screens if screen.live]
    assert written[-1] in {"", "Whole"}
    last = screens[-1]
    assert last.turns[0].notices == (notice,)
    html = talk_html(last, "en")
    assert '<p class="note lowered">Memory ran out; &lt;trying&gt; again.</p>' in html
    assert "正在重试" in talk_html(last, "zh")
    assert opened(app, last.chat or 0).turns[0].notices == (notice,)  # it is kept with the answer


@pytest.mark.parametrize(("text", "heard"), [("  Who pays? ", "Who pays?"), ("", ""), (None, "")])
def test_what_is_typed_is_heard_and_a_field_that_was_emptied_too(
    tmp_path: Path, text: str | None, heard: str
) -> None:
    app = FakeApp(tmp_path)
    Events(app).typed({"language": "en"}, text, Screen())
    assert [draft.question for draft in app.drafts] == [heard]


def test_boxes_that_come_while_text_streams_mark_the_cards_and_change_nothing_else(
    app: FakeApp,
) -> None:
    found = next(e for e in app.ask(QUESTION, cancelled=lambda: False) if isinstance(e, Retrieved))
    bare = tuple(replace(passage, boxes=()) for passage in found.passages)
    seen = threading.Event()

    def ask(question: str, **_: object) -> Iterator[Event]:
        yield replace(found, passages=bare, searched="all of it")
        yield Delta("Half", 1)
        yield replace(found, placed=True)
        assert seen.wait(60)
        yield Finished(Answer(question, "Half", "en", "weak", found.passages))

    app.ask = ask  # type: ignore[method-assign]
    screens = respond(app, Screen(), QUESTION, documents=(), ticket=Sessions().ticket("a"))
    lives = (screen.live for screen in screens if screen.live)
    marked = next(turn for turn in lives if turn.passages and turn.passages[0].boxes)
    assert (marked.stage, marked.text, marked.searched) == ("writing", "Half", "all of it")
    assert '"boxes":[[' in unescape(turn_html(marked, 1, "en"))
    seen.set()
    list(lives)
