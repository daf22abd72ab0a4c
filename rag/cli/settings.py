"""``rag settings``: every key with its value, its default, what it may be and what it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer

from rag.cli.context import JsonOption, print_json, system_language, tell_renamed
from rag.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from rag.config import Settings

    Field = tuple[str, FieldInfo]


def settings(
    ctx: typer.Context,
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="print the table of docs/settings.md")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List all settings: value, default, range and meaning."""
    from rag.config import load_settings

    if markdown:
        typer.echo(settings_markdown())
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
        now = values_in_force(loaded)
    except ConfigError as error:
        problem = error
    if as_json:
        print_json(listed_json(now))
    else:
        typer.echo(listed_text(now))
    if problem:
        raise problem


USER_DATA = "the user data folder"
"""Shown for a default that differs from machine to machine."""

NONE = "none"
"""Shown for a text that is empty."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key, as shown to a person."""

    key: str  # "section.name", as written in ragdesk.toml
    default: str
    values: str
    meaning: str


def settings_markdown() -> str:
    """Return the settings as a Markdown table, the same on every machine."""
    lines = ["| key | default | values | meaning |", "| --- | --- | --- | --- |"]
    for item in list_settings():
        default = item.default if item.default in {USER_DATA, NONE} else f"`{item.default}`"
        lines.append(f"| `{item.key}` | {default} | {item.values} | {item.meaning} |")
    return "\n".join(lines)


def list_settings() -> list[Setting]:
    """Return every setting in the order of ``rag.config``."""
    return [
        Setting(
            key=key,
            default=_show_default(field.get_default(call_default_factory=True)),
            values=_allowed(field),
            meaning=field.description or "",
        )
        for key, field in _fields()
    ]


def _fields(model: type[BaseModel] | None = None, prefix: str = "") -> Iterator[Field]:
    from pydantic import BaseModel

    from rag.config import Settings

    for name, field in (model or Settings).model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(_show(part) for part in value)
    return str(value) or NONE


def _show_default(value: Any) -> str:
    return USER_DATA if isinstance(value, Path) and value.is_absolute() else _show(value)


def _allowed(field: FieldInfo) -> str:
    kind = field.annotation
    if kind is bool:
        return "true, false"
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) in {Union, UnionType}:
        words, numbers = get_args(kind)
        return ", ".join([*get_args(words), _range(numbers.__metadata__[0])])
    if get_origin(kind) is tuple:
        return "some of " + ", ".join(get_args(get_args(kind)[0]))
    if kind is Path:
        return "a path"
    return _range(field) if kind in (int, float) else "text"


def _range(field: FieldInfo) -> str:
    bounds = {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(limit, name, None) is not None
    }
    low = f"{bounds['ge']}" if "ge" in bounds else ""
    if low and "le" in bounds:
        return f"{low} to {bounds['le']}"
    if low:
        return f"{low} or more"
    return f"more than {bounds['gt']}" if "gt" in bounds else "a number"


def values_in_force(loaded: Settings) -> dict[str, Any]:
    """Return key and value of every setting."""
    values: dict[str, Any] = {}
    for key, _ in _fields():
        value: Any = loaded
        for part in key.split("."):
            value = getattr(value, part)
        values[key] = value
    return values


def listed_text(now: dict[str, Any]) -> str:
    """Return the list as text; ``now`` holds the values in force, or nothing."""
    lines = []
    for item in list_settings():
        value = _show(now[item.key]) if item.key in now else item.default
        changed = "" if item.default in {value, USER_DATA} else "  (changed)"
        lines.append(f"{item.key} = {value}{changed}")
        lines.append(f"    {item.meaning}; {item.values}; default: {item.default}")
    return "\n".join(lines)


def listed_json(now: dict[str, Any]) -> dict[str, Any]:
    """Return the list as one JSON object."""
    rows = [
        {**asdict(item), "value": _plain(now[item.key]) if item.key in now else None}
        for item in list_settings()
    ]
    return {"settings": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
