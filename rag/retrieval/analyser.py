"""Words of passages and questions as index terms, and what of a passage is indexed.

One analyser serves both sides, so a question and a passage are always cut alike: Traditional
characters become Simplified ones, and quantities get one spelling beside their own. It knows
nothing about ranking; which words of a question carry no weight is decided elsewhere.

Neither text is shown to anybody: the passage itself stays a slice of its document.
"""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rag.text.parse_errors import attempt
from rag.text.quantities import quantity_terms
from rag.types.documents import Chunk

CJK = (
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff"
)
"""The inside of a character class: ideographs, kana, bopomofo and hangul."""

_WORD = rf"[^\W_{CJK}]"
# Signs that hold a code together when they stand between two word characters: 10-K,
# ISO/IEC-27001, max_temp, AT&T, 1,234.5, U.S., company's, C:1 (a ratio or a time).
_TOKENS = re.compile(rf"[{CJK}]+|{_WORD}+(?:[-'’‐‑./,_&@:+]{_WORD}+)*%?")
_IS_CJK = re.compile(rf"[{CJK}]")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(%?)\Z")
_PARTS = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+")
_CODE = re.compile(r"[\d_&@]|^[^\W\d_]-")  # the last: e-mail is also written email
_ACRONYM = re.compile(r"[^\W\d_](?:\.[^\W\d_])+\Z")
_POSSESSIVE = re.compile(r"['’]s?\Z|['’]s(?=[-./])")
_CACHED_TOKENS = 1 << 17  # about 30 MB when full; the words of a large English library

_HAN = re.compile("[\u4e00-\u9fff]")

_stemmer_guard = threading.Lock()  # the stemmer keeps its word in itself


class BilingualAnalyser:
    """Stems English, cuts Chinese into overlapping pairs, keeps numbers and codes whole.

    >>> BilingualAnalyser().terms("The RTX-4090 has 1,234.5 units（顯存带宽）")
    ['the', 'rtx4090', 'rtx', '4090', 'has', '1234.5', 'unit', '显存', '存带', '带宽']
    >>> BilingualAnalyser().terms("3.2 million in March 2018")
    ['3.2', 'million', 'in', 'march', '2018', '3200000', '2018-03']
    """

    name = "bilingual/2"

    def terms(self, text: str) -> list[str]:
        """Return terms, repeats included; no term holds white space or quotes.

        Words come in order, then what brings quantities together that are written in
        different ways. A run of one CJK character gives that character; a longer run its pairs.
        """
        told: list[str] = attempt(
            lambda: quantity_terms(text), instead=[], what="the quantities of a passage"
        )
        return self.words(text) + told

    def words(self, text: str) -> list[str]:
        """Return the terms that stand in the text, without those of its quantities."""
        folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
        folded = simplified(folded)
        found: list[str] = []
        for token in _TOKENS.findall(folded):
            if _IS_CJK.match(token):
                found.extend(map(str.__add__, token, token[1:]) if len(token) > 1 else token)
            else:
                found.extend(_expand(token))
        return found


@lru_cache(maxsize=_CACHED_TOKENS)
def _expand(token: str) -> tuple[str, ...]:
    """Return the terms of one run of word characters and the signs between them."""
    token = _fold_marks(token)
    if number := _NUMBER.match(token):
        return _number_terms(token.rstrip("%").replace(",", ""), percent=bool(number[1]))
    if token.isalpha():
        return (_stem(token),)
    if _ACRONYM.match(token):
        return (token.replace(".", ""),)
    token = _POSSESSIVE.sub("", token)
    parts = _PARTS.findall(token.replace("'", "").replace("’", ""))
    split = [term for part in parts for term in _part_terms(part)]
    if _CODE.search(token) and len(parts) > 1:
        return (_whole(token), *split)
    return tuple(split)


def _whole(code: str) -> str:
    """Return a code as one term; RTX-4090 and RTX4090 are the same, 2018-03 and 201803 not."""
    bare = re.sub(r"['’%]", "", code)
    return re.sub(r"[-‐‑/]", "", bare) if re.search(r"[^\W\d_]", bare) else bare


def _part_terms(part: str) -> tuple[str, ...]:
    if part[0].isdecimal():
        return _number_terms(part.replace(",", ""), percent=False)
    return (_stem(part),)


def _number_terms(number: str, *, percent: bool) -> tuple[str, ...]:
    """Return a number as written, without trailing zeros, and with its percent sign."""
    short = number.rstrip("0").rstrip(".") if "." in number else number
    forms = (number,) if short == number else (number, short)
    return (*forms, f"{short}%") if percent else forms


def simplified(text: str) -> str:
    """Return ``text`` with Simplified characters for Traditional ones.

    >>> simplified("顯示卡的記憶體 GPU"), simplified("GPU")
    ('显示卡的记忆体 GPU', 'GPU')
    """
    converted: str = _converter().convert(text) if _HAN.search(text) else text
    return converted


@lru_cache(maxsize=1)
def _converter() -> Any:
    import opencc  # it loads a dictionary; English libraries do without

    return opencc.OpenCC("t2s")


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import snowballstemmer  # it loads the rules of thirty languages

    return snowballstemmer.stemmer("english")


def _stem(word: str) -> str:
    if not word.isascii():
        return word
    with _stemmer_guard:
        stem: str = _stemmer().stemWord(word)
    return stem


def _fold_marks(word: str) -> str:
    """Take accents off Latin letters (café -> cafe); other scripts keep their marks."""
    if word.isascii():
        return word
    split = unicodedata.normalize("NFD", word)
    if not any("a" <= letter <= "z" for letter in split):
        return word
    return "".join(letter for letter in split if not unicodedata.combining(letter))


# A line break between two Chinese characters (or beside full-width punctuation) is an
# artefact of the page's width; kept, it becomes a token between the two and cuts the pair
# of characters that the lexical index would have made.
_WIDE = rf"{CJK}\u3001-\u303f\uff01-\uff65\u201c\u201d\u2018\u2019\u2014\u2026"
_BROKEN_LINE = re.compile(rf"(?<=[{_WIDE}])[ \t\u3000]*\n[ \t\u3000]*(?=[{_WIDE}])")
_TITLE_END = "\n"


def join_broken_lines(text: str) -> str:
    r"""Return ``text`` without the line breaks that stand inside Chinese sentences.

    >>> join_broken_lines("显存带\n宽很高\nHigh bandwidth")
    '显存带宽很高\nHigh bandwidth'
    """
    return _BROKEN_LINE.sub("", text)


def embedding_text(chunk: Chunk, *, limit: int, count: Callable[[str], int]) -> str:
    """Return the text to embed: the passage, after as much of what names it as there is room.

    ``limit`` is what the model takes and ``count`` counts as the model does, both in tokens
    with prefix and special tokens included. The passage itself is never cut. First the
    heading loses its outermost steps, because the innermost say most about the passage, then
    the header of its table goes.
    """
    body = join_broken_lines(chunk.text).strip()
    if chunk.context:
        table = f"{chunk.context}\n{body}"
        if count(table) <= limit:
            body = table
    steps = [step for step in chunk.heading.split(" › ") if step.strip()]
    while steps:
        text = f"{' › '.join(steps)}{_TITLE_END}{body}"
        if count(text) <= limit:
            return text
        steps.pop(0)
    return body


def lexical_text(chunk: Chunk) -> str:
    """Return the text whose words are indexed: heading, header of the table, passage."""
    parts = (chunk.heading, chunk.context, join_broken_lines(chunk.text))
    return _TITLE_END.join(part for part in parts if part)


def text_digest(text: str) -> bytes:
    """Return what tells an embedded text from all others: the sha256 of its UTF-8."""
    return hashlib.sha256(text.encode()).digest()
