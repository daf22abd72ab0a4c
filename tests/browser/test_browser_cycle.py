"""Sync, status, forget, rebuild, roll back: on the screen, and in a terminal beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from rag.app.app import App
from tests.browser.conftest import OpenPage, ServeApp
from tests.factories import settings
from tests.integration.cli.test_cli import Shell
from tests.pdfs import write_pdf

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "lease.pdf", ["The monthly rent is 950 euros.", "Pets are not allowed."])
    write_pdf(folder / "手册.pdf", ["显存带宽是每秒1008GB。"], title="显卡手册")
    made = App.open(settings(folder))
    made.start()
    yield made
    made.close()


def documents(shell: Shell) -> dict[str, tuple[str, int]]:
    """Return what the terminal is told of each document: its state, and its pages with text."""
    found: list[dict[str, Any]] = shell.json("status")["documents"]
    return {d["paths"][0]: (d["state"], d["pages"]["text"]) for d in found}


def row(page: Page, name: str) -> Locator:
    return page.locator(f'#library-list .row[data-path="{name}"]')


def test_the_whole_cycle_on_the_screen_with_a_terminal_beside_it(
    open_desk: App, serve_app: ServeApp, open_page: OpenPage
) -> None:
    page = open_page(serve_app(open_desk), width=1280, height=800)
    shell = Shell(open_desk.settings.knowledge)
    expect(row(page, "lease.pdf")).to_contain_text("2/2")

    # what is synced there is shown here
    write_pdf(open_desk.settings.knowledge / "pets.pdf", ["Pets are welcome here."])
    assert shell.json("sync")["gaps"] == 0
    expect(row(page, "pets.pdf")).to_contain_text("1/1")

    # forgotten here with the keyboard alone, gone there; undone here, back there
    expect(page.locator("#library-more details")).to_have_count(0)
    row(page, "lease.pdf").locator(".pick").focus()
    page.keyboard.press("Tab")
    expect(row(page, "lease.pdf").locator(".forget")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#notes")).to_contain_text("lease.pdf is forgotten. The file stays")
    assert (open_desk.settings.knowledge / "lease.pdf").is_file()
    assert shell.json("search", "monthly rent")["passages"][0]["document"] != "lease.pdf"
    page.keyboard.press("Enter")  # the focus is on Undo
    expect(row(page, "lease.pdf")).to_contain_text("2/2")
    expect(page.locator("#notes .taken")).to_have_count(0)
    assert documents(shell)["lease.pdf"] == ("ready", 2)

    # forgotten there, gone here; let in again here
    shell.json("forget", "pets.pdf")
    expect(row(page, "pets.pdf")).to_have_count(0)
    forgotten = page.locator('[data-fold="forgotten"]')
    expect(forgotten.locator("summary")).to_have_text("Forgotten 1")
    forgotten.locator("summary").click()
    forgotten.get_by_role("button", name="Let pets.pdf in again").click()
    expect(row(page, "pets.pdf")).to_contain_text("1/1")
    expect(forgotten).to_have_count(0)
    shell.json("forget", "pets.pdf")
    expect(row(page, "pets.pdf")).to_have_count(0)
    assert shell.json("forget", "--undo") == {"syncing": True}
    expect(row(page, "pets.pdf")).to_contain_text("1/1")

    # rebuilt there, gone back here, and forth again there
    kept = page.locator('[data-fold="kept"]')
    expect(kept).to_have_count(0)
    shell.json("rebuild", "--all")
    kept.locator("summary").click()
    expect(kept).to_contain_text("Index before the last rebuild")
    expect(kept).to_contain_text("Made with hashing on")
    expect(kept).to_contain_text("of up to 230 tokens")
    newer = open_desk._ledger.active_version()
    kept.get_by_role("button", name="Go back to it").click()
    page.keyboard.press("Escape")
    expect(kept.locator(".sure")).to_be_hidden()
    page.keyboard.press("Enter")
    kept.get_by_role("button", name="Yes, change").click()
    expect(kept).to_contain_text("Index of the last rebuild")
    assert open_desk._ledger.active_version() != newer
    shell.json("rebuild", "--rollback")
    expect(kept).to_contain_text("Index before the last rebuild")
    assert open_desk._ledger.active_version() == newer
    assert set(documents(shell).values()) == {("ready", 2), ("ready", 1)}
    assert shell.json("search", "monthly rent")["passages"][0]["document"] == "lease.pdf"


def test_a_document_that_cannot_be_forgotten_stays_and_says_so(
    open_desk: App, serve_app: ServeApp, open_page: OpenPage
) -> None:
    page = open_page(serve_app(open_desk), width=1280, height=800)
    lease = row(page, "lease.pdf")
    expect(lease).to_contain_text("2/2")
    page.route("**/app/forget", lambda route: route.abort())
    lease.hover()
    lease.locator(".forget").click()
    expect(page.locator("#notes .warn")).to_contain_text("could not be done")
    expect(lease).not_to_have_class("going")
    page.watch.wrong.clear()  # type: ignore[attr-defined]  # the request that was cut off
    page.unroute("**/app/forget")
    lease.locator(".forget").click()
    expect(page.locator("#notes .taken")).to_be_visible()
    expect(page.locator("#notes .warn")).to_have_count(0)
