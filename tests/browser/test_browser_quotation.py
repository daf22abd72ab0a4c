"""The likeliest place stands above the answer at once; what nothing supports is no answer."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.test_browser_chat import ask, finished
from tests.fake_script import KEYS_EN
from tests.fakes import FakeApp


def test_the_quotation_is_there_before_the_first_word_and_leads_to_its_page(
    browser_page: Page, app: FakeApp
) -> None:
    app.hold_after = 0
    ask(browser_page, "Which key sends a question?")
    quoted = browser_page.locator(".turn[data-live] .quoted")
    expect(quoted).to_contain_text(KEYS_EN)
    expect(quoted.locator("cite")).to_have_text("RAG Desk guide.pdf, PDF page 2")
    expect(browser_page.locator(".turn[data-live] .a")).to_have_text("")
    app.go.set()
    finished(browser_page)
    browser_page.click(".quoted .s")
    expect(browser_page.locator("#viewer-where")).to_have_text("PDF page 2 / 2")
    expect(browser_page.locator("#viewer-page .hl")).to_have_count(1)
    expect(browser_page.locator(".quoted .s.on")).to_have_count(1)


def test_what_nothing_supports_is_folded_below_a_line_that_says_so(browser_page: Page) -> None:
    ask(browser_page, "Are spreadsheets read?")
    finished(browser_page)
    turn = browser_page.locator(".turn").last
    expect(turn.locator(".absent b")).to_have_text("Your documents do not support this")
    words = turn.get_by_text("Spreadsheets are converted first.")
    expect(words).to_be_hidden()
    turn.locator(".unproven summary").click()
    expect(words).to_be_visible()
