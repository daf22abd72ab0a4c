"""``rag settings``: what can be set, and what is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rag.cli.context import JsonOption, system_language, tell_renamed
from rag.errors import ConfigError


def settings(
    ctx: typer.Context,
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="print the table of docs/settings.md")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List all settings: value, default, range and meaning."""
    from rag.cli import settings_table as table
    from rag.config import load_settings

    if markdown:
        typer.echo(table.settings_markdown())
        return
    # the list helps most when a setting is wrong, so it is printed in that case as well
    problem: ConfigError | None = None
    now: dict[str, Any] = {}
    options = ctx.find_root().params
    try:
        loaded = load_settings(options.get("config"))
        tell_renamed(system_language() if loaded.ui.language == "auto" else loaded.ui.language)
        if options.get("knowledge"):
            loaded = loaded.model_copy(update={"knowledge": options["knowledge"]})
        now = table.values_in_force(loaded)
    except ConfigError as error:
        problem = error
    typer.echo(table.as_json(now) if as_json else table.as_text(now))
    if problem:
        raise problem
