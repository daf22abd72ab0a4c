"""Pages put together: each one's text out of its lines, and what only the whole document tells.

Running headers go, words broken at line ends are joined by the document's own spelling,
and headings are found by their type where the file names none.

PDFium ends lines with CR LF, marks a word it saw broken at a line end with U+FFFE or U+0002,
and may return NULs. A page's text drops those, and joins such words; the recipe kept with it,
and never a second search, leads from an offset back to PDFium's characters and their boxes.

Whether the hyphen of a broken word goes is asked of the document itself: it may spell the word
elsewhere, in one piece or with its hyphen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from rag.ingestion.pdf.headers_footers import headers_and_footers
from rag.ingestion.pdf.headings import SetLine, headings_by_type, largest_text
from rag.ingestion.pdf.lines import TextLine
from rag.ingestion.pdf.metadata import Metadata
from rag.ingestion.pdf.offset_map import OURS, Run, to_runs, write_recipe
from rag.ingestion.pdf.page import DraftPage, hyphens
from rag.types.documents import Document, Page

# PDFium marks a hyphen at a line end that it takes for a break; soft hyphens are breaks too
_MARKS = "\ufffe\x02\u00ad"
_HYPHENS = _MARKS + "\u2010-"
# what no text holds: stray marks, NUL, lone surrogates, which no later stage could encode
_DROPPED = re.compile("[\ufffe\uffff\x02\x00\ud800-\udfff]")
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*")
_BEFORE = re.compile(rf"([^\W\d_]+)[{_HYPHENS}]\Z")
_START = re.compile(r"[^\W\d_]+|\d")
_BREAK = re.compile(rf"[{_MARKS}]|[\u2010-]\s*[\r\n]")


def assemble(
    found: Sequence[DraftPage | Page], *, document_id: str, extras: Metadata, reader: str
) -> Document:
    """Return the document; pages that are finished already stay as they are.

    Its headings and title are those that its type shows where the file names none.
    """
    drafts = [page for page in found if isinstance(page, DraftPage) and page.state == "text"]
    repeated = headers_and_footers(drafts)
    dropped = {page.number: places for page, places in zip(drafts, repeated, strict=True)}
    # gathered when the first hyphen asks for them
    words = cache(lambda: vocabulary(page.raw for page in drafts))
    pages: list[Page] = []
    set_lines: list[SetLine] = []
    for page in found:
        if isinstance(page, Page):
            pages.append(page)
        elif page.state != "text":
            pages.append(_finished(page))
        else:
            composed = compose(page, dropped=dropped[page.number], words=words)
            if not composed.text:  # what would empty the page is not taken from it
                composed = compose(page, dropped=(), words=words)
            pages.append(_finished(page, composed.text, composed.recipe))
            set_lines += _set_lines(page, composed)
    title = extras.title or largest_text(set_lines)
    headings = extras.headings or headings_by_type(set_lines)
    return Document(document_id, title, tuple(pages), headings, reader)


def _finished(page: DraftPage, text: str = "", recipe: str = "") -> Page:
    size = page.width, page.height
    return Page(page.number, text, page.label, page.state, page.reason, *size, recipe)


def _set_lines(page: DraftPage, composed: Composed) -> list[SetLine]:
    found = []
    for place in composed.starts:
        text = " ".join(hyphens(page.text(place)).split())
        found.append(SetLine(page.number, text, page.lines[place], page.bold[place]))
    return found


@dataclass(frozen=True, slots=True)
class Composed:
    """A page's text, its recipe, and where each line begins in the text."""

    text: str
    recipe: str
    starts: dict[int, int]  # line -> offset


def vocabulary(raws: Iterable[str]) -> frozenset[str]:
    """Return the words of a document in lower case, without those broken at a line end."""
    known: set[str] = set()
    for raw in raws:
        parts = _BREAK.split(raw.lower())
        for number, part in enumerate(parts):
            words = _WORD.findall(part)
            known.update(words[number > 0 : len(words) - (number < len(parts) - 1)])
    return frozenset(known)


def compose(
    draft: DraftPage, *, dropped: Collection[int], words: Callable[[], Collection[str]]
) -> Composed:
    """Return the page's text in reading order, without the dropped lines and hidden text."""
    writer = _Writer()
    starts: dict[int, int] = {}
    unbroken = False
    seen = [(i, _visible(draft, draft.lines[i])) for i in draft.order if i not in dropped]
    seen = [(index, runs) for index, runs in seen if runs]
    for (index, runs), (_, after) in zip(seen, [*seen[1:], (0, [])], strict=False):
        if writer.length and not unbroken:
            writer.end_line()
        starts[index] = writer.length
        writer.add(draft.raw, runs)
        ends_open = writer.last() in _HYPHENS
        unbroken = ends_open and _mend(writer, _word_at(draft, after), words)
    return Composed("".join(writer.texts), write_recipe(writer.runs), starts)


class _Writer:
    """A text that grows, and its runs beside it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.runs: list[Run] = []
        self.length = 0

    def add(self, raw: str, runs: Sequence[Run]) -> None:
        self.texts += [raw[start : start + length] for start, length in runs]
        self.runs += runs
        self.length += sum(length for _, length in runs)

    def end_line(self) -> None:
        self.texts.append("\n")
        self.runs.append((OURS, 1))
        self.length += 1

    def last(self) -> str:
        return self.texts[-1][-1]

    def settle(self, *, keep: bool) -> None:
        """Make the last character a hyphen, or take it away."""
        self.texts[-1] = self.texts[-1][:-1] + ("-" if keep else "")
        if not keep:
            start, length = self.runs.pop()
            self.runs += [(start, length - 1)] if length > 1 else []
            self.length -= 1


def _word_at(draft: DraftPage, runs: Sequence[Run]) -> str:
    word = _START.match(draft.raw, runs[0][0], sum(runs[-1])) if runs else None
    return word[0] if word else ""


def _visible(draft: DraftPage, line: TextLine) -> list[Run]:
    """Return where a line's characters stand that belong into the text."""
    raw, hidden = draft.raw, draft.hidden
    if not hidden and not _DROPPED.search(raw, line.start, line.end - 1):
        return [(line.start, line.end - line.start)]
    kept = [
        place
        for place in range(line.start, line.end)
        if place not in hidden and (place == line.end - 1 or not _DROPPED.match(raw[place]))
    ]
    while kept and raw[kept[-1]].isspace():
        kept.pop()
    while kept and raw[kept[0]].isspace():
        kept.pop(0)
    return to_runs(kept)


def _mend(writer: _Writer, after: str, words: Callable[[], Collection[str]]) -> bool:
    """Settle a hyphen at the end; tell whether the next line follows unbroken."""
    found = _BEFORE.search("".join(writer.texts[-2:])[-40:])
    marked = writer.last() in _MARKS
    if found is None or not after or not after[0].islower():
        if marked:
            writer.settle(keep=True)
        return marked and found is not None and bool(after)
    writer.settle(keep=_keeps_hyphen(found[1].lower(), after.lower(), words()))
    return True


def _keeps_hyphen(before: str, after: str, words: Collection[str]) -> bool:
    if before + after in words:
        return False
    return f"{before}-{after}" in words or (before in words and after in words)
