"""The screen as a web application on this machine alone."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import jinja2
import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rag.app.supervisor import Part
from rag.config import Settings
from rag.errors import ConfigError
from rag.text.messages import Text
from ui.guard import HOSTS, SameOrigin, Shell
from ui.opening import Opening, assets, head_html, skeleton_html
from ui.tabs import upload_folder

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from rag.app.app import App

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
PORTS_TRIED = 20
SCREEN_S = 4  # the longest that slow work waits for a browser to draw the screen
_BEGINNING = Text("Beginning the work in the background", "启动后台工作")
SHUTDOWN_S = 2  # an answer under way is not waited for


def create_app(app: App, *, language: Literal["auto", "en", "zh"]) -> FastAPI:
    """Return the application; ``auto`` is the language of the browser.

    FastAPI and Gradio are imported here, which takes a second or two, so that ``serve`` can
    answer before.
    """
    _private(app.settings)
    from fastapi import FastAPI

    from ui.routes import app_router

    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    web.include_router(app_router(app))
    web.mount("/app/assets", assets())
    _in_a_loop(lambda: _mount(web, app))
    web.state.end_streams = web.routes[-1].app.stop_event.set  # type: ignore[attr-defined]
    web.add_middleware(Shell, head=head_html(language), skeleton=skeleton_html())
    web.add_middleware(SameOrigin)
    web.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
    return web


def _mount(web: FastAPI, app: App) -> None:
    with lean_import():
        import gradio as gr

        from ui.layout import build

    gr.mount_gradio_app(
        web,
        build(app),
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


def _in_a_loop(make: Callable[[], None]) -> None:
    """Call ``make`` while an event loop runs.

    Where none does, Gradio makes one for each of its locks and never closes them.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:

        async def inside() -> None:  # the loop around it is all that is wanted
            make()

        asyncio.run(inside())
    else:
        make()


def serve(
    app: App,
    *,
    port: int,
    open_browser: bool,
    ready: Callable[[str], None],
) -> None:
    """Serve until interrupted; ``ready`` gets the address as soon as the screen is there.

    A taken ``port`` is replaced by the next free one; 0 takes any. The browser is opened at
    once and shows an empty screen until then. The app's work begins once a browser shows the
    screen or has had time to: earlier, it would delay the screen (by about a second on two cores).

    Raises:
        ConfigError: no free port was found.
    """
    listener = listen(port)
    address = f"http://{ADDRESS}:{listener.getsockname()[1]}"

    def told() -> None:
        ready(address)
        opening.shown.wait(SCREEN_S)

    def made() -> None:
        if opening.failure:
            server.should_exit = True
        else:
            app.supervisor.start(beginning(app, told, ended=lambda: server.should_exit))

    language = app.settings.ui.language
    opening = Opening(lambda: create_app(app, language=language), language=language, made=made)
    server = ScreenServer(opening, end_streams=opening.end_streams)
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with listener:
        server.run(sockets=[listener])
    if opening.failure:
        raise opening.failure


def beginning(app: App, told: Callable[[], None], *, ended: Callable[[], bool]) -> Part:
    """Return what begins the app's work after ``told``, whatever becomes of that."""

    def begin() -> None:
        try:
            told()
        finally:
            if not ended():
                app.start()

    return Part("begin", _BEGINNING, begin, again=False)


class ScreenServer(uvicorn.Server):
    """A web server on this machine that ends promptly."""

    def __init__(self, web: ASGIApp, *, end_streams: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                web,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; each open tab holds a stream that would not end by itself."""
        self._end_streams()
        await super().shutdown(sockets)


def listen(port: int) -> socket.socket:
    """Return a socket that listens on ``port`` of this machine, or on the next free one.

    Raises:
        ConfigError: neither ``port`` nor the ones after it are free.
    """
    for candidate in range(port, port + PORTS_TRIED) if port else (0,):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, candidate))
            listener.listen()
        except (OSError, OverflowError):
            listener.close()
            continue
        if candidate != port:
            logger.info("port %d is taken, using %d", port, candidate)
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


@contextmanager
def lean_import() -> Iterator[None]:
    """Import Gradio 6.31 inside of this: 2.1 instead of 5.7 s of CPU, on two busy cores.

    What is left out serves people who write components, not those who use them.

    - Gradio parses its own sources on every start to write a type stub beside each component
      (``component_meta.create_or_modify_pyi``: 3.0 s, and files in site-packages). It skips a
      component whose source file cannot be found, so their sources are not found.
    - It compiles the same few documentation templates 216 times (0.6 s); once is enough.
    - An import makes objects, not garbage, so collecting it is put off.
    """
    getfile, template, collecting = inspect.getfile, jinja2.Template, gc.isenabled()

    def hidden(object: Any) -> str:  # noqa: A002  # the name in the original
        if isinstance(object, type) and object.__module__.startswith("gradio."):
            raise OSError("no stub wanted")
        return getfile(object)

    gc.disable()
    inspect.getfile = hidden
    jinja2.Template = functools.cache(template)  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        inspect.getfile, jinja2.Template = getfile, template  # type: ignore[misc]
        if collecting:
            gc.enable()
