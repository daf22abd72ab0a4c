"""Which environment variables set something, and what becomes of the others.

``RAGDESK_SECTION__KEY`` is ours: one that is no setting is an error. ``RAG_`` was the prefix
before, and others use it too: the names that were ours still work, the rest is theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rag.errors import ConfigError
from rag.text.messages import Text

PREFIX = "RAGDESK_"
OLD_PREFIX = "RAG_"
TRACEBACK = "RAGDESK_TRACEBACK"
"""Shows where an error of ours came from; for those who look for a bug."""
NOT_SETTINGS = frozenset({TRACEBACK, "RAGDESK_API_KEY"})
_CLOSE = 0.4  # of 1: what is less alike is not taken for a slip


def variable_of(key: str) -> str:
    """Return the variable that sets a key.

    >>> variable_of("retrieve.k")
    'RAGDESK_RETRIEVE__K'
    """
    return PREFIX + key.upper().replace(".", "__")


def set_in(environ: Mapping[str, str], key: str) -> str | None:
    """Return what the environment sets a key to, under its new name or its old one."""
    new = variable_of(key)
    return environ.get(new, environ.get(new.replace(PREFIX, OLD_PREFIX, 1)))


def from_environment(environ: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """Return the values that the environment gives to ``keys``; a new name beats an old one.

    Raises:
        ConfigError: a variable has our prefix and is no setting.
    """
    known = {variable_of(key): key for key in keys}
    found = {
        known[new]: environ[old] for old, new in renamed(environ, keys).items() if new in known
    }
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name.upper() in NOT_SETTINGS:
            continue
        if name.upper() not in known:
            raise _unknown(name, known)
        found[known[name.upper()]] = value
    return found


def renamed(environ: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """Return the new name of each variable that is set under the name it had before."""
    ours = {variable_of(key) for key in keys} | {TRACEBACK}
    new = {
        name: PREFIX + name.removeprefix(OLD_PREFIX).upper()
        for name in environ
        if name.startswith(OLD_PREFIX)
    }
    return {old: name for old, name in new.items() if name in ours}


def renaming_note(environ: Mapping[str, str], keys: Collection[str]) -> Text | None:
    """Return what to say of variables that have their old names; ``None`` without any."""
    found = renamed(environ, keys)
    if not found:
        return None
    pairs = [f"{old} → {new}" for old, new in found.items()]
    return Text(
        "These environment variables have new names, and the old ones will stop working: "
        f"{', '.join(pairs)}.",
        f"以下环境变量已改名，旧名称将不再有效：{'，'.join(pairs)}。",
    )


def _unknown(name: str, known: Collection[str]) -> ConfigError:
    from difflib import get_close_matches

    close = get_close_matches(name.upper(), known, n=1, cutoff=_CLOSE)
    listing = Text("Run `rag settings` to list all keys.", "运行 `rag settings` 查看设置项。")
    return ConfigError(
        Text(f"The environment variable {name} is no setting.", f"环境变量 {name} 不是设置项。"),
        hint=Text(f"Did you mean {close[0]}? {listing.en}", f"是否指 {close[0]}？{listing.zh}")
        if close
        else listing,
    )
