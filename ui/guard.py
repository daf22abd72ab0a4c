"""What stands between the network and the screen: who may ask, and what a page may load.

Pure ASGI, so that streamed answers pass through untouched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost", "[::1]")
# Gradio starts from an inline script, compiles its templates with Function() and sets styles
# in attributes; everything else may come from this program only.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


_UNSERVED = re.compile(r"/+gradio_api/(file|proxy|stream)\b")
"""Gradio's ways to hand out files, and to fetch any URL: the screen uses none of them."""


class SameOrigin:
    """Refuses requests that another site's page makes, and adds ``HEADERS`` to every answer.

    Without it any page open in the same browser could post files and questions to this
    program: Gradio hides the answer from such a page but still does what it asks. Files that
    were dropped are handed out to nobody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = None
        if not _ours(Headers(scope=scope)):
            refusal = PlainTextResponse("Requests from other sites are refused.", status_code=403)
        elif _UNSERVED.match(scope["path"]):
            refusal = PlainTextResponse("There is nothing here.", status_code=404)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _ours(headers: Headers) -> bool:
    """Say whether the request comes from our own page, or from no page at all."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return False
    return headers.get("sec-fetch-site", "none") in {"same-origin", "none"} or (
        # a link to the screen on another page may be followed, but nothing more
        headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )


class Shell:
    """Puts our own tags at the top of Gradio's page, so that the first paint is ours.

    Gradio adds ``css`` and ``head`` by script after it has started, half a second after
    the first paint: long enough for a white flash in a dark room. Nothing is compressed:
    between two programs on one machine that only costs time.
    """

    def __init__(self, app: ASGIApp, *, head: str, skeleton: str) -> None:
        self._app = app
        self._head = head.encode()
        self._skeleton = skeleton.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; only the page itself is touched."""
        if scope["type"] == "http":
            plain = [(k, v) for k, v in scope["headers"] if k.lower() != b"accept-encoding"]
            scope = {**scope, "headers": plain}
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                page = bytes(body).replace(b"<head>", b"<head>" + self._head, 1)
                page = page.replace(b"<gradio-app", self._skeleton + b"<gradio-app", 1)
                MutableHeaders(scope=start)["content-length"] = str(len(page))
                await send(start)
                await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, collect)
