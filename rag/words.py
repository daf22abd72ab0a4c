"""What a person reads: every text twice, in English and in Chinese.

The lowest layer: it knows nothing but words.
"""

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


CJK_RANGES = (
    (0x4E00, 0x9FFF),  # unified ideographs
    (0x3400, 0x4DBF),  # extension A
    (0x20000, 0x3FFFF),  # extensions B and later
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0x2E80, 0x2FDF),  # radicals
)


_INSIDE = "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_RANGES)
_CJK = re.compile(f"[{_INSIDE}]")
_WORD = re.compile(rf"[^\W\d_{_INSIDE}](?:[^\W_{_INSIDE}]|[-'’])*")  # don't, RTX-4090


def is_cjk(char: str) -> bool:
    """Tell whether ``char`` is a Chinese character (ideographs, extensions, radicals).

    >>> is_cjk("文"), is_cjk("a")
    (True, False)
    """
    return _CJK.match(char) is not None


def reads_as(language: Language, text: str) -> bool:
    """Tell whether words of ``language`` can be found in ``text``.

    A page of program code in a Chinese manual is mostly Latin, and still Chinese to whoever
    searches it: one Chinese character in twenty is enough.

    >>> reads_as("zh", "model.eval() # 推理示例"), reads_as("zh", "model.eval()")
    (True, False)
    """
    if language == "en":
        return detect_language(text) == "en"
    chinese = len(_CJK.findall(text))
    return chinese > 0 and 20 * chinese >= sum(map(str.isalpha, text))


def detect_language(text: str) -> Language:
    """Return ``zh`` if a person would call the text Chinese, else ``en``.

    One Chinese character says about as much as one English word, so characters are
    compared with Latin words, not letters.

    >>> detect_language("RTX 4090有多少个CUDA核心？"), detect_language("What is 文?")
    ('zh', 'en')
    """
    chinese = len(_CJK.findall(text))
    if not chinese:
        return "en"
    words = sum(1 for _ in _WORD.finditer(text))
    return "zh" if chinese > words else "en"


def undrawn(heading: str) -> str:
    """Return a heading without the lines that are drawn with signs, as on title pages.

    >>> undrawn("________________ BEST BUY CO., INC. › Item 8"), undrawn("--- ")
    ('BEST BUY CO., INC. › Item 8', '---')
    """
    return _DRAWN.sub("", heading).strip()
