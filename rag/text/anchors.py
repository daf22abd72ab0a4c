"""Numbered places of a document: clauses, chapters, figures, tables, footnotes, appendices.

Found by how a line begins. A reference in the middle of a sentence, or at the start of a line
that a sentence runs on into, is none; neither is a line of a table of contents.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from rag.text.quantities.numerals import CHINESE, chinese_number

AnchorKind = Literal["clause", "chapter", "figure", "table", "footnote", "appendix"]
LETTERED: frozenset[AnchorKind] = frozenset({"appendix", "figure", "table"})
"""What may be counted by letters."""
_CLAUSE_END, _CAPTION_END = 6_000, 900  # characters that a place has at most
_ROMAN = r"[IVXLC]+|[ivxlc]+"
_NUMBER = "|".join(
    (
        r"\d{1,4}[A-Za-z]?(?:[.-]\d{1,3}){0,4}",
        rf"(?:{_ROMAN})(?![A-Za-z])",
        r"[A-Z](?:[.-]?\d{1,3}){0,3}",
    )
)
# what may follow the number of a heading or caption: its title, or nothing
_REST = r"(?=[ \t]*(?:[.:：。|—–-][ \t]*)?(?:$|[\"“‘'(（【《A-Z0-9\u3400-\u9fff]))"
_WORDS: dict[str, tuple[AnchorKind, str]] = {
    "section": ("clause", "section"), "sec.": ("clause", "section"), "§": ("clause", "section"),
    "§§": ("clause", "section"), "clause": ("clause", "clause"), "article": ("clause", "article"),
    "art.": ("clause", "article"), "paragraph": ("clause", "paragraph"),
    "chapter": ("chapter", "chapter"), "part": ("chapter", "part"),
    "figure": ("figure", "figure"), "fig.": ("figure", "figure"), "fig": ("figure", "figure"),
    "chart": ("figure", "chart"), "table": ("table", "table"), "tab.": ("table", "table"),
    "appendix": ("appendix", "appendix"), "annex": ("appendix", "annex"),
    "schedule": ("appendix", "schedule"), "exhibit": ("appendix", "exhibit"),
    "attachment": ("appendix", "attachment"), "footnote": ("footnote", "footnote"),
    "条": ("clause", "article"), "款": ("clause", "clause"), "节": ("clause", "section"),
    "章": ("chapter", "chapter"), "部分": ("chapter", "part"), "篇": ("chapter", "part"),
    "图": ("figure", "figure"), "表": ("table", "table"), "附录": ("appendix", "appendix"),
    "附件": ("appendix", "attachment"), "附表": ("appendix", "schedule"),
    "脚注": ("footnote", "footnote"), "注": ("footnote", "footnote"),
}  # fmt: skip
"""What a place is called, its kind, and the word that stands for it in the ledger."""

_LINE = re.compile(
    r"^[ \t#*]*(?:"
    r"(?P<word>(?i:section|sec\.|clause|article|art\.|paragraph|chapter|part|figure|fig\.?|chart|"
    r"table|tab\.|appendix|annex|schedule|exhibit|attachment|§§?))"
    rf"[ \t]*(?P<number>(?>{_NUMBER}))\b(?:\([a-z]\))?{_REST}"
    rf"|第[ \t]*(?P<zh>\d{{1,4}}|{CHINESE})[ \t]*(?P<unit>条|款|节|章|部分|篇)(?!件)"
    r"|(?P<zword>图|表|附录|附件|附表)[ \t]*"
    rf"(?P<znumber>\d{{1,3}}(?:[.-]\d{{1,3}}){{0,2}}|[A-Z]|{CHINESE})(?![\d条章])"
    r"(?=[ \t]*[.:：。—–\- \u3400-\u9fff]|$)"
    r"|(?P<bare>\d{1,3}(?:\.\d{1,3}){1,4})\.?[ \t]+(?=[\"“A-Z(\u3400-\u9fff])"
    r"|(?P<single>\d{1,2})[.、)．][ \t]*(?=[\"“A-Z\u3400-\u9fff])"
    r")",
    re.MULTILINE,
)
_FOOTNOTE = re.compile(
    r"^[ \t]*(?:\((?P<a>\d{1,3})\)|\[(?P<b>\d{1,3})\]|(?P<c>\d{1,3})[ \t])[ \t]*"
    r"(?=[\"“A-Z\u3400-\u9fff])"
    r"|^[ \t]*(?:脚注|注)[ \t]*(?P<d>\d{1,3})",
    re.MULTILINE,
)
_CONTENTS = re.compile(r"\.{3,}|…|(?:\. ){3,}|(?<![ \t])[ \t]{2,}\d{1,4}[ \t]*$")
_SPACES = dict.fromkeys((0xA0, 0x2002, 0x2003, 0x2007, 0x2009, 0x202F, 0x3000), " ")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


@dataclass(frozen=True, slots=True)
class Anchor:
    """A numbered place, ``text[start:end]``.

    ``word`` is what it is called there, "" where the number stands by itself.
    """

    kind: AnchorKind
    word: str
    number: str  # Arabic; a letter in capitals
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Found:
    kind: AnchorKind
    word: str
    number: str
    start: int


def find_anchors(text: str, page_starts: Sequence[int]) -> list[Anchor]:
    r"""Return the numbered places of a document's ``text``, in order, each number of a kind once.

    ``page_starts`` are the offsets of its pages. A place ends where the next one of its kind
    begins that is no part of it.

    >>> found = find_anchors("ARTICLE XII\nTerm\n12.1 Notice. In writing.", [0])
    >>> [(anchor.kind, anchor.number) for anchor in found]
    [('clause', '12'), ('clause', '12.1')]
    """
    text = text.translate(_SPACES)
    found = [*_headed(text), *_footnotes(text, page_starts)]
    longest: dict[tuple[str, str, str], Anchor] = {}
    for kind in dict.fromkeys(one.kind for one in found):
        of_kind = sorted((one for one in found if one.kind == kind), key=lambda one: one.start)
        for place, one in enumerate(of_kind):
            anchor = Anchor(kind, one.word, one.number, one.start, _end(of_kind, place, len(text)))
            known = longest.get((kind, one.word, one.number))
            if known is None or anchor.end - anchor.start > known.end - known.start:
                longest[kind, one.word, one.number] = anchor
    return sorted(longest.values(), key=lambda anchor: anchor.start)


def place_number(written: str, *, lettered: bool = False) -> str:
    """Return a number as it is kept: Arabic, a letter in capitals.

    Of what is ``lettered``, as appendices are, C, L, V and X are letters and no Roman numbers.

    >>> place_number("XII"), place_number("七"), place_number("b"), place_number("7.2")
    ('12', '7', 'B', '7.2')
    """
    bare = written.strip().replace("-", ".").replace("．", ".").strip(".")
    letter = lettered and len(bare) == 1 and bare.upper() != "I"
    if not letter and re.fullmatch(_ROMAN, bare) and (value := _roman(bare.upper())):
        return str(value)
    if bare[:1].isascii():
        return bare.upper()
    return str(chinese_number(bare) or bare)


def kind_of(word: str) -> tuple[AnchorKind, str]:
    """Return kind and kept word of what a place is called, in either language.

    Raises:
        KeyError: nothing is called so.
    """
    return _WORDS[word.casefold()]


def _roman(written: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in written]
    total = sum(-a if a < b else a for a, b in pairwise([*values, 0]))
    return total if 0 < total <= 60 else 0  # noqa: PLR2004 - no document has that many articles


def _headed(text: str) -> Iterator[_Found]:
    for match in _LINE.finditer(text):
        line_end = text.find("\n", match.end())
        if _CONTENTS.search(text[match.start() : len(text) if line_end < 0 else line_end]):
            continue
        if named := match["word"] or match["zword"] or match["unit"]:
            kind, word = kind_of(named)
            number = match["number"] or match["znumber"] or match["zh"]
        else:
            kind, word, number = "clause", "", match["bare"] or match["single"]
        number = place_number(number, lettered=kind in LETTERED)
        yield _Found(kind, word, number, match.start())


def _footnotes(text: str, page_starts: Sequence[int]) -> Iterator[_Found]:
    """Yield the notes at the foot of pages: in the last third of a page's text."""
    for start, end in pairwise([*page_starts, len(text)]):
        foot = end - (end - start) // 3
        for match in _FOOTNOTE.finditer(text, foot, end):
            number = match["a"] or match["b"] or match["c"] or match["d"]
            yield _Found("footnote", "footnote", number, match.start())


def _end(found: Sequence[_Found], place: int, length: int) -> int:
    one = found[place]
    most = _CAPTION_END if one.kind in {"figure", "table", "footnote"} else _CLAUSE_END
    end = min(length, one.start + most)
    for later in found[place + 1 :]:
        inside = later.number.startswith(f"{one.number}.")
        lower = one.word in {"article", "section"} and later.word == "" and "." in later.number
        if not inside and not (lower and later.number.split(".")[0] == one.number):
            return min(end, later.start)
    return end


def page_at(page_starts: Sequence[int], offset: int) -> int:
    """Return the number of the page that holds the character at ``offset``."""
    return max(1, bisect_right(page_starts, offset))
