"""Kept chats on the screen: listed, opened, gone on with, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, ServeApp
from tests.fakes import FakeApp

pytestmark = pytest.mark.browser


def ask(page: Page, question: str, count: int) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    expect(page.locator("#turns .turn")).to_have_count(count)
    expect(page.locator("#live .turn")).to_have_count(0)


@pytest.mark.parametrize(("theme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_a_chat_is_found_again_opened_and_gone_on_with(
    app: FakeApp,
    serve_app: ServeApp,
    open_page: OpenPage,
    keep: Callable[[Page, str], None],
    theme: Literal["light", "dark"],
    locale: str,
) -> None:
    address = serve_app(app)
    page = open_page(address, width=1280, theme=theme, locale=locale)
    expect(page.locator("#chats")).to_be_hidden()
    ask(page, "How do I add documents?", 1)
    rows = page.locator("#chat-list .chat")
    expect(rows).to_have_count(1)
    page.click("#new")
    expect(page.locator("#turns .hello")).to_be_visible()
    ask(page, "如何添加文档？", 1)
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("如何添加文档？")
    another = open_page(address, width=1280, theme=theme, locale=locale)
    earlier = another.locator("#chat-list .chat", has_text="How do I add documents?")
    earlier.locator(".open").click()
    expect(another.locator("#turns .q")).to_have_text("How do I add documents?")
    expect(another.locator("#turns .s.supported").first).to_be_visible()
    expect(another.locator("#evidence-list .card").first).to_be_visible()
    expect(another.locator("#viewer-page img")).to_be_visible()
    expect(another.locator("#chat-list .chat.on")).to_have_count(1)
    keep(another, f"chats-{theme}")
    ask(another, "And how do I find new files?", 2)
    assert app.asked[-1][1][0].content == "How do I add documents?", "what was said before"
    assert [chat.turns for chat in app.chats.all()] == [2, 1]


def test_a_chat_is_deleted_after_a_question(browser_page: Page, app: FakeApp) -> None:
    ask(browser_page, "How do I add documents?", 1)
    row = browser_page.locator("#chat-list .chat")
    row.hover()
    row.locator('[data-do="delete-chat"]').click()
    row.locator('[data-do="delete-chat-not"]').click()
    expect(row.locator(".sure")).to_be_hidden()
    row.locator('[data-do="delete-chat"]').click()
    row.locator('[data-do="delete-chat-now"]').click()
    expect(browser_page.locator("#chats")).to_be_hidden()
    expect(browser_page.locator("#turns .hello")).to_be_visible()
    assert app.chats.all() == []


def test_what_was_forgotten_is_still_quoted_and_said_to_be_gone(
    browser_page: Page, app: FakeApp, keep: Callable[[Page, str], None]
) -> None:
    ask(browser_page, "How do I add documents?", 1)
    expect(browser_page.locator("#chat-list .chat")).to_have_count(1)
    row = browser_page.locator("#library-list .row").first
    row.hover()
    row.locator('[data-do="forget"]').click()
    note = browser_page.locator("#notes .taken")
    expect(note).to_contain_text("1 chat keeps quotations from it.")
    card = browser_page.locator("#evidence-list .card").first
    expect(card.locator(".doc")).to_have_attribute("data-older", "forgotten")
    expect(card).to_contain_text("Drop PDF files anywhere")
    keep(browser_page, "chats-gone")
    note.get_by_text("Delete these chats").click()
    expect(note).to_contain_text("Deleted.")
    expect(browser_page.locator("#chats")).to_be_hidden()
    assert app.chats.all() == []
