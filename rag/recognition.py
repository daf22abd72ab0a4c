"""Text recognition of the pages that wait for it, after everything else is searchable.

Each page is kept in the ledger as soon as it is read; a document is committed anew once all
its pages are done, or a good number of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING

from rag.errors import UnreadableDocument
from rag.incoming import document_row
from rag.ingest.folder import real_path
from rag.protocols import Cancelled
from rag.report import SyncReport
from rag.space_writer import Run, SpaceWriter
from rag.store.ocr_pages import (
    passage_count,
    put_recognised,
    recognised_pages,
    remember_speed,
    waiting_pages,
    waits,
)
from rag.types import Document, Page, Progress
from rag.work import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rag.ingest.pool import Recognising, WorkerPool
    from rag.recognised import RecognisedPage
    from rag.store.ledger import Ledger
    from rag.store.rows import FileRow

SLICE = 32
"""Pages of one document recognised before it is committed again: 32 take minutes to read and
seconds to index."""
_Sent = deque["tuple[int, Recognising]"]
_EMPTIED = frozenset({"blank", "picture"})


class Recognition:
    """Goes through the waiting pages once."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        writer: SpaceWriter,
        pool: Callable[[], WorkerPool],
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._writer = writer
        self._pool = pool

    def run(self, run: Run, *, pause: Cancelled, failed_too: bool = False) -> None:
        """Recognise what waits.

        ``run.cancelled`` stops within a page; ``pause`` lets pages in work be finished first.
        """
        waiting = waiting_pages(self._ledger, failed_too=failed_too)
        total = sum(len(pages) for pages in waiting.values())
        meter = _Meter(run, total)
        for document_id, pages in waiting.items():
            if run.cancelled() or pause():
                break
            self._document(document_id, pages, run, pause, meter)
        meter.remember(self._ledger)

    def _document(
        self, document_id: str, pages: Sequence[int], run: Run, pause: Cancelled, meter: _Meter
    ) -> None:
        files = [row for row in self._ledger.files().values() if row.document_id == document_id]
        kept = recognised_pages(self._ledger, document_id)
        found = {n: kept[n] for n in pages if n in kept and kept[n].reason != "ocr_failed"}
        todo = [n for n in pages if n not in found]
        meter.known(len(found))
        for page in self._recognised(files[0], todo, run, pause, meter):
            put_recognised(self._ledger, document_id, page)
            found[page.number] = page
            if len(found) >= SLICE:
                self._commit(document_id, found, files, run)
                found = {}
        if found and (set(todo) <= set(found) or not (run.cancelled() or pause())):
            self._commit(document_id, found, files, run)

    def _recognised(
        self, file: FileRow, pages: Sequence[int], run: Run, pause: Cancelled, meter: _Meter
    ) -> Iterator[RecognisedPage]:
        """Yield pages as they are read, a few ahead of each other."""
        pool, path = self._pool(), real_path(self._folder, file.path)
        queue, sent = deque(pages), _Sent()
        try:
            while queue or sent:
                while queue and len(sent) < pool.recognisers and not pause():
                    if not _unchanged(path, file):
                        return  # the next sync reads it anew
                    number = queue.popleft()
                    sent.append((number, pool.recognise(path, page=number)))
                if not sent:
                    return
                began = perf_counter()
                page = sent.popleft()[1].result(cancelled=run.cancelled)
                run.result.times.ocr_s += perf_counter() - began
                if not _unchanged(path, file):
                    return
                yield page
                meter.done(PurePosixPath(file.path).name)  # here a question goes first
        except (CancelledError, UnreadableDocument):
            return  # the pages go on waiting
        finally:
            for _, errand in sent:
                errand.cancel()

    def _commit(
        self,
        document_id: str,
        found: dict[int, RecognisedPage],
        files: Sequence[FileRow],
        run: Run,
    ) -> None:
        before = self._ledger.load_document(document_id)
        if before is None:
            return
        pages = tuple(_merged(page, found.get(page.number)) for page in before.pages)
        after = replace(before, pages=pages)
        row = document_row(after, files)
        had = passage_count(self._ledger, document_id)
        again = SyncReport(times=run.result.times)
        self._writer.write([Pending(after, row)], 1, replace(run, result=again))
        if any(again.pages.values()):
            changes = _changes(before, after)
            run.result.recognised(row, changes, passages=again.chunks - had)


def with_recognised(ledger: Ledger, pending: Pending) -> Pending:
    """Return a document that was read again with what was recognised on its pages before."""
    kept = recognised_pages(ledger, pending.document.id)
    if not kept or pending.row is None:
        return pending
    pages = tuple(_merged(page, kept.get(page.number)) for page in pending.document.pages)
    document = replace(pending.document, pages=pages)
    return Pending(document, document_row(document, pending.row.files))


def _merged(page: Page, found: RecognisedPage | None) -> Page:
    if found is None or not waits(page.state, page.reason):
        return page
    if found.state == "ocr":
        return replace(page, state="ocr", reason=None, text=found.text, recipe="")
    if page.reason == "only_hidden":  # it is still what is to be said of the page
        return replace(page, reason="only_hidden:seen")
    state = "empty" if found.reason in _EMPTIED else page.state
    return replace(page, state=state, reason=found.reason)


def _changes(before: Document, after: Document) -> list[tuple[Page, Page]]:
    pairs = zip(before.pages, after.pages, strict=True)
    return [(old, new) for old, new in pairs if old != new]


def _unchanged(path: Path, file: FileRow) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (file.size, file.mtime_ns)


class _Meter:
    """How far recognition is, and how fast."""

    def __init__(self, run: Run, total: int) -> None:
        self._run = run
        self._total = total
        self._done = 0
        self._read = 0
        self._began = perf_counter()
        if total:
            run.report(Progress("ocr", 0, total, "pages"))

    def known(self, count: int) -> None:
        """Count pages that were read by an earlier run."""
        self._done += count

    def done(self, name: str) -> None:
        """Count a page."""
        self._done += 1
        self._read += 1
        self._run.report(Progress("ocr", self._done, self._total, "pages", name, self._speed()))

    def _speed(self) -> float:
        return self._read / max(perf_counter() - self._began, 1e-6)

    def remember(self, ledger: Ledger) -> None:
        """Keep the speed, for estimates."""
        if self._read:
            remember_speed(ledger, self._speed())
