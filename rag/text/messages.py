"""What a person reads: every text twice, in English and in Chinese."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages.

    >>> Text("Ready", "就绪").say("zh")
    '就绪'
    """

    en: str
    zh: str

    def say(self, language: Language) -> str:
        """Return the text in ``language``."""
        return self.zh if language == "zh" else self.en

    def __str__(self) -> str:
        return self.en


_DRAWN = re.compile(r"(?:[_\-–—=*~]\s?){4,}\s*")


def shown(name: str) -> str:
    r"""Return a file's name on one line, with nothing in it that could steer a terminal.

    >>> shown("a\nb\x1b[31m.pdf")
    'a␊b␛[31m.pdf'
    """
    return "".join(_visible(char) for char in name)


def _visible(char: str) -> str:
    if char < " ":
        return chr(0x2400 + ord(char))
    turned = "\u200e" <= char <= "\u200f" or "\u202a" <= char <= "\u202e"
    return "�" if turned or "\u2066" <= char <= "\u2069" or "\x7f" <= char <= "\x9f" else char


def undrawn(heading: str) -> str:
    """Return a heading without the lines that are drawn with signs, as on title pages.

    >>> undrawn("________________ BEST BUY CO., INC. › Item 8"), undrawn("--- ")
    ('BEST BUY CO., INC. › Item 8', '---')
    """
    return _DRAWN.sub("", heading).strip()
