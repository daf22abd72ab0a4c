"""Text recognition of the pages that wait for it, after everything else is searchable.

And, in a rebuild, of the pages that another version of it has read.

Pages without text are put where they stay; a kill costs one page. Pages that an older version
has read are put aside first: what it found, and where, stays in use until the document is
committed with the better text.

Each page is kept in the ledger as soon as it is read; a document is committed anew once all
its pages are done, or a good number of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING

from rag.errors import UnreadableDocument
from rag.indexing.incoming import Pending, ProgressMeter, document_row
from rag.indexing.indexer import IndexWriter, WriteContext
from rag.indexing.report import SyncReport
from rag.ingestion.ocr.page_text import plausible
from rag.ingestion.scan import real_path
from rag.protocols import Cancelled
from rag.storage.ocr_pages import (
    outdated_pages,
    pages_aside,
    passage_count,
    put_aside,
    put_recognised,
    recognised_pages,
    take_over,
    waiting_pages,
    waits,
)
from rag.storage.status import RECOGNISING, remember_speed
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


def _shown(page: Page, found: RecognisedPage | None, *, anew: bool = False) -> Page:
    """Return a page with what was recognised on it; ``anew``, also if it has text already."""
    if found is None or not (anew or waits(page.state, page.reason)):
        return page
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
    run: WriteContext
    pause: Cancelled
    anew: bool  # another version has read them before


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

    def run(
        self,
        run: WriteContext,
        *,
        pause: Cancelled,
        failed_too: bool = False,
        anew: bool = False,
    ) -> None:
        """Recognise what waits; ``anew``, what another version has read.

        The old text stays where it is better. ``run.cancelled`` stops within a page; ``pause``
        lets pages in work be finished first.
        """
        if anew:
            pages = outdated_pages(self._ledger, engine=ocr_name())
        else:
            pages = waiting_pages(self._ledger, failed_too=failed_too)
        total = sum(map(len, pages.values()))
        meter = ProgressMeter(run.report, total, "pages")
        if total:
            run.report(Progress("ocr", 0, total, "pages"))
        for document_id, numbers in pages.items():
            if run.cancelled() or pause():
                break
            work = _Work(document_id, self._files(document_id), run, pause, anew)
            if work.files:  # else it was forgotten meanwhile
                self._document(work, numbers, meter)
        if meter.pages:
            remember_speed(self._ledger, RECOGNISING, meter.speed())

    def _files(self, document_id: str) -> list[FileRow]:
        return [row for row in self._ledger.files().values() if row.document_id == document_id]

    def _document(self, work: _Work, pages: Sequence[int], meter: ProgressMeter) -> None:
        kept = self._found_before(work)
        found = {n: kept[n] for n in pages if n in kept}
        todo = [n for n in pages if n not in found]
        for _ in found:
            meter.add(0)
        for page in self._recognised(work, todo, meter):
            if self._keep(work, page):
                found[page.number] = page
            if len(found) >= SLICE:
                self._commit(work, found)
                found = {}
        if found and (set(todo) <= set(found) or not (work.run.cancelled() or work.pause())):
            self._commit(work, found)

    def _found_before(self, work: _Work) -> dict[int, RecognisedPage]:
        """Return what an earlier run found and the document does not show yet."""
        if work.anew:
            return pages_aside(self._ledger, work.document_id, engine=ocr_name())
        kept = recognised_pages(self._ledger, work.document_id)
        return {number: page for number, page in kept.items() if page.reason != "ocr_failed"}

    def _keep(self, work: _Work, page: RecognisedPage) -> bool:
        """Keep what was found; say whether the document is to show it."""
        if not work.anew:
            put_recognised(self._ledger, work.document_id, page)
            return True
        before = recognised_pages(self._ledger, work.document_id).get(page.number)
        better = before is None or no_worse(page, before)
        named = replace(page, engine=ocr_name())
        put_aside(self._ledger, work.document_id, named, better=better)
        return better

    def _recognised(
        self, work: _Work, pages: Sequence[int], meter: ProgressMeter
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
                meter.add(1)
                meter.tell("ocr", PurePosixPath(file.path).name)  # here a question goes first
        except (CancelledError, UnreadableDocument):
            return  # the pages go on waiting
        finally:
            for job in sent:
                job.cancel()

    def _commit(self, work: _Work, found: dict[int, RecognisedPage]) -> None:
        before = self._ledger.load_document(work.document_id)
        if before is None:
            return
        pages = tuple(_shown(page, found.get(page.number), anew=work.anew) for page in before.pages)
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
        if work.anew:
            take_over(self._ledger, work.document_id, found)


def with_recognised(ledger: Ledger, pending: Pending) -> Pending:
    """Return a document that was read again with what was recognised on its pages before."""
    kept = recognised_pages(ledger, pending.document.id)
    if not kept or pending.row is None:
        return pending
    pages = tuple(_shown(page, kept.get(page.number)) for page in pending.document.pages)
    document = replace(pending.document, pages=pages)
    return Pending(document, document_row(document, pending.row.files))


def _unchanged(path: Path, file: FileRow) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (file.size, file.mtime_ns)
