"""``rag ui``: the desktop app."""

from __future__ import annotations

import shutil
import subprocess
import webbrowser
from importlib import import_module
from typing import Annotated

import typer

from rag.cli.context import Context
from rag.text.messages import Text


def ui(
    ctx: typer.Context,
    *,
    port: Annotated[int | None, typer.Option(help="port on 127.0.0.1 (default: 7860)")] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="open the page in your browser")
    ] = True,
    window: Annotated[
        bool, typer.Option("--window", help="open in a window of its own, without tabs")
    ] = False,
) -> None:
    """Open the desktop app: syncs the folder, watches it, loads the model in the background."""
    context: Context = ctx.obj
    from rag.app.app import App

    serve = import_module("ui.app").serve  # by name: the screen stands above the engine
    app = App.open(context.settings)

    wanted = context.settings.ui.port if port is None else port

    def ready(address: str) -> None:
        _tell(context, address, wanted)
        if window:
            open_window(address)

    try:
        serve(
            app,
            port=wanted,
            open_browser=browser and not window,
            ready=ready,
        )
    finally:
        app.close()


def _tell(context: Context, address: str, wanted: int) -> None:
    if wanted and not address.endswith(f":{wanted}"):
        taken = Text(f"Port {wanted} is taken.", f"端口 {wanted} 已被占用。")
        context.tell(taken, err=True)
    where = Text(
        f"RAG Desk is open at {address} (Ctrl+C ends it)",
        f"RAG Desk 已在 {address} 打开（按 Ctrl+C 结束）",
    )
    context.tell(where, err=True)


_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge", "brave-browser")


def open_window(address: str) -> None:
    """Open the page in a browser window without tabs; in a tab where no browser can."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        webbrowser.open(address)
        return
    subprocess.Popen(  # noqa: S603 - a browser from the person's own path
        [found, f"--app={address}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
