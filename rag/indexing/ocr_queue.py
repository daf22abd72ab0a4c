"""Text recognition of the pages that wait for it, after everything else is searchable.

Pages without text are put where they stay; a kill costs one page. Pages that an older version
has read are put aside first: what it found, and where, stays in use until the document is
committed with the better text.

And, in a rebuild, of the pages that another version of it has read.

Each page is kept in the ledger as soon as it is read; a document is committed anew once all
its pages are done, or a good number of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from rag.errors import UnreadableDocument
from rag.indexing.assembly_line import Pending
from rag.indexing.incoming import document_row
from rag.indexing.report import SyncReport
from rag.indexing.writer import IndexWriter, WriteContext
from rag.ingestion.ocr.page_text import plausible
from rag.ingestion.scan import real_path
from rag.protocols import Cancelled
from rag.storage import ocr_pages
from rag.storage.ocr_pages import (
    outdated_pages,
    passage_count,
    recognised_pages,
    remember_speed,
    waiting_pages,
)
from rag.types.documents import Page
from rag.types.index_version import ocr_name
from rag.types.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rag.ingestion.workers.pool import WorkerPool
    from rag.ingestion.workers.process import WorkerJob
    from rag.storage.ledger import FileRow, Ledger
    from rag.types.recognised_text import RecognisedPage


LEAST_SHARE = 0.5
"""Of the letters that were found before; a version that finds fewer has failed on the page."""
_EMPTIED = frozenset({"blank", "picture"})


class RecognisedPages(Protocol):
    """Where recognised pages lie."""

    def found(self, document_id: str) -> dict[int, RecognisedPage]:
        """Return what an earlier run found and the document does not show yet."""
        ...

    def keep(self, document_id: str, page: RecognisedPage) -> bool:
        """Keep what was found; say whether the document is to show it."""
        ...

    def show(self, page: Page, found: RecognisedPage | None) -> Page:
        """Return the page with what was found on it."""
        ...

    def settle(self, document_id: str, numbers: Collection[int]) -> None:
        """Hear that the document shows what was found on these pages."""
        ...


class WaitingPages:
    """For pages without usable text."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def found(self, document_id: str) -> dict[int, RecognisedPage]:
        kept = ocr_pages.recognised_pages(self._ledger, document_id)
        return {number: page for number, page in kept.items() if page.reason != "ocr_failed"}

    def keep(self, document_id: str, page: RecognisedPage) -> bool:
        ocr_pages.put_recognised(self._ledger, document_id, page)
        return True

    def show(self, page: Page, found: RecognisedPage | None) -> Page:
        return shown(page, found)

    def settle(self, document_id: str, numbers: Collection[int]) -> None:
        """They lie where they stay already."""


class OutdatedPages:
    """For pages that another version of text recognition has read."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def found(self, document_id: str) -> dict[int, RecognisedPage]:
        return ocr_pages.pages_aside(self._ledger, document_id, engine=ocr_name())

    def keep(self, document_id: str, page: RecognisedPage) -> bool:
        before = ocr_pages.recognised_pages(self._ledger, document_id).get(page.number)
        better = before is None or no_worse(page, before)
        named = replace(page, engine=ocr_name())
        ocr_pages.put_aside(self._ledger, document_id, named, better=better)
        return better

    def show(self, page: Page, found: RecognisedPage | None) -> Page:
        return page if found is None else _changed(page, found)

    def settle(self, document_id: str, numbers: Collection[int]) -> None:
        ocr_pages.take_over(self._ledger, document_id, numbers)


def shown(page: Page, found: RecognisedPage | None) -> Page:
    """Return a page that was read anew with what was recognised on it before."""
    if found is None or not ocr_pages.waits(page.state, page.reason):
        return page
    return _changed(page, found)


def _changed(page: Page, found: RecognisedPage) -> Page:
    if found.state == "ocr":
        return replace(page, state="ocr", reason=None, text=found.text, recipe="")
    if (page.reason or "").startswith("only_hidden"):  # it is still what is to be said of it
        return replace(page, reason="only_hidden:seen")
    state = "empty" if found.reason in _EMPTIED else page.state
    return replace(page, state=state, reason=found.reason)


def no_worse(new: RecognisedPage, old: RecognisedPage) -> bool:
    """Tell whether a newer version's page may take the place of an older one's."""
    if new.reason == "ocr_failed":
        return False
    if old.state != "ocr":
        return True
    return new.state == "ocr" and plausible(new.text) >= LEAST_SHARE * plausible(old.text)


SLICE = 32
"""Pages of one document recognised before it is committed again: 32 take minutes to read and
seconds to index."""
_Sent = deque["WorkerJob[RecognisedPage]"]


@dataclass(frozen=True, slots=True)
class _Work:
    """One document whose pages are recognised."""

    document_id: str
    files: Sequence[FileRow]
    shelf: RecognisedPages
    run: WriteContext
    pause: Cancelled


class OcrQueue:
    """Goes through the waiting pages once."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        writer: IndexWriter,
        pool: Callable[[], WorkerPool],
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._writer = writer
        self._pool = pool

    def run(self, run: WriteContext, *, pause: Cancelled, failed_too: bool = False) -> None:
        """Recognise what waits.

        ``run.cancelled`` stops within a page; ``pause`` lets pages in work be finished first.
        """
        waiting = waiting_pages(self._ledger, failed_too=failed_too)
        self._all(waiting, WaitingPages(self._ledger), run, pause)

    def renew(self, run: WriteContext, *, pause: Cancelled) -> None:
        """Recognise anew what another version has read; the old text stays where it is better.

        Stops as ``run`` does.
        """
        outdated = outdated_pages(self._ledger, engine=ocr_name())
        self._all(outdated, OutdatedPages(self._ledger), run, pause)

    def _all(
        self,
        pages: dict[str, list[int]],
        shelf: RecognisedPages,
        run: WriteContext,
        pause: Cancelled,
    ) -> None:
        meter = _Meter(run, sum(map(len, pages.values())))
        for document_id, numbers in pages.items():
            if run.cancelled() or pause():
                break
            work = _Work(document_id, self._files(document_id), shelf, run, pause)
            if work.files:  # else it was forgotten meanwhile
                self._document(work, numbers, meter)
        meter.remember(self._ledger)

    def _files(self, document_id: str) -> list[FileRow]:
        return [row for row in self._ledger.files().values() if row.document_id == document_id]

    def _document(self, work: _Work, pages: Sequence[int], meter: _Meter) -> None:
        kept = work.shelf.found(work.document_id)
        found = {n: kept[n] for n in pages if n in kept}
        todo = [n for n in pages if n not in found]
        meter.known(len(found))
        for page in self._recognised(work, todo, meter):
            if work.shelf.keep(work.document_id, page):
                found[page.number] = page
            if len(found) >= SLICE:
                self._commit(work, found)
                found = {}
        if found and (set(todo) <= set(found) or not (work.run.cancelled() or work.pause())):
            self._commit(work, found)

    def _recognised(
        self, work: _Work, pages: Sequence[int], meter: _Meter
    ) -> Iterator[RecognisedPage]:
        """Yield pages as they are read, a few ahead of each other."""
        file, run, pause = work.files[0], work.run, work.pause
        pool, path = self._pool(), real_path(self._folder, file.path)
        queue, sent = deque(pages), _Sent()
        try:
            while queue or sent:
                while queue and len(sent) < pool.recognisers and not pause():
                    if not _unchanged(path, file):
                        return  # the next sync reads it anew
                    sent.append(pool.recognise(path, page=queue.popleft()))
                if not sent:
                    return
                began = perf_counter()
                page = sent.popleft().result(cancelled=run.cancelled)
                run.result.times.ocr_s += perf_counter() - began
                if not _unchanged(path, file):
                    return
                yield page
                meter.done(PurePosixPath(file.path).name)  # here a question goes first
        except (CancelledError, UnreadableDocument):
            return  # the pages go on waiting
        finally:
            for job in sent:
                job.cancel()

    def _commit(self, work: _Work, found: dict[int, RecognisedPage]) -> None:
        before = self._ledger.load_document(work.document_id)
        if before is None:
            return
        pages = tuple(work.shelf.show(page, found.get(page.number)) for page in before.pages)
        after = replace(before, pages=pages)
        row = document_row(after, work.files)
        changes = [
            (old, new) for old, new in zip(before.pages, pages, strict=True) if old.number in found
        ]
        had = passage_count(self._ledger, work.document_id)
        again = SyncReport(times=work.run.result.times)
        if after != before:
            self._writer.write([Pending(after, row)], 1, replace(work.run, result=again))
            if not any(again.pages.values()):
                return  # it was cancelled
            again.chunks -= had
        work.run.result.recognised(row, changes, passages=again.chunks)
        work.shelf.settle(work.document_id, found)


def with_recognised(ledger: Ledger, pending: Pending) -> Pending:
    """Return a document that was read again with what was recognised on its pages before."""
    kept = recognised_pages(ledger, pending.document.id)
    if not kept or pending.row is None:
        return pending
    pages = tuple(shown(page, kept.get(page.number)) for page in pending.document.pages)
    document = replace(pending.document, pages=pages)
    return Pending(document, document_row(document, pending.row.files))


def _unchanged(path: Path, file: FileRow) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (file.size, file.mtime_ns)


class _Meter:
    """How far recognition is, and how fast."""

    def __init__(self, run: WriteContext, total: int) -> None:
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
