"""The screen as a web application on this machine alone."""

from __future__ import annotations

import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Literal

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rag.config import Settings
from rag.errors import ConfigError
from rag.words import Text
from ui.guard import HOSTS, SameOrigin, Shell
from ui.lean import without_stubs
from ui.routes import assets, desk_router, head_html
from ui.seam import DeskLike
from ui.uploads import upload_folder

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
PORTS_TRIED = 20
SHUTDOWN_S = 2  # open event streams never end by themselves


def create_app(desk: DeskLike, *, language: Literal["auto", "en", "zh"]) -> FastAPI:
    """Return the application; ``auto`` is the language of the browser.

    The first call imports Gradio, which takes a second or two.
    """
    _private(desk.settings)
    with without_stubs():
        import gradio as gr

        from ui.layout import build

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(desk_router(desk))
    app.mount("/desk/assets", assets())
    gr.mount_gradio_app(
        app,
        build(desk),
        path="/",
        server_name=ADDRESS,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        show_error=False,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    app.add_middleware(Shell, head=head_html(language))
    app.add_middleware(SameOrigin)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
    return app


def serve(desk: DeskLike, *, port: int, open_browser: bool, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; ``ready`` gets the address as soon as it can be opened.

    A taken ``port`` is replaced by the next free one; 0 takes any. ``ready`` runs in a thread
    of its own and is the place to start slow work: earlier, it would delay the page.

    Raises:
        ConfigError: no free port was found.
    """
    listener = listen(port)
    address = f"http://{ADDRESS}:{listener.getsockname()[1]}"
    app = create_app(desk, language=desk.settings.ui.language)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )

    def opened() -> None:
        ready(address)
        if open_browser:
            webbrowser.open(address)

    server = _Server(config, opened)
    with listener:
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells when it can be reached."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            threading.Thread(target=self._opened, name="opened", daemon=True).start()


def listen(port: int) -> socket.socket:
    """Return a socket on ``port`` of this machine, or on the next free one.

    Raises:
        ConfigError: neither ``port`` nor the ones after it are free.
    """
    for candidate in range(port, port + PORTS_TRIED) if port else (0,):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, candidate))
        except (OSError, OverflowError):
            listener.close()
            continue
        if candidate != port:
            logger.warning("port %d is taken, using %d", port, candidate)
        return listener
    raise ConfigError(
        Text(
            f"Ports {port} to {port + PORTS_TRIED - 1} are all taken.",
            f"端口 {port} 到 {port + PORTS_TRIED - 1} 都被占用。",
        ),
        hint=Text(
            "Choose another with --port, or 0 for any.", "请用 --port 另选端口，0 表示任意。"
        ),
    )


def _private(settings: Settings) -> None:
    """Switch off everything in Gradio that would talk to others or keep what it saw.

    Gradio reads these from the environment when it is imported, hence not as arguments.
    """
    uploads = upload_folder(settings)
    uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_ANALYTICS_MAX_EVENTS": "1",  # what the monitoring page would show: one event,
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),  # and never summed up with pandas
        "GRADIO_TEMP_DIR": str(uploads.absolute()),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    os.environ.pop("GRADIO_VIBE_MODE", None)  # would let any visitor edit this program
