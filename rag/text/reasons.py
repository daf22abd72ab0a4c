"""Why a page or a file is not searchable, in both languages, and what to do about it.

Reasons are kept in the ledger as their code and turned into words only when they are shown, so
that one library can be read in both languages. The words stand in ``reasons.toml``.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rag.text.messages import Language, Text


class Reason(NamedTuple):
    """Why a page or file is not searchable, and what the person can do about it."""

    what: Text
    remedy: Text


@cache
def reasons() -> dict[str, Reason]:
    """Return every reason by its code."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return {code: Reason(Text(*words[:2]), Text(*words[2:])) for code, words in table.items()}


def reason_text(code: str | None, language: Language) -> str:
    """Return a reason's words; an unknown code is shown as it is rather than hidden.

    >>> reason_text("blank", "en")
    'The page is blank. Nothing to do.'
    >>> reason_text(None, "en")
    ''
    """
    known = reasons().get((code or "").partition(":")[0])
    return " ".join(words.say(language) for words in known) if known else code or ""
