"""The use cases on a person's documents: sync, rebuild, roll back, forget.

Written for one owner process. Engines come in as functions, so that a sync that finds
nothing to do loads no model, no reader and no index.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import TYPE_CHECKING

from rag.errors import ConfigError, StoreError, UnknownDocument
from rag.incoming import Meter, Report, file_row, to_pending
from rag.indexer import Indexer, Pending, SpaceEngines, StageTimes
from rag.ingest.folder import FoundFile, content_id, scan
from rag.ingest.plan import Plan, make_plan
from rag.report import SyncReport
from rag.store.rows import FileRow
from rag.types import Progress, Space
from rag.words import Text

if TYPE_CHECKING:
    from rag.ingest.pool import Reading, WorkerPool
    from rag.protocols import VectorIndex
    from rag.store.ledger import Ledger

Cancelled = Callable[[], bool]


def quiet(progress: Progress) -> None:
    """Tell nobody."""


def never() -> bool:
    """Do not cancel."""
    return False


class Library:
    """Makes the ledger equal to the folder, and a new space out of an old one."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        *,
        engines: Callable[[Space | None], SpaceEngines],
        pool: Callable[[], WorkerPool],
        index: Callable[[], VectorIndex] | None,
    ) -> None:
        """``engines(space)`` loads what the space names; ``None`` makes the first space."""
        self._folder = folder
        self._ledger = ledger
        self._engines = engines
        self._pool = pool
        self._index = index

    # -- sync ------------------------------------------------------------------------------

    def sync(self, *, report: Report = quiet, cancelled: Cancelled = never) -> SyncReport:
        """Make the index equal to the folder. One bad file never stops the rest.

        Raises:
            ConfigError: the folder does not exist.
        """
        began = perf_counter()
        self._check_folder()
        report(Progress("scan"))
        result = SyncReport(times=StageTimes())
        found = scan(self._folder)
        plan = make_plan(
            found,
            self._ledger.files(),
            forgotten=self._ledger.forgotten(),
            content_id=content_id,
        )
        result.times.read_s = perf_counter() - began
        result.count(plan)
        self._apply_paths(plan)
        self._drop_removed(plan)  # before the reading: what is deleted is findable nowhere
        self._read_new(plan, result, report, cancelled)
        self._complete_space(result, report, cancelled)
        return result.finish(self._ledger, seconds=perf_counter() - began)

    def _check_folder(self) -> None:
        if not self._folder.is_dir():
            raise ConfigError(
                Text(f"There is no folder {self._folder}.", f"文件夹 {self._folder} 不存在。"),
                hint=Text(
                    "Create it, or name another with --knowledge.",
                    "请创建它，或用 --knowledge 指定其他文件夹。",
                ),
            )

    def _apply_paths(self, plan: Plan) -> None:
        """Write what costs no reading: moves, second names, new time stamps."""
        rows = [file_row(file, plan.ids[file.path]) for file in (*plan.moved, *plan.touched)]
        known = self._ledger.document_ids()
        rows += [file_row(f, plan.ids[f.path]) for f in plan.duplicate if plan.ids[f.path] in known]
        rows += [FileRow(f.path, f.size, f.mtime_ns, None, "forgotten") for f in plan.forgotten]
        rows += [FileRow(f.path, f.size, f.mtime_ns, None, "unreadable") for f in plan.unreadable]
        if rows:
            self._unindex(self._ledger.put_files(rows))

    def _drop_removed(self, plan: Plan) -> None:
        gone = [path for path in plan.removed if path in self._ledger.files()]
        if gone:
            self._unindex(self._ledger.remove_files(gone))

    def _unindex(self, chunk_ids: Collection[int]) -> None:
        if chunk_ids and self._index is not None:
            self._index().delete(chunk_ids)

    def _read_new(
        self, plan: Plan, result: SyncReport, report: Report, cancelled: Cancelled
    ) -> None:
        known = self._ledger.document_ids()
        names: dict[str, list[FoundFile]] = {}
        for file in (*plan.updated, *plan.added, *plan.duplicate):
            names.setdefault(plan.ids[file.path], []).append(file)
        ready = [file_row(f, i) for i, files in names.items() if i in known for f in files]
        if ready:
            self._unindex(self._ledger.put_files(ready))
        new = {identity: files for identity, files in names.items() if identity not in known}
        if new:
            self._index_documents(self._reading(new, result), len(new), result, report, cancelled)

    def _reading(self, new: dict[str, list[FoundFile]], result: SyncReport) -> Iterator[Pending]:
        """Read ahead in the workers, and yield documents in the order of their paths."""
        pool = self._pool()
        waiting: deque[tuple[str, Reading]] = deque()
        queue = deque(new)
        try:
            while queue or waiting:
                while queue and len(waiting) < pool.ahead:
                    identity = queue.popleft()
                    path = new[identity][0].real
                    waiting.append((identity, pool.read(path, document_id=identity)))
                identity, reading = waiting.popleft()
                began = perf_counter()
                pending = to_pending(identity, reading, new[identity])
                result.times.parse_s += perf_counter() - began
                yield pending
        finally:
            for _, reading in waiting:
                reading.cancel()

    def _index_documents(
        self,
        documents: Iterable[Pending],
        total: int,
        result: SyncReport,
        report: Report,
        cancelled: Cancelled,
    ) -> None:
        engines = self._engines(self._ledger.active_space())
        if self._ledger.active_space() is None:
            self._ledger.activate(engines.space)
        indexer = Indexer(self._ledger, engines, index=self._index, times=result.times)
        meter = Meter(report, total)
        for pending, passages in indexer.run(
            documents, embedded=meter.embedded, cancelled=cancelled
        ):
            result.add(pending, passages)
            meter.committed(pending)

    def _complete_space(self, result: SyncReport, report: Report, cancelled: Cancelled) -> None:
        """Index what the ledger has read but the active space lacks."""
        space = self._ledger.active_space()
        if space is None:
            return
        missing = sorted(self._ledger.document_ids() - self._ledger.complete_documents(space))
        if missing:
            documents = self._from_ledger(missing)
            self._index_documents(documents, len(missing), result, report, cancelled)

    def _from_ledger(self, document_ids: Sequence[str]) -> Iterator[Pending]:
        for document_id in document_ids:
            document = self._ledger.load_document(document_id)
            if document is not None:
                yield Pending(document, None)

    # -- rebuild ---------------------------------------------------------------------------

    def rebuild(
        self,
        *,
        everything: bool = False,
        wanted: Callable[[Space], bool],
        report: Report = quiet,
        cancelled: Cancelled = never,
    ) -> SyncReport:
        """Index all documents into a new space beside the live one, check it, then swap.

        ``wanted(space)`` tells whether a space is what the settings ask for. If the active
        one is, and not ``everything`` is to be done again, this is a sync. A rebuild that was
        interrupted goes on where it stopped.
        """
        result = self.sync(report=report, cancelled=cancelled)
        active = self._ledger.active_space()
        if active is None or (wanted(active) and not everything):
            return result
        began = perf_counter()
        engines = self._engines_beside(active, wanted)
        missing = sorted(
            self._ledger.document_ids() - self._ledger.complete_documents(engines.space)
        )
        indexer = Indexer(self._ledger, engines, index=None, times=result.times)
        meter = Meter(report, len(missing))
        for pending, passages in indexer.run(
            self._from_ledger(missing), embedded=meter.embedded, cancelled=cancelled
        ):
            result.chunks += passages
            meter.committed(pending)
        if not cancelled():
            report(Progress("check"))
            self._swap(engines.space, active)
        return result.finish(self._ledger, seconds=result.seconds + perf_counter() - began)

    def _engines_beside(self, active: Space, wanted: Callable[[Space], bool]) -> SpaceEngines:
        """Go on with a space that an interrupted rebuild left, or begin a new one."""
        for space in self._ledger.spaces().values():
            if space.id > active.id and wanted(space):
                return self._engines(space)
        return self._engines(None)

    def _swap(self, space: Space, active: Space) -> None:
        from rag.store.status import broken_invariants

        if broken := broken_invariants(self._ledger):
            raise StoreError(
                Text(
                    f"The new index failed its check: {broken[0]}.",
                    f"新索引未通过检查：{broken[0]}。",
                ),
                hint=Text(
                    "The old index goes on answering. Run `rag doctor`.",
                    "旧索引继续提供服务。请运行 `rag doctor`。",
                ),
            )
        self._ledger.activate(space)
        for other in self._ledger.spaces().values():
            if other.id not in {space.id, active.id}:
                self._ledger.drop_space(other)

    def rollback(self) -> Space:
        """Let the space before the last rebuild answer again.

        Raises:
            ConfigError: there is none.
        """
        previous = self._ledger.meta("previous_space")
        space = self._ledger.spaces().get(int(previous)) if previous else None
        if space is None:
            raise ConfigError(
                Text("There is no earlier index to go back to.", "没有可以回退的旧索引。"),
                hint=Text(
                    "One is kept after each `rag rebuild`.", "每次 `rag rebuild` 后会保留一个。"
                ),
            )
        self._ledger.activate(space)
        return space

    # -- forget ----------------------------------------------------------------------------

    def forget(self, path: str) -> str:
        """Remove a document from everything the app derived; the file stays. Return its id.

        Raises:
            UnknownDocument: no document has this path or name.
        """
        document_id = self._find(path)
        self._unindex(self._ledger.forget(document_id))
        return document_id

    def remember(self) -> None:
        """Let all forgotten documents in again at the next sync."""
        self._ledger.remember(self._ledger.forgotten())
        rows = [row for row in self._ledger.files().values() if row.reason == "forgotten"]
        self._ledger.remove_files([row.path for row in rows])

    def _find(self, path: str) -> str:
        wanted = PurePosixPath(path.replace("\\", "/"))
        for row in self._ledger.files().values():
            same = row.path == str(wanted) or PurePosixPath(row.path).name == wanted.name
            if same and row.document_id is not None:
                return row.document_id
        raise UnknownDocument(
            Text(f"The library has no document {path}.", f"资料库中没有文档 {path}。"),
            hint=Text("`rag status` lists all documents.", "`rag status` 可列出所有文档。"),
        )
