"""What is read of one index version: passages, words, vectors; documents, by page or whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rag.storage.database import fts_table
from rag.storage.ledger import files_named
from rag.storage.ocr_pages import recognised_lines
from rag.types.answers import Neighbour, Passage, Readable
from rag.types.documents import PAGE_JOIN, SEARCHABLE, Chunk, IndexVersion, PageState

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors
    from rag.storage.ledger import FileRow, Ledger
    from rag.types.recognised_text import RecognisedLine


T = TypeVar("T")
_REMEMBERED = 20_000  # terms whose frequency is kept
_BEGINS = 1500  # characters of a numbered place that count as its beginning
_ROWS = 2000  # of vectors read at once
_RUN_ON = 1000  # characters of the next page that a sentence may run on into
_VARIABLES = 500  # bound variables a statement; SQLite allowed 999 before 3.32


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _VARIABLES)):
        yield batch


def _each(ledger: Ledger, query: str, items: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of a query that ends with a column which is to be one of ``items``."""
    for batch in _batches(items):
        yield from ledger.connection.execute(f"{query} IN ({_marks(batch)})", batch).fetchall()


def _marks(items: Collection[object]) -> str:
    return ",".join("?" * len(items))


class LedgerPassages:
    """Satisfies ``PassageStore`` for one index version."""

    def __init__(self, ledger: Ledger, version: IndexVersion) -> None:
        self._ledger = ledger
        self._version = version
        self._fts = fts_table(version.id)

    def passages(self, ids: Sequence[int]) -> dict[int, Passage]:
        rows = _each(
            self._ledger,
            "SELECT c.id, c.document_id, c.start, c.end, c.first_page, c.last_page, c.heading,"
            " c.tokens, c.context,"
            " (SELECT min(f.path) FROM files f WHERE f.document_id = c.document_id),"
            " p.label, p.start FROM chunks c JOIN pages p"
            " ON p.document_id = c.document_id AND p.number = c.first_page WHERE c.id",
            ids,
        )
        return {row[0]: self._passage(row) for row in rows}

    def places(self, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
        rows = _each(self._ledger, "SELECT id, document_id, first_page FROM chunks WHERE id", ids)
        return {int(row[0]): (str(row[1]), int(row[2])) for row in rows}

    def on_pages(self, pages: Sequence[int], documents: Collection[str]) -> list[int]:
        found: dict[int, None] = {}
        last = "(SELECT max(number) FROM pages WHERE document_id = p.document_id)"
        for batch in _batches(documents):
            rows = self._ledger.connection.execute(
                "SELECT c.id FROM pages p JOIN chunks c ON c.document_id = p.document_id"
                " AND c.first_page <= p.number AND c.last_page >= p.number"
                f" WHERE c.space_id = ? AND p.document_id IN ({_marks(batch)})"
                f" AND (p.number IN ({_marks(pages)}) OR p.label IN ({_marks(pages)})"
                f" OR p.number = {last if -1 in pages else 0}) ORDER BY c.document_id, c.start",
                (self._version.id, *batch, *pages, *map(str, pages)),
            )
            found.update({int(row[0]): None for row in rows})
        return list(found)

    def on_places(
        self, places: Sequence[tuple[str, str]], documents: Collection[str] | None
    ) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for kind, number in places:
            rows = self._ledger.connection.execute(
                "SELECT a.document_id, c.id FROM anchors a JOIN chunks c"
                " ON c.document_id = a.document_id AND c.space_id = ?"
                " AND c.end > a.start AND c.start < min(a.end, a.start + ?)"
                " WHERE a.kind = ? AND a.number = ? ORDER BY c.start",
                (self._version.id, _BEGINS, kind, number),
            )
            for document, chunk_id in rows:
                if documents is None or document in documents:
                    found.setdefault(str(document), []).append(int(chunk_id))
        return found

    def _passage(
        self, row: tuple[int, str, int, int, int, int, str, int, str, str, str, int]
    ) -> Passage:
        chunk_id, document_id, start, end, first, last, heading, tokens, context = row[:9]
        path, label, at = row[9:]
        text = self._slice(document_id, first, last)[start - at : end - at]
        chunk = Chunk(document_id, start, end, first, last, text, heading, tokens, context)
        return Passage(chunk_id, chunk, PurePosixPath(path).name, path, label)

    def neighbours(self, chunk_id: int, *, reach: int) -> tuple[list[Neighbour], list[Neighbour]]:
        beside = (
            "SELECT c.id, c.context FROM chunks c JOIN chunks h ON h.id = ?"
            " AND c.document_id = h.document_id AND c.space_id = h.space_id"
        )
        rows = [
            self._ledger.connection.execute(f"{beside} AND {which} LIMIT ?", (chunk_id, reach))
            for which in (
                "c.start < h.start ORDER BY c.start DESC",
                "c.start > h.start ORDER BY c.start",
            )
        ]
        before, after = ([Neighbour(int(row[0]), str(row[1])) for row in side] for side in rows)
        return before, after

    def stretched(self, passage: Passage, *, first: int, last: int) -> Passage:
        row = self._ledger.connection.execute(
            "SELECT a.start, b.end, a.first_page, b.last_page, a.heading, a.context, p.label,"
            " p.start, (SELECT sum(c.tokens) FROM chunks c WHERE c.space_id = a.space_id AND"
            " c.document_id = a.document_id AND c.start BETWEEN a.start AND b.start)"
            " FROM chunks a JOIN chunks b ON b.id = ? JOIN pages p"
            " ON p.document_id = a.document_id AND p.number = a.first_page WHERE a.id = ?",
            (last, first),
        ).fetchone()
        if row is None:  # rebuilt meanwhile
            return passage
        start, end, first_page, last_page, heading, context, label, at, tokens = row
        chunk = passage.chunk
        text = self._slice(chunk.document_id, first_page, last_page)[start - at : end - at]
        whole = Chunk(
            chunk.document_id, start, end, first_page, last_page, text, heading, tokens, context
        )
        return replace(passage, chunk=whole, label=label)

    def _slice(self, document_id: str, first: int, last: int) -> str:
        """Return the text of some pages, as offsets count it."""
        pages = self._ledger.connection.execute(
            "SELECT text FROM pages WHERE document_id = ? AND number BETWEEN ? AND ?"
            " ORDER BY number",
            (document_id, first, last),
        )
        return PAGE_JOIN.join(page[0] for page in pages)

    def match(
        self, terms: Sequence[str], *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        wanted = list(dict.fromkeys(terms))
        if not wanted or (documents is not None and not documents):
            return []
        within, values = "", [" OR ".join(f'"{term}"' for term in wanted)]
        if documents is not None:
            # the plus keeps SQLite from running the full-text query once for each row
            within = (
                " AND +rowid IN (SELECT id FROM chunks WHERE space_id = ?"
                f" AND document_id IN ({_marks(documents)}))"
            )
        rows = self._ledger.connection.execute(
            f"SELECT rowid, -rank FROM {self._fts} WHERE {self._fts} MATCH ?{within}"
            " ORDER BY rank, rowid LIMIT ?",
            (*values, *([self._version.id, *documents] if documents is not None else ()), k),
        )
        return [(int(row[0]), float(row[1])) for row in rows]

    def document_frequency(
        self, terms: Sequence[str], documents: Collection[str] | None = None
    ) -> tuple[dict[str, int], int]:
        if documents is not None:
            return self._frequency_within(terms, documents)
        # SQLite counts by reading every row, and each question asks for the same more than once
        kept = self._ledger.memo()
        counts: dict[str, int] = kept.setdefault(self._fts, {})
        new = [term for term in dict.fromkeys(terms) if term not in counts]
        if len(counts) + len(new) > _REMEMBERED:
            counts.clear()
            new = list(dict.fromkeys(terms))
        for batch in _batches(new):
            rows = self._ledger.connection.execute(
                f"SELECT term, doc FROM {self._fts}_vocab WHERE term IN ({_marks(batch)})",
                batch,
            )
            counts.update(dict.fromkeys(batch, 0) | {row[0]: int(row[1]) for row in rows})
        if (total := kept.get(self._version.id)) is None:
            total = self._ledger.connection.execute(
                "SELECT count(*) FROM chunks WHERE space_id = ?", (self._version.id,)
            ).fetchone()[0]
            kept[self._version.id] = total
        return {term: counts[term] for term in terms}, int(total)

    def _frequency_within(
        self, terms: Sequence[str], documents: Collection[str]
    ) -> tuple[dict[str, int], int]:
        within = (
            f"SELECT id FROM chunks WHERE space_id = ? AND document_id IN ({_marks(documents)})"
        )
        chosen = (self._version.id, *documents)
        run = self._ledger.connection.execute
        total, first, last = run(
            f"SELECT count(*), min(id), max(id) FROM ({within})", chosen
        ).fetchone()
        counts = {
            # the index skips to the first row; of a common word it would else read all
            term: run(
                f"SELECT count(*) FROM {self._fts} WHERE {self._fts} MATCH ?"
                f" AND rowid BETWEEN ? AND ? AND +rowid IN ({within})",
                (f'"{term}"', first, last, *chosen),
            ).fetchone()[0]
            for term in (dict.fromkeys(terms) if total else ())
        }
        return {term: int(counts.get(term, 0)) for term in terms}, int(total)

    def beginning(self, letters: str) -> dict[str, int]:
        rows = self._ledger.connection.execute(
            f"SELECT term, doc FROM {self._fts}_vocab WHERE term >= ? AND term < ?",
            (letters, f"{letters}\uffff"),
        )
        return {str(term): int(count) for term, count in rows}

    def analysed(self, ids: Sequence[int]) -> dict[int, str]:
        rows = _each(self._ledger, f"SELECT rowid, terms FROM {self._fts} WHERE rowid", ids)
        return {int(row[0]): str(row[1]) for row in rows}

    def vectors(self, documents: Collection[str]) -> tuple[list[int], Vectors]:
        ids: list[int] = []
        blobs: list[bytes] = []
        for batch in _batches(documents):
            rows = self._ledger.connection.execute(
                "SELECT v.chunk_id, v.vector FROM chunks c JOIN vectors v ON v.chunk_id = c.id"
                f" WHERE c.space_id = ? AND c.document_id IN ({_marks(batch)}) ORDER BY c.id",
                [self._version.id, *batch],
            )
            for row in rows:
                ids.append(int(row[0]))
                blobs.append(row[1])
        return ids, unpack(blobs, dim=self._version.dim)

    def digests(self, ids: Sequence[int]) -> dict[int, bytes]:
        """Return the sha256 of what was embedded of each chunk."""
        rows = _each(self._ledger, "SELECT id, digest FROM chunks WHERE id", ids)
        return {int(row[0]): row[1] for row in rows}

    def all_vectors(self) -> Iterator[tuple[list[int], Vectors]]:
        """Yield the whole index version's chunk ids and rows, in batches, by id."""
        last = 0
        while True:
            rows = self._ledger.connection.execute(
                "SELECT v.chunk_id, v.vector FROM vectors v JOIN chunks c ON c.id = v.chunk_id"
                " WHERE c.space_id = ? AND v.chunk_id > ? ORDER BY v.chunk_id LIMIT ?",
                (self._version.id, last, _ROWS),
            ).fetchall()
            if not rows:
                return
            ids = [int(row[0]) for row in rows]
            yield ids, unpack([row[1] for row in rows], dim=self._version.dim)
            last = ids[-1]

    def page_spans(self, document_id: str, start: int, end: int) -> list[tuple[int, int, int]]:
        """Return the span as ``(page, start, end)``, in characters of each page's own text."""
        rows = self._ledger.connection.execute(
            "SELECT number, start, length(text) FROM pages WHERE document_id = ?"
            " AND start < ? AND start + length(text) > ? ORDER BY number",
            (document_id, end, start),
        )
        return [
            (int(number), max(0, start - at), min(length, end - at)) for number, at, length in rows
        ]

    def recipes(self, document_id: str, pages: Collection[int]) -> dict[int, str]:
        """Return how the text of these pages leads back to the file; see ``Page.recipe``."""
        rows = self._ledger.connection.execute(
            "SELECT number, recipe FROM pages WHERE document_id = ?"
            f" AND number IN ({_marks(pages)})",
            (document_id, *pages),
        )
        return {int(number): str(recipe) for number, recipe in rows}

    def recognised_lines(self, document_id: str, page: int) -> tuple[RecognisedLine, ...] | None:
        """Return where a page's text stands; ``None`` if it is not from text recognition."""
        return recognised_lines(self._ledger, document_id, page)

    def path(self, document_id: str) -> str | None:
        """Return one path of the document, relative to the knowledge folder."""
        row = self._ledger.connection.execute(
            "SELECT min(path) FROM files WHERE document_id = ?", (document_id,)
        ).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def chunk_ids(self) -> set[int]:
        """Return the ids of all chunks of the index version."""
        rows = self._ledger.connection.execute(
            "SELECT id FROM chunks WHERE space_id = ?", (self._version.id,)
        )
        return {int(row[0]) for row in rows}


def known_vectors(
    ledger: Ledger, embedder: str, dim: int, digests: Collection[bytes]
) -> dict[bytes, Vector]:
    """Return the rows, as they are kept, of texts that this embedder has embedded before."""
    found: dict[bytes, Vector] = {}
    for batch in _batches(digests):
        rows = ledger.connection.execute(
            "SELECT c.digest, v.vector FROM chunks c JOIN spaces s ON s.id = c.space_id"
            " JOIN vectors v ON v.chunk_id = c.id"
            f" WHERE c.digest IN ({_marks(batch)}) AND s.embedder = ? AND s.dim = ?",
            [*batch, embedder, dim],
        )
        found.update(
            {row[0]: np.frombuffer(row[1], dtype=np.float16).astype(np.float32) for row in rows}
        )
    return found


def unpack(blobs: Sequence[bytes], *, dim: int) -> Vectors:
    """Return float32 rows of norm 1, shape ``(len(blobs), dim)``, from the ledger's float16."""
    rows: Vectors = (
        np.frombuffer(b"".join(blobs), dtype=np.float16).reshape(-1, dim).astype(np.float32)
    )
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = np.divide(rows, norms, out=rows, where=norms > 0)
    return unit


@dataclass(frozen=True, slots=True)
class PageText:
    """A page's text and where it begins in its document's text."""

    document_id: str
    number: int
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class UnreadPage:
    """A page that cannot be searched, or of which something was left out."""

    document_id: str
    number: int
    state: PageState
    reason: str | None

    @property
    def searchable(self) -> bool:
        """Whether the rest of the page is."""
        return self.state in SEARCHABLE


class StoredTexts:
    """Answers where something is, for one index version. Reads only."""

    def __init__(self, ledger: Ledger, version: IndexVersion) -> None:
        self._ledger = ledger
        self._version = version

    def files(self, name: str | None = None) -> list[FileRow]:
        """Return the known paths: all, or those that ``name`` may mean."""
        rows = self._ledger.files().values()
        return list(rows) if name is None else files_named(rows, name)

    def failure(self, document_id: str) -> str | None:
        """Return the reason of a file that could not be opened; ``None`` where it has pages."""
        row = self._ledger.connection.execute(
            "SELECT reason FROM documents d WHERE id = ? AND state = 'failed'"
            " AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = d.id)",
            (document_id,),
        ).fetchone()
        return None if row is None else str(row[0] or "unreadable")

    def failures(self) -> int:
        """Return how many files have no pages here, whatever the reason."""
        row = self._ledger.connection.execute(
            "SELECT count(*) FROM files f LEFT JOIN documents d ON d.id = f.document_id"
            " WHERE NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = d.id)"
        ).fetchone()
        return int(row[0])

    def complete(self) -> set[str]:
        """Return the ids of the documents that answers come from."""
        return self._ledger.complete_documents(self._version)

    def pages(self, document_id: str, numbers: Sequence[int] | None = None) -> list[PageText]:
        """Return pages with text, each with a part of the next one's: sentences run on."""
        rows = self._ledger.connection.execute(
            "SELECT number, start, text FROM pages WHERE document_id = ? ORDER BY number",
            (document_id,),
        ).fetchall()
        wanted = None if numbers is None else set(numbers)
        return [
            PageText(document_id, number, start, text + PAGE_JOIN + following[2][:_RUN_ON])
            for (number, start, text), following in zip(rows, [*rows[1:], (0, 0, "")], strict=False)
            if text and (wanted is None or number in wanted)
        ]

    def every_page(self) -> Iterator[tuple[str, int, str]]:
        """Yield document id, number and text of every page with text."""
        yield from self._ledger.connection.execute(
            "SELECT document_id, number, text FROM pages WHERE text != ''"
            " ORDER BY document_id, number"
        )

    def page_at(self, document_id: str, offset: int) -> int:
        """Return the number of the page that holds the character at ``offset``."""
        row = self._ledger.connection.execute(
            "SELECT max(number) FROM pages WHERE document_id = ? AND text != '' AND start <= ?",
            (document_id, offset),
        ).fetchone()
        return int(row[0] or 1)

    def unread(self, document_id: str | None = None) -> list[UnreadPage]:
        """Return the pages of one document or all that are not searched whole."""
        rows = self._ledger.connection.execute(
            "SELECT document_id, number, state, reason FROM pages"
            " WHERE (? IS NULL OR document_id = ?)"
            " AND (state NOT IN ('text', 'ocr') OR reason IS NOT NULL)"
            " ORDER BY document_id, number",
            (document_id, document_id),
        )
        return [UnreadPage(*row) for row in rows]

    def passages_over(self, document_id: str, start: int, end: int) -> list[tuple[int, int, int]]:
        """Return ``(id, start, end)`` of every passage that touches this span, in order."""
        rows = self._ledger.connection.execute(
            "SELECT id, start, end FROM chunks WHERE space_id = ? AND document_id = ?"
            " AND start < ? AND end > ? ORDER BY start",
            (self._version.id, document_id, end, start),
        )
        return [(int(row[0]), int(row[1]), int(row[2])) for row in rows]


class LedgerDocuments:
    """The documents of one index version. Satisfies ``Shelf``."""

    def __init__(self, ledger: Ledger, version: IndexVersion) -> None:
        self._ledger = ledger
        self._version = version
        self._passages = LedgerPassages(ledger, version)

    def names(self) -> dict[str, tuple[str, str]]:
        rows = self._ledger.connection.execute(
            "SELECT d.id, (SELECT min(f.path) FROM files f WHERE f.document_id = d.id), d.title"
            " FROM space_documents s JOIN documents d ON d.id = s.document_id WHERE s.space_id = ?",
            (self._version.id,),
        )
        return {row[0]: (PurePosixPath(row[1]).name, row[2]) for row in rows if row[1] is not None}

    def documents(self) -> list[Readable]:
        rows = self._ledger.connection.execute(
            "SELECT d.id, (SELECT min(f.path) FROM files f WHERE f.document_id = d.id), d.title,"
            " (SELECT count(*) FROM pages p WHERE p.document_id = d.id),"
            " count(c.id), sum(c.tokens)"
            " FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.space_id = ?"
            " GROUP BY d.id ORDER BY 2",
            (self._version.id,),
        )
        return [
            Readable(row[0], PurePosixPath(row[1]).name, row[2], *map(int, row[3:]))
            for row in rows
            if row[1] is not None  # it is being forgotten this moment
        ]

    def passages(self, documents: Sequence[str]) -> list[Passage]:
        ids: list[int] = []
        for document in documents:
            rows = self._ledger.connection.execute(
                "SELECT id FROM chunks WHERE space_id = ? AND document_id = ? ORDER BY start",
                (self._version.id, document),
            )
            ids.extend(int(row[0]) for row in rows)
        found = self._passages.passages(ids)
        return [found[chunk_id] for chunk_id in ids if chunk_id in found]
