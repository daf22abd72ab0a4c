"""Cuts a document into passages with LangChain's recursive splitter.

Sizes are in the embedder's own tokens, prefix and special tokens included, so that no
passage is ever truncated when it is embedded. The splitter is asked to keep every
character, which makes offsets exact by counting and needs no search for the text.

A table is kept in one passage where it fits, and is cut between rows where it does not; a
passage that begins inside one carries its caption and header row as context.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from langchain_text_splitters import RecursiveCharacterTextSplitter

from rag.ingestion.pdf.tables import Table, find_tables
from rag.text.parse_errors import attempt
from rag.types.documents import Chunk, Document
from rag.types.index_version import chunking_name

# From the strongest border to the weakest: blank line, end of a sentence (Chinese, then
# Latin), end of a line (table rows), clause, word, character.
SEPARATORS = (
    r"\n[ \t]*\n+",
    r"(?<=[。！？])",
    r"(?<=[.!?]) +|(?<=[.!?])\n",
    r"\n",
    r"(?<=[；;])",
    r"(?<=[，、：,:]) ?",
    r" +",
    "",
)
_ROW_SEPARATORS = SEPARATORS[3:]
_HEADING_JOIN = " › "
_TITLE_LINE = 8  # characters from which a title's beginning is no chapter of its own
_MOST_CHARS_A_TOKEN = 16  # longer stretches are split without counting them whole first
_CONTEXT = 400  # characters of a table's caption and header that go with a passage


class RecursiveChunker:
    """Satisfies ``Chunker``."""

    def __init__(
        self, *, tokens: int, overlap: int, max_tokens: int, count: Callable[[str], int]
    ) -> None:
        """Cut passages of at most ``tokens``, sharing about ``overlap`` with the one before.

        ``count`` is the embedder's ``count_tokens``; ``max_tokens`` what it takes at most.
        """
        self._size = min(tokens, max_tokens)
        self._overlap = min(overlap, self._size // 2)
        self.name = chunking_name(tokens=self._size, overlap=self._overlap)
        self._count = lru_cache(maxsize=65536)(count)
        self._overhead = count("")  # prefix and special tokens, once a passage
        self._room = max(8, self._size - self._overlap - self._overhead)
        self._prose = self._splitter(SEPARATORS)
        self._rows = self._splitter(_ROW_SEPARATORS)

    def _splitter(self, separators: Sequence[str]) -> RecursiveCharacterTextSplitter:
        return RecursiveCharacterTextSplitter(
            list(separators),
            keep_separator="end",
            is_separator_regex=True,
            chunk_size=self._room,
            chunk_overlap=0,
            length_function=self._piece_tokens,
            strip_whitespace=False,
        )

    def _piece_tokens(self, piece: str) -> int:
        # at least 1: the splitter would repeat a piece that costs nothing in the next passage
        return max(1, self._count(piece) - self._overhead)

    def split(self, document: Document) -> list[Chunk]:
        """Return passages in document order, none of them blank, none too long to embed."""
        text = document.text
        tables = _tables(document)
        places = _Places(document)
        chunks: list[Chunk] = []
        for begin, stop in self._packed(text, self._pieces(text, tables)):
            for start, end in self._fitting(text, begin, stop):
                tokens = self._count(text[start:end])
                made = places.chunk(text, start, end, tokens)
                chunks.append(replace(made, context=_context(text, tables, start)))
        return chunks

    def _pieces(self, text: str, tables: Sequence[Table]) -> Iterator[tuple[int, int]]:
        """Yield the whole text in pieces that fit, cut at the borders of tables first."""
        at = 0
        for table in tables:
            yield from self._split(text, at, table.start, self._prose)
            yield from self._split(text, table.start, table.end, self._rows)
            at = table.end
        yield from self._split(text, at, len(text), self._prose)

    def _split(
        self, text: str, start: int, end: int, splitter: RecursiveCharacterTextSplitter
    ) -> Iterator[tuple[int, int]]:
        short = end - start <= _MOST_CHARS_A_TOKEN * self._room
        if start < end and short and self._piece_tokens(text[start:end]) <= self._room:
            yield start, end
            return
        at = start
        for piece in splitter.split_text(text[start:end]):
            # whatever a splitter does at its borders, the slice below is the document's own
            begin = text.index(piece, at)
            at = begin + len(piece)
            yield begin, at

    def _packed(self, text: str, pieces: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Join neighbours that fit into one passage."""
        begin = stop = held = 0
        for start, end in pieces:
            cost = self._piece_tokens(text[start:end])
            if stop > begin and held + cost > self._room:
                yield begin, stop
                begin, held = start, 0
            elif stop == begin:
                begin = start
            stop, held = end, held + cost
        if stop > begin:
            yield begin, stop

    def _fitting(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        start, end = _strip(text, start, end)
        if start >= end:
            return []
        if self._count(text[start:end]) > self._size:
            middle = (start + end) // 2
            return [*self._fitting(text, start, middle), *self._fitting(text, middle, end)]
        return [(self._extended(text, start, end), end)]

    def _extended(self, text: str, start: int, end: int) -> int:
        """Move ``start`` back to share up to ``overlap`` tokens with the passage before."""
        if not self._overlap:
            return start
        best = start
        for candidate in _borders_before(text, start):
            if self._count(text[candidate:end]) > self._size:
                break
            if self._piece_tokens(text[candidate:start]) > self._overlap:
                break
            best = candidate
        return best


def _tables(document: Document) -> list[Table]:
    """Return all tables, at their offsets in the document's text."""
    return [
        Table(at + table.start, at + table.body, at + table.end)
        for page, at in zip(document.pages, document.page_starts(), strict=False)
        for table in _tables_of(page.text)
    ]


def _tables_of(page: str) -> list[Table]:
    return attempt(lambda: find_tables(page), instead=[], what="the tables of a page")


def _context(text: str, tables: Sequence[Table], start: int) -> str:
    """Return what of a table's caption and header stands before ``start``, if inside of it."""
    index = bisect_right(tables, start, key=lambda table: table.start) - 1
    if index < 0 or not tables[index].start < start < tables[index].end:
        return ""
    table = tables[index]
    return text[table.start : min(start, table.body)].strip()[-_CONTEXT:]


def _borders_before(text: str, start: int) -> list[int]:
    """Return sentence or line starts before ``start``, nearest first."""
    return [
        at
        for at in range(start - 1, max(start - 400, 1), -1)
        if text[at - 1] in "。！？\n" or (text[at - 1] == " " and text[at - 2] in ".!?")
    ]


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _find_title(page: str, title: str, start: int) -> int:
    """Return where ``title`` stands, which may run over lines; -1 if nowhere."""
    found = page.find(title, start)
    if found >= 0 or "\n" not in page:
        return found
    signs = (re.escape(sign) for sign in title if not sign.isspace())
    match = re.compile(r"\s*".join(signs)).search(page, start)
    return match.start() if match else -1


def _same(heading: str, title: str) -> bool:
    """Return whether a heading is the document's title, or the first line of it."""
    return len(heading) >= _TITLE_LINE and (title.startswith(heading) or heading == title)


class _Places:
    """Knows the page and the heading of every offset of one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._starts = document.page_starts()
        self._paths: list[str] = []  # heading path from each heading on
        self._heading_pages = [heading.page for heading in document.headings]
        open_headings: list[tuple[int, str]] = []
        for heading in document.headings:
            while open_headings and open_headings[-1][0] >= heading.level:
                open_headings.pop()
            open_headings.append((heading.level, heading.title))
            titles = [t for _, t in open_headings if not _same(t, document.title)]
            self._paths.append(_HEADING_JOIN.join([t for t in [document.title, *titles] if t]))
        self._title_offsets = self._find_titles()

    def _find_titles(self) -> list[int]:
        """Return where each heading stands: its title on its page, else the page's start."""
        offsets: list[int] = []
        floor = 0
        for heading in self._document.headings:
            page_start = self._starts[heading.page - 1]
            page = self._document.pages[heading.page - 1].text
            found = _find_title(page, heading.title, max(0, floor - page_start))
            offset = page_start + max(found, 0)
            floor = max(floor, offset)
            offsets.append(floor)
        return offsets

    def chunk(self, text: str, start: int, end: int, tokens: int) -> Chunk:
        return Chunk(
            document_id=self._document.id,
            start=start,
            end=end,
            first_page=self._page(start),
            last_page=self._page(end - 1),
            text=text[start:end],
            heading=self._heading(start, end),
            tokens=tokens,
        )

    def _page(self, offset: int) -> int:
        return self._document.pages[bisect_right(self._starts, offset) - 1].number

    def _heading(self, start: int, end: int) -> str:
        # a passage that begins with a new heading's own line belongs under that heading
        index = bisect_right(self._title_offsets, min(start + 2, end - 1)) - 1
        return self._paths[index] if index >= 0 else self._document.title
