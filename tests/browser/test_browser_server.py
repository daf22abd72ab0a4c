"""A server answers a real question on the screen, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rag.app.app import App
from rag.config import load_settings
from rag.types.server_address import Address
from tests.browser.conftest import OpenPage, ServeApp
from tests.fakes import FakeApp
from tests.pdfs import write_pdf
from tests.servers import Call, Reply, scripted, serving

pytestmark = pytest.mark.browser
SENTENCE = "The lessee pays the heating costs of the house."


def quotes(call: Call, reply: Reply) -> None:
    reply.start()
    for word in SENTENCE.split(" "):
        reply.piece(f"{word} ")
    reply.piece(finish="stop")


@pytest.fixture
def desk_of_server(tmp_path: Path) -> Iterator[tuple[App, Address]]:
    write_pdf(tmp_path / "knowledge" / "lease.pdf", [SENTENCE])
    with scripted(serving(quotes, models=[{"id": "big-model"}])) as server:
        values = {
            "RAGDESK_KNOWLEDGE": str(tmp_path / "knowledge"),
            "RAGDESK_EMBEDDER__MODEL": "hashing",
            "RAGDESK_RETRIEVE__INDEX": "numpy",
            "RAGDESK_INGEST__OCR": "off",
            "RAGDESK_GENERATOR__URL": server.address.base,
        }
        with closing(App.open(load_settings(None, values))) as app:
            app.start()
            yield app, server.address


def test_an_answer_of_a_server_is_proven_and_its_place_is_shown(
    desk_of_server: tuple[App, Address],
    serve_app: ServeApp,
    open_page: OpenPage,
    keep: Callable[[Page, str], None],
) -> None:
    app, address = desk_of_server
    page = open_page(serve_app(app))
    strip = page.locator("#strip-readings")
    expect(strip).to_contain_text(f"server {address.shown}")
    expect(strip).to_contain_text("model memory unknown")
    expect(strip.locator(".model")).to_have_text(f"big-model @ {address.shown}")
    expect(page.locator("#landing")).to_contain_text("Nothing leaves this computer.")
    expect(page.locator("#library")).to_contain_text("lease")
    page.locator("#question textarea").fill("Who pays the heating costs?")
    page.locator("#send").click()
    expect(page.locator("#turns")).to_contain_text("The lessee pays the heating costs")
    expect(page.locator("#turns .supported").first).to_be_visible()
    keep(page, "server")


def test_what_is_sent_to_another_machine_stands_on_the_screen_in_both_languages(
    app: FakeApp, serve_app: ServeApp, open_page: OpenPage, keep: Callable[[Page, str], None]
) -> None:
    server = Address.parse("http://gpu-box:8000")
    app.now = replace(app.now, server=server, model_name="big-model @ gpu-box:8000")
    served = serve_app(app)
    page = open_page(served)
    expect(page.locator("#strip-readings .away")).to_have_text("sent to gpu-box:8000")
    expect(page.locator("#landing")).to_contain_text("sent to gpu-box:8000, unencrypted.")
    expect(page.locator("#landing")).not_to_contain_text("Nothing leaves")
    keep(page, "server-away-en")
    chinese = open_page(served, locale="zh-CN")
    expect(chinese.locator("#strip-readings .away")).to_have_text("发送到 gpu-box:8000")
    expect(chinese.locator("#landing")).to_contain_text("发送到 gpu-box:8000（未加密）。")
    keep(chinese, "server-away-zh")


def test_a_server_that_is_not_there_is_told_on_the_screen(
    tmp_path: Path, serve_app: ServeApp, open_page: OpenPage
) -> None:
    write_pdf(tmp_path / "knowledge" / "lease.pdf", [SENTENCE])
    with scripted(serving(quotes)) as server:
        address = server.address
    values = {
        "RAGDESK_KNOWLEDGE": str(tmp_path / "knowledge"),
        "RAGDESK_EMBEDDER__MODEL": "hashing",
        "RAGDESK_RETRIEVE__INDEX": "numpy",
        "RAGDESK_INGEST__OCR": "off",
        "RAGDESK_GENERATOR__URL": address.base,
    }
    with closing(App.open(load_settings(None, values))) as app:
        app.start()
        page = open_page(serve_app(app))
        strip = page.locator("#strip-readings")
        expect(strip).to_contain_text(f"No server answers at {address.shown}.")
        expect(strip).to_contain_text("the next question tries again")
        expect(strip.locator(".word")).to_have_class("word bad")
