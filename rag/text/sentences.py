"""Where the sentences of a text begin and end, in English and Chinese.

Made for answers of a language model: besides prose there are list items, table rows and
fenced code. Offsets are exact; nothing is rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]
"""Half-open offsets."""

_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_CLOSERS = r"[\"'”’」』》】）)\]*_]*"
# The end of a Chinese sentence needs no space after it; that of a Latin one does, or a
# Chinese character, or the end of the line.
_END = re.compile(
    rf"[。！？]+{_CLOSERS}|…{{2,}}{_CLOSERS}"
    rf"|(?P<latin>(?<![.!?])[.!?]+){_CLOSERS}(?:(?:\[\d{{1,3}}\])+)?(?=\s|$|[\u3400-\u9fff])"
)
_TITLES = "mr mrs ms dr prof st e.g i.e eg ie vs cf viz approx ca u.s u.k u.n ph.d"
_NUMBERED = (
    "no nos fig figs eq eqs sec secs ch chap art vol vols p pp para tab "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_NEVER_LAST = frozenset(_TITLES.split())
_BEFORE_NUMBERS = frozenset(_NUMBERED.split())
_LAST_WORD = re.compile(r"(?<![\w.])[^\W\d_](?:[\w.]*\w)?\Z")
_LIST_MARKER = re.compile(r"\s*(?:[-*+•·]\s+)?(?:\(?[0-9]{1,3}|\(?[a-zA-Z])\Z")


def split_sentences(text: str) -> tuple[Span, ...]:
    """Return the spans of the sentences in order, without the white space around them.

    Every character that is no white space lies in exactly one span. A line break ends a
    sentence; a block of fenced code is one.

    >>> text = "It has 3.5 GB. 显存为24GB。速度快！"
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['It has 3.5 GB.', '显存为24GB。', '速度快！']
    """
    spans: list[Span] = []
    at = 0
    for fence in _FENCE.finditer(text):
        spans.extend(_lines(text, at, fence.start()))
        spans.append(fence.span())
        at = fence.end()
    spans.extend(_lines(text, at, len(text)))
    return tuple(span for span in (_strip(text, *span) for span in spans) if span[0] < span[1])


def split_prose(text: str) -> tuple[Span, ...]:
    """Return the spans of the sentences of running text whose lines are broken by a page.

    As ``split_sentences``, but a line break counts as a space, and nothing is code.
    """
    spans = _sentences(text, 0, len(text))
    return tuple(span for span in (_strip(text, *span) for span in spans) if span[0] < span[1])


def split_lines(text: str) -> tuple[Span, ...]:
    """Return the spans of the lines that are not blank, without white space around them."""
    found: list[Span] = []
    at = 0
    for line in text.splitlines(keepends=True):
        start, end = _strip(text, at, at + len(line))
        if start < end:
            found.append((start, end))
        at += len(line)
    return tuple(found)


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    at = start
    for line in text[start:end].splitlines(keepends=True):
        yield from _sentences(text, at, at + len(line))
        at += len(line)


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    begin = start
    for match in _END.finditer(text, start, end):
        if match["latin"] and not _ends_sentence(text, begin, match, end):
            continue
        yield begin, match.end()
        begin = match.end()
    yield begin, end


def _ends_sentence(text: str, begin: int, match: re.Match[str], end: int) -> bool:
    """Say whether a Latin full stop, question or exclamation mark ends the sentence."""
    following = text[match.end() : end].lstrip()[:1]
    if not following or match["latin"] != ".":
        return True
    before = text[begin : match.start()]
    if _LIST_MARKER.match(before):  # "1." before an item's text
        return False
    word = _LAST_WORD.search(before)
    last = word[0] if word else ""
    if last.casefold() in _NEVER_LAST or (len(last) == 1 and last.isupper()):
        return False
    if last.casefold() in _BEFORE_NUMBERS and following.isdecimal():
        return False
    return not following.islower()


def _strip(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
