"""The names and years in a question."""

from __future__ import annotations

import re

from rag.text.language import is_cjk

YEAR = re.compile(
    r"(?:\b(?:in|of|for|during|on|at)\s+)?(?:\b(?:the\s+)?(?:fiscal|calendar)(?:\s+year)?\s+)?"
    r"(?<!\d)(?:FY\s?)?(?:19|20)\d\d(?!\d)年?",
    re.IGNORECASE,
)
"""A year with the words that lead to it."""
_NAME = re.compile(r"\b(?:[A-Z][\w&-]*|\d+[A-Z][\w-]*)")
_MODEL = re.compile(r"(?<![A-Za-z0-9])[A-Z]{1,6}[ -]?\d{3,}[A-Za-z]{0,3}(?:\s\d+GB)?")
_NOT_NAMES = re.compile(
    r"(?:i|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|inc|ltd|corp|llc)\Z",
    re.IGNORECASE,
)


def names_in(text: str) -> list[str]:
    """Return the names in a question; a word that only begins it is none.

    Among Chinese, Latin letters are mostly terms, and only model numbers are names.
    """
    if any(map(is_cjk, text)):
        return _MODEL.findall(text)
    return [
        match[0]
        for match in _NAME.finditer(text)
        if not _NOT_NAMES.match(match[0])
        and (text[: match.start()].strip() or not match[0][1:].islower())
    ]
