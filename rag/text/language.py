"""Which language a text is written in, and which characters are Chinese."""

from __future__ import annotations

import re

from rag.text.messages import Language

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
