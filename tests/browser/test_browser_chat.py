"""Asking, reading, stopping and starting anew, in a real browser."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from rag.errors import ModelError
from rag.text.messages import Text
from rag.types.progress import Progress
from tests.fake_script import DROP_EN, SCRIPT_EN
from tests.fakes import FakeApp

pytestmark = pytest.mark.browser


def ask(page: Page, question: str) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")


def finished(page: Page, count: int = 1) -> None:
    expect(page.locator("#turns .turn")).to_have_count(count)
    expect(page.locator("#live .turn")).to_have_count(0)


def test_an_answer_streams_in_while_its_passages_are_already_there(
    browser_page: Page, app: FakeApp
) -> None:
    app.hold_after = 6
    ask(browser_page, "How do I add documents?")
    live = browser_page.locator("#live .a")
    expect(live).to_contain_text("Drop your PDFs anywhere")
    expect(live).not_to_contain_text("seconds")
    expect(browser_page.locator("#evidence-list .card")).to_have_count(4)
    expect(browser_page.locator("#strip .word")).to_have_text("Answering")
    app.go.set()
    finished(browser_page)
    expect(browser_page.locator("#turns .a")).to_contain_text("New files are found")
    expect(browser_page.locator("#question textarea")).to_have_value("")


def test_the_desk_hears_what_is_typed_after_a_pause_and_with_what_was_said(
    browser_page: Page, app: FakeApp
) -> None:
    def heard(question: str) -> None:
        deadline = time.monotonic() + 20
        while question not in [draft.question for draft in app.drafts]:
            assert time.monotonic() < deadline
            browser_page.wait_for_timeout(50)

    heard("")  # the page is open: the rules can be read
    browser_page.locator("#question textarea").press_sequentially("How do I add")
    heard("How do I add")
    assert [draft.question for draft in app.drafts] == ["", "How do I add"]  # not every key
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    browser_page.locator("#question textarea").press_sequentially("And notes?")
    heard("And notes?")
    assert [message.role for message in app.drafts[-1].history] == ["user", "assistant"]
    assert app.drafts[-1].history[0].content == "How do I add documents?"
    expect(browser_page.locator("#question textarea")).to_have_value("And notes?")


def test_reading_ahead_is_seen_in_the_strip(browser_page: Page, app: FakeApp) -> None:
    app.change(reading_ahead=True)
    expect(browser_page.locator("#strip .word")).to_have_text("Reading ahead")
    app.change(reading_ahead=False)
    expect(browser_page.locator("#strip .word")).to_have_text("Ready")


def test_each_sentence_shows_its_verdict_by_line_and_by_sign(browser_page: Page) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    styles = {
        verdict: browser_page.locator(f".s.{verdict}").first.evaluate(
            "node => getComputedStyle(node).textDecorationStyle"
        )
        for verdict in ("supported", "weak", "unsupported")
    }
    assert styles == {"supported": "solid", "weak": "dashed", "unsupported": "wavy"}
    expect(browser_page.locator(".n.supported").first).to_have_text("1")
    expect(browser_page.locator(".n.unsupported")).to_have_text("?")
    expect(browser_page.locator(".foot")).to_contain_text("2 of 4 sentences supported")


def test_stop_works_at_once_and_what_was_written_stays(browser_page: Page, app: FakeApp) -> None:
    app.hold_after = 6
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#live .a")).to_contain_text("Drop your PDFs")
    browser_page.click("#stop")
    finished(browser_page)
    assert app.cancelled_after == 6
    expect(browser_page.locator("#turns .a")).to_contain_text("Drop your PDFs")
    expect(browser_page.locator("#turns .note")).to_have_text("Stopped before the end.")


def test_stop_works_although_the_engine_does_not_listen(browser_page: Page, app: FakeApp) -> None:
    app.hold_after, app.deaf = 6, True
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#live .a")).to_contain_text("Drop your PDFs")
    browser_page.keyboard.press("Escape")
    expect(browser_page.locator("#live .stage")).to_have_text("Stopped", timeout=1000)
    finished(browser_page)
    expect(browser_page.locator("#send")).to_be_visible()


def test_escape_stops(browser_page: Page, app: FakeApp) -> None:
    app.hold_after = 6
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#live .a")).to_contain_text("Drop your PDFs")
    browser_page.keyboard.press("Escape")
    finished(browser_page)


def test_closing_the_tab_stops_the_answer(browser_page: Page, app: FakeApp) -> None:
    app.hold_after = 6
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#live .a")).to_contain_text("Drop your PDFs")
    browser_page.close()
    assert app.was_cancelled.wait(20)


def test_shift_enter_begins_a_line_and_an_input_method_keeps_its_enter(
    browser_page: Page, app: FakeApp
) -> None:
    field = browser_page.locator("#question textarea")
    field.fill("How do I")
    field.press("Shift+Enter")
    field.press_sequentially("add documents?")
    expect(field).to_have_value("How do I\nadd documents?")
    field.evaluate(
        """node => node.dispatchEvent(new KeyboardEvent("keydown",
             {key: "Enter", isComposing: true, keyCode: 229, bubbles: true, cancelable: true}))"""
    )
    expect(field).to_have_value("How do I\nadd documents?")
    assert not app.asked
    field.press("Enter")
    finished(browser_page)
    assert app.asked[0][0] == "How do I\nadd documents?"


def test_a_follow_up_knows_what_was_said_and_a_new_chat_does_not(
    browser_page: Page, app: FakeApp
) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    ask(browser_page, "如何添加文档？")
    finished(browser_page, 2)
    assert [message.content for message in app.asked[1][1]] == [
        "How do I add documents?",
        SCRIPT_EN.text,
    ]
    browser_page.keyboard.press("Control+k")
    expect(browser_page.locator(".hello")).to_be_visible()
    expect(browser_page.locator("#evidence-list .card")).to_have_count(0)
    ask(browser_page, "How do I begin?")
    finished(browser_page)
    assert app.asked[2][1] == ()


def test_a_new_chat_in_mid_answer_shows_nothing_of_the_old_one(
    browser_page: Page, app: FakeApp
) -> None:
    app.hold_after = 6
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#live .a")).to_contain_text("Drop your PDFs")
    browser_page.click("#new")
    expect(browser_page.locator(".hello")).to_be_visible()
    assert app.was_cancelled.wait(20)
    app.go.set()
    ask(browser_page, "如何添加文档？")
    finished(browser_page)
    expect(browser_page.locator("#talk")).not_to_contain_text("Drop your PDFs")


def test_what_the_documents_do_not_hold_is_said_plainly(browser_page: Page) -> None:
    ask(browser_page, "Who won?")
    finished(browser_page)
    expect(browser_page.locator(".absent b")).to_have_text("Not in your documents")
    expect(browser_page.locator("#evidence-none")).to_be_visible()


def test_an_error_is_a_sentence_with_a_remedy_and_the_next_question_works(
    browser_page: Page, app: FakeApp
) -> None:
    app.error = ModelError(
        Text("The model could not be loaded.", "无法载入模型。"),
        hint=Text("Choose another with `rag models use`.", "请用 `rag models use` 另选。"),
    )
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    problem = browser_page.locator(".problem")
    expect(problem).to_contain_text("The model could not be loaded.")
    expect(problem).to_contain_text("→ Choose another")
    app.error = None
    ask(browser_page, "How do I add documents?")
    finished(browser_page, 2)
    expect(browser_page.locator("#turns .a").nth(1)).to_contain_text("Drop your PDFs")


def test_a_question_waits_for_the_download_and_says_how_far_it_is(
    browser_page: Page, app: FakeApp
) -> None:
    progress = Progress("download", 312_000_000, 1_117_000_000, "bytes", per_second=4_100_000)
    app.change(model_state="downloading", model_progress=progress)
    ask(browser_page, "How do I add documents?")
    stage = browser_page.locator("#live .stage")
    expect(stage).to_contain_text("the model is being downloaded")
    expect(stage).to_contain_text("312 MB / 1.12 GB · 28 % · 4 MB/s")
    expect(browser_page.locator("#strip .word")).to_contain_text("Downloading 28 %")
    app.change(model_state="downloading", model_progress=replace(progress, done=900_000_000))
    expect(stage).to_contain_text("81 %")
    app.change(model_state="ready", model_progress=None)
    finished(browser_page)


def test_copy_takes_the_answer_as_it_was_written(browser_page: Page) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    browser_page.click(".copy")
    expect(browser_page.locator(".copy")).to_have_text("Copied")
    assert browser_page.evaluate("navigator.clipboard.readText()") == SCRIPT_EN.text


def test_an_example_is_asked_with_one_click(browser_page: Page, app: FakeApp) -> None:
    browser_page.click(".example >> nth=1")
    finished(browser_page)
    assert app.asked[0][0] == "如何添加文档？"


def test_a_sentence_leads_to_its_place_on_the_page(browser_page: Page, app: FakeApp) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    browser_page.click(".n.weak button")
    expect(browser_page.locator("#viewer-where")).to_have_text("PDF page 2 / 2")
    expect(browser_page.locator(".s.weak")).to_have_class("s weak on")
    browser_page.click(".n.supported button >> nth=0")
    expect(browser_page.locator("#viewer-where")).to_have_text("PDF page 1 / 2")
    box = app.files["RAG Desk guide.pdf"].lines[DROP_EN]
    sheet = browser_page.locator("#viewer-page").bounding_box()
    mark = browser_page.locator("#viewer-page .hl").bounding_box()
    assert sheet
    assert mark
    scale = sheet["width"] / 595.2756
    assert browser_page.locator("#viewer-page .hl").count() == 1
    assert mark["x"] - sheet["x"] == pytest.approx(box.x0 * scale, abs=2)
    assert mark["y"] - sheet["y"] == pytest.approx(box.y0 * scale, abs=2)
    assert mark["width"] == pytest.approx((box.x1 - box.x0) * scale, abs=2)
    assert mark["height"] == pytest.approx((box.y1 - box.y0) * scale, abs=2)


def test_pointing_at_a_sentence_tints_its_place_alike(browser_page: Page) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    browser_page.hover(".s.supported >> nth=1")
    second = browser_page.locator("#viewer-page .hl.hover").bounding_box()
    browser_page.hover(".q")
    first = browser_page.locator("#viewer-page .hl").bounding_box()
    assert first
    assert second
    assert second["y"] > first["y"]


def test_previous_and_next_walk_through_the_passages(browser_page: Page) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    numbers = []
    for _ in range(4):
        browser_page.click("#viewer-bar .next")
        numbers.append(browser_page.locator(".card.on .num").text_content())
    assert numbers == ["2", "3", "+", "1"]


def test_the_language_may_be_switched_in_mid_answer(browser_page: Page, app: FakeApp) -> None:
    ask(browser_page, "如何添加文档？")
    finished(browser_page)
    app.hold_after = 6
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#live .a")).to_contain_text("Drop your PDFs")
    browser_page.click("#strip .language")
    expect(browser_page.locator("#new")).to_have_text("新对话")
    app.go.set()
    finished(browser_page, 2)
    expect(browser_page.locator(".foot").nth(0)).to_contain_text("3 句中 2 句有依据")
    expect(browser_page.locator(".foot").nth(1)).to_contain_text("4 句中 2 句有依据")
    expect(browser_page.locator("#send")).to_be_visible()


def test_a_sentence_that_should_have_been_found_is_asked_about_below_the_answer(
    browser_page: Page, app: FakeApp
) -> None:
    ask(browser_page, "How do I add documents?")
    finished(browser_page)
    ask(browser_page, "And in winter?")
    finished(browser_page, 2)
    turn = browser_page.locator("#turns .turn").last
    expect(turn.locator(".searched")).to_contain_text("How do I add documents? And in winter?")
    expect(turn.locator(".why form")).to_be_hidden()
    turn.locator(".why summary").first.click()
    turn.locator(".why textarea").fill("Drop your PDFs")
    turn.locator(".why textarea").press("Enter")
    expect(turn.locator(".found")).to_contain_text(
        "Its passage came in place 9, and the model is given the first 5."
    )
    expect(turn.locator(".found q")).to_have_text("<b>Drop</b> your PDFs")
    expect(turn.locator(".found li").first).to_be_hidden()
    turn.locator(".found summary").click()
    expect(turn.locator(".found li.lost")).to_be_visible()
    (asked,) = app.doubted
    assert asked.question == "And in winter?"
    assert [turn.content for turn in asked.history] == ["How do I add documents?"]
