"""Which documents a question names, by title or by file name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rag.text.language import detect_language, is_cjk

_LEAST_LATIN, _LEAST_CHINESE = 3, 2  # characters; a shorter name is in any sentence by chance
_NO_NAMES = frozenset(
    {"document", "documents", "file", "files", "pdf", "text", "untitled", "page", "pages"}
    | {"summary", "overview", "abstract", "list", "contents"}
    | {"文档", "文件", "总结", "摘要", "概要", "目录", "全文", "正文"}
)
"""Titles that real files have, and that say nothing when a question says them."""
# what belongs to a name as it is written, though it is no letter
_BEFORE_NAME = "\"'“‘《「『(（"
_AFTER_NAME = re.compile(r"^[)）]*(?:\.pdf\b)?[\"'”’》」』)）]*", re.IGNORECASE)
_ANY = {"en": " the document ", "zh": "这份文档"}


@dataclass(frozen=True, slots=True)
class Named:
    """The documents a question names, in its order, and the question without their names."""

    ids: tuple[str, ...]
    question: str  # "the document" stands where a name stood


@dataclass(frozen=True, slots=True)
class _Squeezed:
    """Letters and digits alone, in one case, and where words may begin or end between them."""

    text: str
    borders: frozenset[int]
    origins: tuple[int, ...]  # of each character, in the text as it was


def named_documents(question: str, names: Mapping[str, Iterable[str]]) -> Named:
    """Find documents by their titles and file names, which ``names`` gives without folders.

    Case, spaces and punctuation do not count. A name inside a longer one that is named too is
    none: "lease 2" does not name "lease".

    >>> named_documents("Compare Lease-B and lease a", {"1": ["lease a.pdf"], "2": ["LEASE_B"]})
    Named(ids=('2', '1'), question='Compare the document and the document')
    """
    asked = _squeeze(question)
    found = [
        (start, end, document_id)
        for document_id, given in names.items()
        for name in {_bare(name) for name in given}
        for start, end in _places(asked, name)
    ]
    widest = sorted(
        place
        for place in found
        if not any(
            a <= place[0] and place[1] <= b and place[1] - place[0] < b - a for a, b, _ in found
        )
    )
    ids = tuple(dict.fromkeys(document_id for _, _, document_id in widest))
    return Named(ids, _without(question, asked, {(start, end) for start, end, _ in widest}))


def _without(question: str, asked: _Squeezed, places: Iterable[tuple[int, int]]) -> str:
    put = _ANY[detect_language(question)]
    for start, end in sorted(places, reverse=True):
        after = question[asked.origins[end - 1] + 1 :]
        after = _AFTER_NAME.sub("", after)
        question = question[: asked.origins[start]].rstrip(_BEFORE_NAME) + put + after
    return " ".join(question.split())


def _places(asked: _Squeezed, name: str) -> Iterator[tuple[int, int]]:
    start = asked.text.find(name)
    if start < 0 or name in _NO_NAMES:
        return
    if len(name) < (_LEAST_CHINESE if any(map(is_cjk, name)) else _LEAST_LATIN):
        return
    while start >= 0:
        end = start + len(name)
        if start in asked.borders and end in asked.borders:
            yield start, end
        start = asked.text.find(name, start + 1)


def _squeeze(text: str) -> _Squeezed:
    kept: list[str] = []
    origins: list[int] = []
    borders = {0}
    apart = True
    for index, whole in enumerate(text):
        for char in unicodedata.normalize("NFKC", whole).casefold():
            if not char.isalnum():
                apart = True
                continue
            if apart or is_cjk(char) or is_cjk(kept[-1]):
                borders.add(len(kept))
            kept.append(char)
            origins.append(index)
            apart = False
    return _Squeezed("".join(kept), frozenset({*borders, len(kept)}), tuple(origins))


@lru_cache(maxsize=16_384)  # the names of a library are looked for in every such question
def _bare(name: str) -> str:
    return _squeeze(_stem(name)).text


def _stem(name: str) -> str:
    return name[:-4] if name.casefold().endswith(".pdf") else name
