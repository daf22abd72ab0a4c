"""The machine panel in a real browser: opened, drawn anew while open, a report written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from rag.text.messages import Text
from tests.browser.conftest import OpenPage, ServeApp
from tests.fakes import GPU, NO_GPU, FakeApp

pytestmark = pytest.mark.browser
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


@pytest.mark.parametrize(
    ("theme", "language", "width", "card"),
    [("light", "en", 1280, True), ("dark", "zh", 1920, True), ("light", "zh", 1280, False)],
)
def test_the_panel_shows_who_holds_the_memory(  # noqa: PLR0913, PLR0917 - four are fixtures
    tmp_path: Path,
    serve_app: ServeApp,
    open_page: OpenPage,
    keep: Callable[[Page, str], None],
    theme: Literal["light", "dark"],
    language: str,
    width: int,
    card: bool,
) -> None:
    memory = GPU if card else NO_GPU
    if card and theme == "dark":
        hot = replace(GPU.gpus[0], temperature_c=86.0, throttle=("power_cap", "sw_thermal"))
        memory = replace(GPU, gpus=(hot,))
    app = FakeApp(tmp_path / "knowledge", memory=memory)
    if theme == "dark":
        app.change(lowered=(Text("keys and values take 8 bits", "键值缓存改用 8 位"),))
    try:
        page = open_page(serve_app(app), width=width, locale=LOCALES[language], theme=theme)
        panel = page.locator("#machine")
        expect(panel).to_be_hidden()
        assert not [path for path in page.watch.asked if path == "/app/machine"]  # type: ignore[attr-defined]
        page.click(".strip .machine")
        expect(panel.locator(".m-bar")).to_be_visible()
        expect(panel.locator("polyline")).to_have_count(4 if card else 2)
        box = panel.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= width
        page.wait_for_timeout(300)
        keep(page, f"machine-{theme}-{language}-{width}{'' if card else '-cpu'}")
        panel.locator(".m-foot button").click()
        expect(panel.locator("#machine-said a")).to_be_visible()
        assert len(app.machine.reports) == 1
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
    finally:
        app.close()
