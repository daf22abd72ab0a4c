"""The use cases on a person's documents: sync, rebuild, roll back, forget.

Written for one owner process. Engines come in as functions, so that a sync that finds
nothing to do loads no model, no reader and no index.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from rag.errors import ConfigError
from rag.indexing.incoming import (
    IndexEngines,
    Pending,
    Report,
    StageTimes,
    changed_meanwhile,
    check_folder,
    file_row,
    path_rows,
    quiet,
    read_differently,
    to_pending,
)
from rag.indexing.indexer import IndexWriter, WriteContext
from rag.indexing.ocr_queue import OcrQueue, with_recognised
from rag.indexing.removal import Unlocking, find_document, let_in
from rag.indexing.report import SyncReport
from rag.indexing.sync_plan import SyncPlan, make_plan, same_stat, surely_deleted
from rag.ingestion.scan import FoundFile, look_again, scan
from rag.protocols import Cancelled, never
from rag.storage.anchors import keep_anchors
from rag.storage.ledger import FileRow
from rag.storage.status import READING, remember_speed
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.index_version import reader_name
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.ingestion.workers.pool import WorkerPool
    from rag.ingestion.workers.process import WorkerJob
    from rag.protocols import VectorIndex
    from rag.storage.ledger import Ledger
    from rag.types.documents import Document


SETTLE_S = 0.5
"""Between two looks at a file that may still be growing."""
_ENOUGH_S = 2.0  # a shorter run says little about the speed of the machine

Ocr = Literal["off", "auto", "again"]


class Library:
    """Makes the ledger equal to the folder, and a new index version out of an old one."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        *,
        engines: Callable[[IndexVersion | None], IndexEngines],
        pool: Callable[[], WorkerPool],
        index: Callable[[], VectorIndex] | None,
        calibrate: Callable[[Report, Cancelled], None] = lambda *_: None,
    ) -> None:
        """``engines(None)`` makes the first index version; ``calibrate`` asks the live one."""
        self._folder = folder
        self._ledger = ledger
        self._writer = IndexWriter(ledger, engines, index)
        self._pool = pool
        self.unlocking = Unlocking(ledger, pool)
        self._recognition = OcrQueue(folder, ledger, self._writer, pool)
        self._index = index
        self._calibrate = calibrate

    # -- sync ------------------------------------------------------------------------------

    def sync(
        self,
        *,
        report: Report = quiet,
        cancelled: Cancelled = never,
        ocr: Ocr = "off",
        passwords: Path | None = None,
        remember: bool = False,
    ) -> SyncReport:
        """Make the index equal to the folder. One bad file never stops the rest.

        ``ocr`` reads pages without usable text as well, once everything else is searchable;
        "again" includes those that failed before. ``passwords`` is a file of them;
        ``remember`` keeps those that fit in the system's keyring.

        Raises:
            ConfigError: the folder does not exist, or the passwords cannot be read or kept.
        """
        began = perf_counter()
        run = WriteContext(SyncReport(times=StageTimes()), report, cancelled)
        if passwords is not None:
            self.unlocking.take_in(passwords)
        self._sync(run)
        self._calibrate(run.report, run.cancelled)
        if remember:
            self.unlocking.keep_all(self._folder)
        if ocr != "off":
            self._recognition.run(run, pause=never, failed_too=ocr == "again")
            self._calibrate(run.report, run.cancelled)
        keep_anchors(self._ledger)
        return run.result.finish(self._ledger, seconds=perf_counter() - began)

    def recognise(
        self,
        *,
        pause: Cancelled,
        anew: bool = False,
        report: Report = quiet,
        cancelled: Cancelled = never,
    ) -> SyncReport:
        """Read pages that wait for text recognition until none is left or ``pause()``.

        With ``anew`` those that another version has read, as a rebuild does.
        """
        began = perf_counter()
        run = WriteContext(SyncReport(times=StageTimes()), report, cancelled)
        self._recognition.run(run, pause=pause, anew=anew)
        self._calibrate(run.report, run.cancelled)
        keep_anchors(self._ledger)
        return run.result.finish(self._ledger, seconds=perf_counter() - began)

    def _sync(self, run: WriteContext, *, spare: IndexEngines | None = None) -> None:
        """Sync into the live index version, or into ``spare`` if its embedder is not to be had."""
        check_folder(self._folder)
        run.report(Progress("scan"))
        began = perf_counter()
        found = scan(self._folder)
        growing = self._bring_in(found, self._ledger.files(), run, spare)
        if growing and not run.cancelled():
            time.sleep(max(0.0, SETTLE_S - (perf_counter() - began)))
            again = [now for file in growing if (now := look_again(file)) is not None]
            known = self._ledger.files()
            paths = {file.path for file in growing}
            known = {path: row for path, row in known.items() if path in paths}
            self._bring_in(again, known, run, spare)
        self._writer.complete_live(run, spare=spare)
        if new := self._ledger.unsketched():
            from rag.storage.near_duplicates import refresh  # numpy: not for an unchanged sync

            refresh(self._ledger, new)

    def _bring_in(
        self,
        found: Sequence[FoundFile],
        known: dict[str, FileRow],
        run: WriteContext,
        spare: IndexEngines | None,
    ) -> list[FoundFile]:
        """Make what the ledger has under these paths equal to the files. Return who still grows."""
        began = perf_counter()
        plan = make_plan(found, known, forgotten=self._ledger.forgotten())
        run.result.times.read_s += perf_counter() - began
        run.result.count(plan)
        if rows := path_rows(plan, self._ledger):
            self._unindex(self._ledger.put_files(rows))
        if plan.removed:  # before the reading: what is deleted is findable nowhere
            self._unindex(self._ledger.remove_files(plan.removed))
        self._read_new(plan, run, spare)
        return plan.growing

    def drop_deleted(self) -> bool:
        """Forget at once what was deleted; for the middle of a long sync. Say if anything was."""
        known = self._ledger.files()
        gone = surely_deleted(scan(self._folder), known)
        if gone:
            self._unindex(self._ledger.remove_files(gone))
        return bool(gone)

    def _unindex(self, chunk_ids: Collection[int]) -> None:
        if chunk_ids and self._index is not None:
            self._index().delete(chunk_ids)

    def _read_new(self, plan: SyncPlan, run: WriteContext, spare: IndexEngines | None) -> None:
        known = self._ledger.document_ids()
        names: dict[str, list[FoundFile]] = {}
        for file in (*plan.updated, *plan.added, *plan.duplicate):
            names.setdefault(plan.ids[file.path], []).append(file)
        ready = [file_row(f, i) for i, files in names.items() if i in known for f in files]
        if ready:
            self._unindex(self._ledger.put_files(ready))
        new = {identity: files for identity, files in names.items() if identity not in known}
        new |= self.unlocking.locked(plan.unchanged)
        if new:
            began = perf_counter()
            documents = self._reading(new, run)
            self._writer.write(documents, len(new), run, spare=spare)
            seconds, pages = perf_counter() - began, sum(run.result.pages.values())
            if seconds >= _ENOUGH_S and pages:
                remember_speed(self._ledger, READING, pages / seconds)

    def _reading(
        self, new: Mapping[str, Sequence[FoundFile]], run: WriteContext
    ) -> Iterator[Pending]:
        """Yield documents as they are read, save those that changed meanwhile.

        The workers read a few ahead of the one that is wanted next.
        """
        pool, queue = self._pool(), deque(new)
        ahead: deque[tuple[str, WorkerJob[Document]]] = deque()
        try:
            while queue or ahead:
                while queue and len(ahead) < pool.ahead:
                    identity = queue.popleft()
                    path = new[identity][0].real
                    ahead.append((identity, pool.read(path, document_id=identity)))
                identity, reading = ahead.popleft()
                began = perf_counter()
                pending = to_pending(identity, reading, new[identity], cancelled=run.cancelled)
                run.result.times.parse_s += perf_counter() - began
                if changed := changed_meanwhile(new[identity]):
                    self._wait_for(changed, run.result)
                else:
                    yield with_recognised(self._ledger, pending)
        except CancelledError:
            return
        finally:
            for _, reading in ahead:
                reading.cancel()

    def _wait_for(self, files: Sequence[FoundFile], result: SyncReport) -> None:
        """Leave files alone that were written to while they were read; the next look decides."""
        plan = SyncPlan(growing=list(files))
        self._unindex(self._ledger.put_files(path_rows(plan, self._ledger)))
        result.waiting += [file.path for file in files]

    # -- rebuild ---------------------------------------------------------------------------

    def rebuild(
        self,
        *,
        everything: bool = False,
        wanted: Callable[[IndexVersion], bool],
        pause: Cancelled = never,
        report: Report = quiet,
        cancelled: Cancelled = never,
    ) -> SyncReport:
        """Mend what is stale; first of all the folder is looked at as in a sync.

        ``wanted(version)`` tells whether an index version is what the settings ask for. If the
        active one is not, or ``everything`` is to be done again, all documents are indexed into
        a new one beside it, which is checked and swapped in. Then documents that
        another version of the reader has read are read again, each in one transaction. Last,
        as it takes longest, text is recognised anew where another version has recognised it;
        ``pause`` ends that between two pages. What was interrupted goes on where it stopped.
        """
        from rag.indexing.rebuild import engines_beside, swap

        began = perf_counter()
        run = WriteContext(SyncReport(times=StageTimes()), report, cancelled)
        active = self._ledger.active_version()
        beside = None
        if active is not None and (everything or not wanted(active)):
            report(Progress("load"))  # which may take longer than a person waits for a sign
            beside = engines_beside(
                self._ledger, self._writer.engines, wanted=wanted, everything=everything
            )
        self._sync(run, spare=beside)
        if active is not None and beside is not None:
            self._writer.complete(beside, run, anew=everything)
            if not cancelled():
                report(Progress("check"))
                swap(self._ledger, beside, before=active)
        if not cancelled():
            self._read_again(run)
            self._calibrate(run.report, run.cancelled)
            self._recognition.run(run, pause=pause, anew=True)
        keep_anchors(self._ledger)
        return run.result.finish(self._ledger, seconds=perf_counter() - began)

    def _read_again(self, run: WriteContext) -> None:
        """Read again what another version of the reader read, and what failed by chance."""
        stale = self._ledger.read_by_others(reader_name()) | self._ledger.failed_by_chance()
        known = self._ledger.files()
        files: dict[str, list[FoundFile]] = {}
        for file in scan(self._folder) if stale else ():
            row = known.get(file.path)
            if row is not None and row.document_id in stale and same_stat(file, row):
                files.setdefault(row.document_id, []).append(file)
        if files:
            total = len(files)
            read = self._reading(files, run)
            self._writer.write(read_differently(self._ledger, read, total, run.report), total, run)

    def rollback(self) -> IndexVersion:
        """Let the index version before the last rebuild answer again.

        Raises:
            ConfigError: there is none.
            IndexMismatch: it was made with another version of its embedder than is here.
            ModelError: its embedder cannot be loaded.
        """
        version = self._ledger.previous_version()
        if version is None:
            raise ConfigError(
                Text("There is no earlier index to go back to.", "没有可以回退的旧索引。"),
                hint=Text(
                    "One is kept after each `rag rebuild`.", "每次 `rag rebuild` 后会保留一个。"
                ),
            )
        self._writer.engines(version)  # an index that cannot be asked is no place to go to
        self._ledger.activate(version)
        return version

    # -- forget ----------------------------------------------------------------------------

    def forget(self, document: str) -> str:
        """Remove a document from everything the app derived; the file stays. Return its id.

        Raises:
            UnknownDocument: no document has this id, path or name.
        """
        document_id = find_document(self._ledger, document)
        self._unindex(self._ledger.forget(document_id))
        return document_id

    def remember(self, path: str = "") -> None:
        """Let a forgotten document in again at the next sync; without a path, all of them.

        Raises:
            UnknownDocument: no forgotten document has this path or name.
        """
        let_in(self._ledger, self._folder, path)
