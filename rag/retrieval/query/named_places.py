"""Which documents and pages a question names.

What stands there goes before what only speaks of the same thing elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rag.text.language import detect_language, is_cjk
from rag.text.quantities.numerals import CHINESE, ENGLISH, chinese_number, english_number

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
_ARTICLE = re.compile(r"\bthe\s*\Z", re.IGNORECASE)
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
    >>> named_documents("What does clause 8 of the loan say?", {"1": ["loan.pdf"]}).question
    'What does clause 8 of the document say?'
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


def loosely_named(question: str, names: Mapping[str, Iterable[str]]) -> Named:
    """Find documents by a word of their names that few others have: "the Kelp report".

    A word of four letters or more may be the beginning of a word of the name. Ids come by how
    much of the name was said.

    >>> names = {"1": ["kelp_paper-final.pdf"], "2": ["TideTables.pdf"], "3": ["paper mill.pdf"]}
    >>> loosely_named("What is in table 2 of the kelp paper?", names)
    Named(ids=('1',), question='What is in table 2 of the document?')
    """
    words = {
        i: {part for name in given for part in _parts(_stem(name))} for i, given in names.items()
    }
    asked = {match[0].casefold(): match for match in _ASKED.finditer(question)}
    weights: dict[str, float] = {}
    said: set[str] = set()
    for word in asked:
        holding = [i for i, parts in words.items() if any(_same(word, part) for part in parts)]
        if word not in _COMMON and 0 < len(holding) <= max(1, len(names) // 5):
            said.add(word)
            for i in holding:
                weights[i] = weights.get(i, 0.0) + 1 / len(holding)
    if not weights:
        return Named((), question)
    best = max(weights.values())
    ids = tuple(i for i, weight in weights.items() if weight == best)
    marked = _ASKED.sub(lambda match: "\0" if match[0].casefold() in said else match[0], question)
    return Named(ids, " ".join(_NAME_RUN.sub("the document", marked).split()))


def _parts(name: str) -> list[str]:
    """Return the words of a file name or title: cut at signs, and where capitals begin a word."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [match[0].casefold() for match in _ASKED.finditer(spaced.replace("_", " "))]


def _same(word: str, part: str) -> bool:
    return part == word or (len(word) >= _PREFIX and part.startswith(word))


_PREFIX = 4
_ASKED = re.compile(r"[A-Za-z][A-Za-z0-9&]{2,}|\d{4}|[\u3400-\u9fff]{2,}")
_NOUNS = (
    "agreement contract report paper document file pdf manual guide letter form policy act law plan"
)
_COMMON = frozenset(
    f"{_NOUNS} terms summary table figure section clause article chapter page appendix schedule "
    "exhibit annex part footnote the and with for what does say says show which where how".split()
)
"""What a document is, and what stands in it: no name by itself, though part of one."""
_PART_OF_NAME = rf"(?:\0|(?:{_NOUNS.replace(' ', '|')}|with|and|&|'s)(?![A-Za-z]))"
_NAME_RUN = re.compile(
    r"(?:\b(?:the|a|an|my|our|this)\s+)?"
    rf"(?:(?:{_NOUNS.replace(' ', '|')})\s+(?:with|of|from|by)\s+)?"
    rf"\0(?:[\s_-]*{_PART_OF_NAME})*(?:\.pdf)?",
    re.IGNORECASE,
)


def _without(question: str, asked: _Squeezed, places: Iterable[tuple[int, int]]) -> str:
    put = _ANY[detect_language(question)]
    for start, end in sorted(places, reverse=True):
        after = question[asked.origins[end - 1] + 1 :]
        after = _AFTER_NAME.sub("", after)
        head = question[: asked.origins[start]].rstrip(_BEFORE_NAME)
        question = _ARTICLE.sub("", head) + put + after
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


_LONGEST = 20  # pages of a range; more than that is no place

_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "last": -1, "final": -1,
}  # fmt: skip
_NUMBER = rf"\d{{1,4}}(?!\w)|{ENGLISH}\b"
_ENGLISH = re.compile(
    rf"(?<![\"'“‘\w-])(?:pages?|pp?\.)\s?(?P<from>{_NUMBER})"
    rf"(?:\s?(?P<by>-|–|to|through|and|&)\s?(?P<to>{_NUMBER}))?"
    rf"|\b(?P<ordinal>{'|'.join(_ORDINALS)})\s+page\b"
    r"|(?<!second )(?<!third )(?<!back )\b(?P<cover>cover|title|front)\s+page\b",
    re.IGNORECASE,
)  # a page in quotation marks is an example of an answer
_CHINESE = re.compile(
    rf"第\s*(?P<from>\d{{1,4}}|{CHINESE})\s*(?:(?P<by>页?\s*[-–到至]|[和与、])\s*第?\s*(?P<to>\d{{1,4}}|{CHINESE})\s*)?页"
    r"|(?P<cover>封面|(?<![站网主])首页)|(?P<last>最后一页|末页|尾页)"
)


def named_pages(question: str) -> list[int]:
    """Return the pages that a question names, from 1; -1 is the last page.

    >>> named_pages("What is the fax number on page fourteen?"), named_pages("第3到5页讲了什么？")
    ([14], [3, 4, 5])
    """
    found: list[int] = []
    for match in _ENGLISH.finditer(question):
        if match["from"]:
            found.extend(_numbers(match))
        else:
            found.append(_ORDINALS[match["ordinal"].lower()] if match["ordinal"] else 1)
    for match in _CHINESE.finditer(question):
        if match["from"]:
            found.extend(_numbers(match))
        else:
            found.append(1 if match["cover"] else -1)
    return list(dict.fromkeys(found))


def _numbers(match: re.Match[str]) -> Iterable[int]:
    begin, end = (_value((match[side] or match["from"]).lower()) for side in ("from", "to"))
    if match["by"] in {"and", "&", "和", "与", "、"}:
        return filter(None, (begin, end))
    return range(begin, end + 1) if 0 < begin <= end < begin + _LONGEST else ()


def _value(written: str) -> int:
    if written.isdecimal():
        return int(written)
    value = english_number(written) if written.isascii() else chinese_number(written)
    return int(value or 0)
