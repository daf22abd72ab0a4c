"""Questions about whole documents on the screen: progress, coverage, and who decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from rag.types.answers import Offer
from tests.browser.conftest import OpenPage, ServeApp
from tests.fakes import FakeApp

pytestmark = pytest.mark.browser


def ask(page: Page, question: str) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")


@pytest.mark.parametrize(("theme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_reading_everything_is_followed_passage_by_passage(
    app: FakeApp,
    serve_app: ServeApp,
    open_page: OpenPage,
    keep: Callable[[Page, str], None],
    theme: Literal["light", "dark"],
    locale: str,
) -> None:
    app.hold_after = 0
    page = open_page(serve_app(app), width=1280, theme=theme, locale=locale)
    ask(page, "Summarise the guides")
    stage = page.locator("#live .stage")
    expect(stage).to_contain_text("120")
    expect(stage).to_contain_text("212")
    expect(stage.locator(".bar > i")).to_have_attribute("style", re.compile("56.6"))
    keep(page, f"reading-{theme}")
    app.go.set()
    expect(page.locator("#turns .coverage")).to_contain_text("212")
    expect(page.locator("#turns .s.supported").first).to_be_visible()
    keep(page, f"read-{theme}")


def test_stop_ends_reading_at_once(browser_page: Page, app: FakeApp) -> None:
    app.hold_after = 0
    ask(browser_page, "Summarise the guides")
    expect(browser_page.locator("#live .stage")).to_contain_text("120 of 212")
    browser_page.click("#stop")
    expect(browser_page.locator("#live .turn")).to_have_count(0)
    expect(browser_page.locator("#turns .note")).to_have_text("Stopped before the end.")


def test_the_person_may_force_or_forbid_it(browser_page: Page, app: FakeApp) -> None:
    chip = browser_page.locator("#mode")
    expect(chip).to_have_text("Reads: as needed")
    labels = ("Reads: everything", "Reads: best passages", "Reads: as needed")
    for count, label in enumerate(labels, start=1):
        chip.click()
        expect(chip).to_have_text(label)
        ask(browser_page, "How do I add documents?")
        expect(browser_page.locator("#turns .turn")).to_have_count(count)
        expect(browser_page.locator("#live .turn")).to_have_count(0)
    assert app.modes == ["whole", "passages", "auto"]
    browser_page.locator("#strip .language").click()
    expect(chip).to_have_text("阅读：按需")


def test_an_offer_to_read_everything_is_taken_with_one_click_and_for_once(
    browser_page: Page, app: FakeApp, keep: Callable[[Page, str], None]
) -> None:
    app.offer = Offer(2310, 2, 640, 3300)
    ask(browser_page, "Summarise the guides")
    offer = browser_page.locator("#turns .offer")
    expect(offer).to_contain_text("2,310 passages, 640 pages · about 55 min")
    keep(browser_page, "reading-offer")
    offer.locator("button").click()
    expect(browser_page.locator("#turns .coverage")).to_contain_text("Read 212 of 212 passages")
    assert app.modes == ["auto", "whole"]
    expect(browser_page.locator("#mode")).to_have_text("Reads: as needed")
    ask(browser_page, "How do I add documents?")
    expect(browser_page.locator("#turns .turn")).to_have_count(3)
    assert app.modes[-1] == "auto"
