"""Documents as they are kept: by name, page by page, and whole."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rag.storage.passages import LedgerPassages
from rag.types.answers import Readable
from rag.types.documents import PAGE_JOIN, SEARCHABLE, PageState

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.storage.rows import FileRow
    from rag.types.answers import Passage
    from rag.types.documents import IndexVersion


_RUN_ON = 1000  # characters of the next page that a sentence may run on into


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


def files_named(rows: Iterable[FileRow], name: str) -> list[FileRow]:
    """Return the row with this path; else those whose file has this name, wherever they lie."""
    wanted = unicodedata.normalize("NFC", name).replace("\\", "/")
    known = list(rows)
    exact = [row for row in known if row.path == wanted]
    bare = PurePosixPath(wanted).name
    return exact or [row for row in known if PurePosixPath(row.path).name == bare]


class StoredTexts:
    """Answers where something is, for one space. Reads only."""

    def __init__(self, ledger: Ledger, space: IndexVersion) -> None:
        self._ledger = ledger
        self._space = space

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
        return self._ledger.complete_documents(self._space)

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
            (self._space.id, document_id, end, start),
        )
        return [(int(row[0]), int(row[1]), int(row[2])) for row in rows]


class LedgerDocuments:
    """The documents of one space. Satisfies ``Shelf``."""

    def __init__(self, ledger: Ledger, space: IndexVersion) -> None:
        self._ledger = ledger
        self._space = space
        self._passages = LedgerPassages(ledger, space)

    def names(self) -> dict[str, tuple[str, str]]:
        rows = self._ledger.connection.execute(
            "SELECT d.id, (SELECT min(f.path) FROM files f WHERE f.document_id = d.id), d.title"
            " FROM space_documents s JOIN documents d ON d.id = s.document_id WHERE s.space_id = ?",
            (self._space.id,),
        )
        return {row[0]: (PurePosixPath(row[1]).name, row[2]) for row in rows if row[1] is not None}

    def documents(self) -> list[Readable]:
        rows = self._ledger.connection.execute(
            "SELECT d.id, (SELECT min(f.path) FROM files f WHERE f.document_id = d.id), d.title,"
            " (SELECT count(*) FROM pages p WHERE p.document_id = d.id),"
            " count(c.id), sum(c.tokens)"
            " FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.space_id = ?"
            " GROUP BY d.id ORDER BY 2",
            (self._space.id,),
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
                (self._space.id, document),
            )
            ids.extend(int(row[0]) for row in rows)
        found = self._passages.passages(ids)
        return [found[chunk_id] for chunk_id in ids if chunk_id in found]
