"""A real Chromium that watches its own page: no console error, no request to anyone else."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from rag.app.app import App
from tests.conftest import skip_or_fail
from tests.fakes import FakeApp
from ui.app import ScreenServer, create_app, listen

CHROMIUM = "RAG_TEST_CHROMIUM"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
ARTEFACTS = Path(__file__).parent.parent / "artefacts"
WAIT_MS = 20_000  # this long may pass on a busy machine before something is on the page

READY = ("#send", "#turns .hello", "#strip .word")

ServeApp = Callable[[App], str]
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each page has a context of its own."""
    path = os.environ.get(CHROMIUM) or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        skip_or_fail(f"no Chromium found; {CHROMIUM} names one")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def serve_app() -> Iterator[ServeApp]:
    """Return a function that serves an app on a free port and gives the address."""
    running: list[tuple[ScreenServer, threading.Thread]] = []

    def serve(app: App) -> str:
        listener = listen(0)
        command_line = create_app(app, language=app.settings.ui.language)
        server = ScreenServer(command_line, end_streams=command_line.state.end_streams)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


class Watch:
    """What a page did that it must not do."""

    def __init__(self, page: Page) -> None:
        self.wrong: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"script error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self.asked.append(parts.path)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self.wrong.append(f"request to {request.url}")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Return a function that opens an address and waits until a question can be asked.

    At the end of the test every page must have kept the house rules. ``page.watch.wrong``
    holds what it did wrong; a test that provokes an error empties it.
    """
    pages: list[Page] = []

    def open_(
        address: str,
        *,
        width: int = 1440,
        height: int = 900,
        locale: str = "en-GB",
        theme: Literal["light", "dark"] = "light",
        ready: str = "",
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            color_scheme=theme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.watch = Watch(page)  # type: ignore[attr-defined]
        pages.append(page)
        page.goto(address)
        for selector in [ready] if ready else READY:
            page.wait_for_selector(selector)
        return page

    yield open_
    wrong = [line for page in pages for line in page.watch.wrong]  # type: ignore[attr-defined]
    for page in pages:
        page.context.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FakeApp]:
    """An app without models over two small guides."""
    fake = FakeApp(tmp_path / "knowledge")
    yield fake
    fake.close()


@pytest.fixture
def browser_page(app: FakeApp, serve_app: ServeApp, open_page: OpenPage) -> Page:
    """The screen over ``app``, ready for a question."""
    return open_page(serve_app(app))


@pytest.fixture
def keep() -> Callable[[Page, str], None]:
    """Return a function that keeps a picture of the page for people to look at."""

    def save(page: Page, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"{name}.png")

    return save
