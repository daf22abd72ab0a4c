"""The places of a passage that can support a sentence, and what stands beside a number in them.

Only for numbers without a unit, scale or currency of their own: a small one stands on every
page for something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.retrieval.relevance import rarity
from rag.text.language import is_cjk
from rag.text.parse_errors import attempt
from rag.text.quantities import Quantity
from rag.text.sentences import split_lines, split_prose
from rag.types.answers import Passage

Terms = Callable[[str], list[str]]

MAX_SPAN_CHARS = 600
"""A longer run without an end of sentence is a table or a list: its lines count."""


_ROWS = 3  # lines from which a table is one; a sentence is broken over two or three
_ROW = re.compile(r"\|.*\||(?:[\d,.)%$€£¥—–-]+\s+){2,}[\d,.)%$€£¥—–-]*$")
_ENDS_A_ROW = re.compile(r"[ \t]\(?[$€£¥]?[ \t]?\d[\d,.]*\)?%?\)?[ \t]*$|\|[^|\n]*\|?[ \t]*$")
_IS_YEAR = re.compile(r"(?:19|20)\d\d")
_SHORT_LINE = 30  # characters, a Chinese one counted twice: a cell that stands alone


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate: ``passages[passage].chunk.text[start:end]``."""

    passage: int
    start: int
    end: int
    text: str
    terms: frozenset[str]


def or_none(terms: Terms) -> Terms:
    """Return ``terms`` with no word for a text that it cannot take apart."""
    return lambda text: attempt(lambda: terms(text), instead=[], what="the words of a passage")


def candidate_spans(passages: Sequence[Passage], terms: Terms) -> list[Span]:
    """Return the sentences, long runs' lines and short pairs of neighbours of all passages."""
    return [
        _span(index, passage.chunk.text, start, end, terms)
        for index, passage in enumerate(passages)
        for start, end in _places(passage.chunk.text)
    ]


def units_of(passages: Sequence[Passage], terms: Terms) -> list[Span]:
    """Return the sentences of all passages in order, of the long ones their lines.

    Together they are the passages; no two of them overlap.
    """
    found: list[Span] = []
    for index, passage in enumerate(passages):
        text = passage.chunk.text
        for start, end in split_prose(text):
            if end - start <= MAX_SPAN_CHARS:
                found.append(_span(index, text, start, end, terms))
                continue
            lines = split_lines(text[start:end])
            found += [_span(index, text, start + a, start + b, terms) for a, b in lines]
    return found


def _places(text: str) -> Iterable[tuple[int, int]]:
    units: list[tuple[int, int]] = []
    for start, end in split_prose(text):
        lines = [(start + a, start + b) for a, b in split_lines(text[start:end])]
        apart = end - start > MAX_SPAN_CHARS or _is_tabular([text[a:b] for a, b in lines])
        units.extend(lines if apart else [(start, end)])
        if not apart and len(lines) > 1:
            yield from lines
    yield from units
    for (start, middle), (_, end) in pairwise(units):
        # a row is complete; with the next one it would say what neither does
        if end - start <= MAX_SPAN_CHARS and not is_row(text[start:middle]):
            yield start, end


def _is_tabular(lines: Sequence[str]) -> bool:
    """Say whether lines without an end of sentence are rows: no one place says all of them."""
    told = [line for line in lines if any(map(str.isalnum, line))]
    if len(told) < _ROWS:  # a sentence is broken over two lines as well
        return len(told) > 1 and bool(_ROW.search(told[-1]))
    rows = sum(
        bool(_ROW.search(line)) or is_row(line) or _width(line) < _SHORT_LINE for line in told
    )
    return 2 * rows > len(told)


def is_row(text: str) -> bool:
    """Say whether a place is one row of a table with figures: its header has years at most."""
    if "\n" in text.strip() or not _ENDS_A_ROW.search(text):
        return False
    figures = re.findall(r"(?:^|[\s|($€£¥])(\d[\d,.]*)(?=[^\w]|[A-Za-z%]{1,3}\b|$)", text)
    if "|" in text:  # a header's cells may have numbers in their names
        cells = [cell.strip().lstrip("($€£¥") for cell in text.split("|")]
        figures = [cell for cell in cells if cell[:1].isdigit()]
    return any(not _IS_YEAR.fullmatch(figure) for figure in figures)


def _width(line: str) -> int:
    return len(line) + sum(map(is_cjk, line))


def _span(passage: int, text: str, start: int, end: int, terms: Terms) -> Span:
    quoted = text[start:end]
    return Span(passage, start, end, quoted, frozenset(terms(quoted)))


class Rarity:
    """How much a term says about where a sentence comes from, within the shown passages."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._total = len(spans)
        self._spans = Counter(term for span in spans for term in span.terms)

    def weight(self, term: str) -> float:
        """Return a term's inverse document frequency, a span being a document.

        A term that stands nowhere weighs like a common one: it tells no span from another.
        """
        count = self._spans[term] or max(1, self._total // 4)
        return rarity(count, self._total)

    def share(self, part: Iterable[str], whole: Iterable[str]) -> float:
        """Return the weight of ``part`` over that of ``whole``; 0 for an empty whole."""
        total = sum(map(self.weight, whole))
        return sum(map(self.weight, part)) / total if total else 0.0


_NEXT = re.compile(r"[)\]]?[ -]?(?P<word>[A-Za-z]{2,}|[\u4e00-\u9fff])")
_BEFORE = re.compile(r"(?P<word>[A-Za-z]{2,}|[\u4e00-\u9fff])[ :：]?\Z")
_LITTLE = (
    "and or of in to for the by from with at on as is are was were per than over an its "
    "respectively 用 在 中 其 该 和 与 或 至 到 的 为 是 有 在 及 共 约 等"
)
_FUNCTION = frozenset(_LITTLE.split())
_WINDOW = 40  # characters; four of Chinese
_WINDOW_CHINESE = 4


def stands_beside(
    text: str, quantity: Quantity, place: str, found: Sequence[Quantity], terms: Terms
) -> bool:
    """Say whether one of the ``found`` numbers of ``place`` has the same neighbour.

    ``quantity`` stands in ``text``. True as well where it has no telling neighbour.
    """
    word = _neighbour(text, quantity)
    if not word:
        return True
    width = _WINDOW if word.isascii() else _WINDOW_CHINESE
    wanted = set(terms(word))
    for other in found:
        if other.value is None or quantity.value is None or abs(other.value) != abs(quantity.value):
            continue
        near = place[max(0, other.start - width) : other.end + width]
        if word in near or wanted & set(terms(near)):
            return True
    return False


def _neighbour(text: str, quantity: Quantity) -> str:
    after = _NEXT.match(text, quantity.end)
    if after and after["word"].casefold() not in _FUNCTION:
        return after["word"]
    before = _BEFORE.search(text, max(0, quantity.start - _WINDOW), quantity.start)
    if before and before["word"].casefold() not in _FUNCTION:
        return before["word"]
    return ""
