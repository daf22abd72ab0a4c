"""The ``rag`` command: thin verbs over the use cases.

Nothing heavy is imported here: each command imports what it needs, so that ``rag --help``
answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from rag.cli import chats as chats_commands
from rag.cli import models as models_commands
from rag.cli.ask import ask, search, why
from rag.cli.bench import bench
from rag.cli.context import Context, system_language, tell_renamed
from rag.cli.doctor import doctor
from rag.cli.evaluate import evaluate
from rag.cli.gpu import gpu
from rag.cli.settings import settings
from rag.cli.status import status
from rag.cli.sync import forget, rebuild, sync
from rag.cli.ui import ui
from rag.errors import RagError
from rag.system.environment import set_in

app = typer.Typer(
    name="rag",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich doubles the time of --help: .4 s instead of .2
    help="Ask your own PDFs on your own machine. 在自己的电脑上向自己的 PDF 提问。",
)
for command in (ui, sync, rebuild, status, forget, ask, search, why, doctor, bench, gpu, settings):
    app.command()(command)
app.command("eval")(evaluate)
app.add_typer(chats_commands.app, name="chats")
app.add_typer(models_commands.app, name="models")


@app.callback()
def main_options(
    ctx: typer.Context,
    knowledge: Annotated[
        Path | None,
        typer.Option("--knowledge", help="the folder with your PDFs (default: ./knowledge)"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="a settings file (default: ./ragdesk.toml)")
    ] = None,
) -> None:
    """Read the settings once; every command gets them."""
    if ctx.invoked_subcommand == "settings":
        return  # it explains wrong settings, so it reads them itself
    from rag.config import load_settings

    loaded = load_settings(config)
    if knowledge is not None:
        loaded = loaded.model_copy(update={"knowledge": knowledge})
    language = system_language() if loaded.ui.language == "auto" else loaded.ui.language
    ctx.obj = Context(loaded, language, config)
    tell_renamed(language)


def quiet_libraries() -> None:
    """Switch off what libraries would send, say or hoard. Before they are imported."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    os.environ.setdefault("LANGCHAIN_TRACING_V2", "false")
    # looking for plug-ins reads the metadata of every installed package: 0.05 s a command
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # threads that wait by spinning starve each other when the cores are busy: torch and
    # llama.cpp ran six times slower beside other work, for about 5 % gained without it
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # torch's CPU kernels are kept for every shape: 1024 of them took over 1 GB in a long sync
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


def main() -> None:
    """Run the command; our own errors are shown as text, bugs keep their traceback."""
    quiet_libraries()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        app()
    except Exception as error:
        told = error if isinstance(error, RagError) else _of_the_disk(error)
        if told is None or set_in(os.environ, "traceback"):
            raise
        language = set_in(os.environ, "ui.language") or "auto"
        shown = told.say(system_language() if language not in {"en", "zh"} else language)  # type: ignore[arg-type]
        typer.secho(shown, fg="red", err=True)
        raise SystemExit(1) from None


def _of_the_disk(error: Exception) -> RagError | None:
    """Return the words for a full or read-only disk; ``None`` for a bug."""
    if not isinstance(error, OSError) and type(error).__module__ != "sqlite3":
        return None
    from rag.storage.errors import disk_failure

    return disk_failure(error)
