"""What stands on the page before any value, and what answers while Gradio is being imported.

Importing Gradio takes one to three seconds of one core. Meanwhile the browser, which takes
as long to start, already gets the empty rooms; the page loads itself anew when they are
furnished.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rag.text.messages import LANGUAGES
from ui.guard import HOSTS, SameOrigin
from ui.render import render
from ui.words import WORDS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    *("words.js", "assets/state.js", "assets/evidence.js", "assets/library.js"),
    *("assets/forget.js", "assets/chat.js", "assets/prefetch.js", "assets/reading.js"),
    *("assets/why.js", "assets/chats.js", "assets/machine.js"),
)
STYLES = (
    *("style.css", "rooms.css", "library.css", "chat.css", "why.css", "evidence.css"),
    *("chats.css", "machine.css"),
)


def assets() -> StaticFiles:
    """Return what serves scripts, styles and the icon."""
    return StaticFiles(directory=ASSETS)


def frame_html(room: Literal["brand", "library", "top", "evidence", "strip"]) -> str:
    """Return the fixed parts of a room; a script puts words and values into them."""
    return render(f"page/{room}", "en")


def skeleton_html() -> str:
    """Return the empty rooms."""
    return render("page/skeleton", "en", words=_opening_words())


def head_html(language: str) -> str:
    """Return the tags for the top of the page; ``language`` is ``auto``, ``en`` or ``zh``."""
    return render("page/head", "en", scripts=SCRIPTS, **_head(language))


def opening_html(language: str) -> str:
    """Return the page that waits for the real one: theme, language and empty rooms."""
    return render("page/opening", "en", scripts=(), words=_opening_words(), **_head(language))


def _head(language: str) -> dict[str, object]:
    stamp = max(int(file.stat().st_mtime) for file in ASSETS.iterdir())
    return {"settings": {"language": language}, "styles": STYLES, "stamp": stamp}


def _opening_words() -> dict[str, str]:
    return {name: WORDS["opening"].say(name) for name in LANGUAGES}


_FIRST_CALL = "/gradio_api/"
"""What only a page that stands asks for: before, a browser gets scripts and styles."""


class Opening:
    """An ASGI app that answers at once, and hands over to the real one when that is made.

    ``shown`` is set once a page stands in some browser.
    """

    def __init__(
        self, make: Callable[[], FastAPI], *, language: str, made: Callable[[], None]
    ) -> None:
        self._make = make
        self._made = made  # called in the event loop: it must not take long
        self._closing = asyncio.Event()
        self._settled = asyncio.Event()
        self._splash = _splash(language, self._lifespan, self._settled)
        self._app: ASGIApp = self._splash
        self._end_streams: Callable[[], None] | None = None
        self.failure: Exception | None = None
        self.shown = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request by whichever app there is."""
        app = self._splash if scope["type"] == "lifespan" else self._app
        if app is not self._splash and scope["path"].startswith(_FIRST_CALL):
            self.shown.set()
        await app(scope, receive, send)

    def end_streams(self) -> None:
        """End what open tabs are listening to."""
        if self._end_streams:
            self._end_streams()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self._furnish())
        yield
        self._closing.set()
        self._settled.set()
        await asyncio.gather(task, return_exceptions=True)

    async def _furnish(self) -> None:
        try:
            app = await asyncio.to_thread(self._make)
            if self._closing.is_set():
                return
            async with app.router.lifespan_context(app):
                self._app, self._end_streams = app, app.state.end_streams
                self._settled.set()
                self._made()
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001  # raised again by ``serve``, in its thread
            self.failure = error
            self._made()


def _splash(
    language: str, lifespan: Callable[[Starlette], object], settled: asyncio.Event
) -> Starlette:
    page = opening_html(language)

    def welcome(_: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    async def opening(_: Request) -> Response:
        await settled.wait()
        return Response(status_code=204)

    def not_yet(_: Request) -> Response:
        return Response(status_code=503, headers={"Retry-After": "1"})

    return Starlette(
        routes=[
            Route("/", welcome),
            Route("/app/opening", opening),
            Mount("/app/assets", assets()),
            Route("/{path:path}", not_yet),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False),
            Middleware(SameOrigin),
        ],
        lifespan=lifespan,  # type: ignore[arg-type]
    )
