"""Names in a sentence: what stands in quotation marks, capitalised words, codes.

Told by their spelling alone, so an ordinary word in a title is taken for a name at times;
whoever asks for a name should ask whether its words stand in the text in any spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTED = re.compile(
    r"“([^“”\n]{2,160})”|\"([^\"\n]{2,160})\"|「([^「」\n]{2,160})」|『([^『』\n]{2,160})』"
    r"|《([^《》\n]{1,80})》|«([^«»\n]{2,160})»"
)
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f][\w\u00c0-\u024f]*(?:[-.&'’/+][A-Za-z0-9]+)*\+*")
_CJK = re.compile(r"[\u3400-\u9fff]")
# Capitalised for other reasons than being a name, or left out of one at will.
_NOT_NAMES = (
    "a an the this that these those i we you he she it they its their our your his her my in "
    "on at by of to for from with as and or but not no yes if when while where which who what "
    "how why there here is are was were be been has have had do does did will would can could "
    "may might should must shall all any both each some most more according based however "
    "therefore thus also overall additionally furthermore finally first second third fourth "
    "note answer inc corp corporation co company ltd limited llc plc lp group holdings mr mrs "
    "ms dr prof january february march april may june july august september october november "
    "december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday "
    "thursday friday saturday sunday q1 q2 q3 q4 h1 h2 fy usd rmb eur gbp ok pdf"
)
_COMMON = frozenset(_NOT_NAMES.split())


@dataclass(frozen=True, slots=True)
class Name:
    """One name at ``text[start:end]``; ``words`` are those that must be found."""

    start: int
    end: int
    words: tuple[str, ...]
    quoted: bool = False


def names(text: str) -> tuple[Name, ...]:
    """Return the names of a sentence, in order.

    >>> [name.words for name in names("The A100 was shown by Jensen Huang in “Taipei 101”.")]
    [('A100',), ('Jensen', 'Huang'), ('Taipei 101',)]
    """
    found = [
        Name(match.start(), match.end(), (next(filter(None, match.groups())).strip(),), quoted=True)
        for match in _QUOTED.finditer(text)
    ]
    inside = [(name.start, name.end) for name in found]
    found += [
        name
        for name in _capitalised(text)
        if not any(start <= name.start < end for start, end in inside)
    ]
    return tuple(sorted(found, key=lambda name: name.start))


def squeezed(text: str) -> str:
    """Return the letters and digits of a text, in one case and width: how quotes are compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def _capitalised(text: str) -> Iterator[Name]:
    """Yield runs of capitalised words and codes; a sentence's first word counts if it is odd."""
    words = list(_WORD.finditer(text))
    if not words:
        return
    plain = (word[0] for word in words if word[0].islower())
    titled = all(word in _COMMON for word in plain) and not _CJK.search(text)
    run: list[re.Match[str]] = []
    for index, word in enumerate(words):
        if run and not _joined(text, run[-1], word):
            yield _name(run)
            run = []
        first = _begins(text, word, index) and not _leads(text, words, index)
        if _is_name(word[0], first=first, titled=titled):
            run.append(word)
        elif run:
            yield _name(run)
            run = []
    if run:
        yield _name(run)


def _name(run: list[re.Match[str]]) -> Name:
    return Name(run[0].start(), run[-1].end(), tuple(word[0] for word in run))


def _joined(text: str, one: re.Match[str], two: re.Match[str]) -> bool:
    return text[one.end() : two.start()] in {" ", "-", " & ", "."}


def _begins(text: str, word: re.Match[str], index: int) -> bool:
    """Say whether the word begins the sentence, or what follows a colon or a quotation mark."""
    before = text[: word.start()].rstrip(' *_#-"“‘([')
    return index == 0 or not before or before[-1] in ":;.!?\n|"


def _leads(text: str, words: list[re.Match[str]], index: int) -> bool:
    """Say whether a capitalised word follows at once: a first name, not a sentence's first word."""
    following = words[index + 1 : index + 2]
    return any(_joined(text, words[index], word) and word[0][0].isupper() for word in following)


def _is_name(word: str, *, first: bool, titled: bool) -> bool:
    if word.casefold().rstrip(".") in _COMMON:
        return False
    odd = any(char.isdigit() or char.isupper() for char in word[1:])
    if odd:
        return len(word) > 1
    return word[0].isupper() and not first and not titled and len(word) > 1
