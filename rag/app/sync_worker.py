"""The threads that keep the running app's library equal to its folder; nobody else writes.

One syncs when files change, when somebody asks, and now and then (network drives send no
events), and does the longer jobs that the command line and the screen file. Forgetting takes a
moment and must not wait for a sync of hours, so quick jobs have a thread of their own; it also
tells those who wait for any job that the app is alive, and how far.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchfiles import Change, watch

from rag.errors import RagError
from rag.text.messages import Text
from rag.types.documents import IndexVersion
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.indexing.library import Library, Ocr
    from rag.storage.jobs import Job, JobKind, Jobs


logger = logging.getLogger(__name__)
RESCAN_S = 30.0
_GROWING_S = 2.0
_CHANGES = ("added", "updated", "moved", "removed", "duplicate")
_POLL_S = 0.5
_BEAT_S = 1.0
_QUICK_POLL_S = 0.25
_WAIT_S = 5.0  # the screen gives up on an answer after eight


def only_pdfs(folder: Path) -> Callable[[Change, str], bool]:
    """Return a filter: PDFs and folders, and nothing that the app itself writes."""
    root = folder.resolve()

    def wanted(change: Change, path: str) -> bool:
        try:
            parts = Path(path).relative_to(root).parts
        except ValueError:
            return False
        if any(part.startswith(".") for part in parts):
            return False
        if path.lower().endswith(".pdf") or not Path(path).suffix:
            return True
        # a folder may have a dot in its name, and of one that is gone nothing else is known
        return change == Change.deleted or Path(path).is_dir()

    return wanted


@dataclass(frozen=True, slots=True)
class WorkerHooks:
    """What the worker asks of the app around it."""

    wanted: Callable[[IndexVersion], bool]  # is this index version what the settings ask for?
    prepare: Callable[[], None]  # before the first sync, e.g. open the vector index
    stale: Callable[[], Text | None]  # what a rebuild would mend
    give_way: Callable[[], None]  # between two batches: returns when no question runs
    report: Callable[[Path], dict[str, Any]]  # writes what the machine did into a folder
    ocr: bool = True  # recognise pages without text when there is nothing else to do


class SyncWorker:
    """Runs until ``stopping`` is set."""

    def __init__(
        self,
        library: Library,
        jobs: Jobs,
        folder: Path,
        *,
        hooks: WorkerHooks,
        stopping: threading.Event,
    ) -> None:
        self._library = library
        self._jobs = jobs
        self._folder = folder
        self._hooks = hooks
        self._stopping = stopping
        self._wake = threading.Event()
        self._wake_quick = threading.Event()
        self._asked = True  # the first sync
        self._synced = 0.0
        self._unread = hooks.ocr  # pages may wait for text recognition
        self._rescan_s = RESCAN_S
        self._unsettled: tuple[list[dict[str, str]], list[str]] = ([], [])
        self._looked = 0.0
        self.progress: Progress | None = None
        self.note: Text | None = None
        self.stale: Text | None = None
        self.revision = 0

    def sync_soon(self) -> None:
        """Ask for a sync."""
        self._asked = True
        self._wake.set()

    def wake(self) -> None:
        """Look at once whether it is time to stop."""
        self._wake.set()

    def watch(self) -> None:
        """Ask for a sync whenever a PDF in the folder changes."""
        try:
            folder = self._folder.resolve()
            for _ in watch(folder, watch_filter=only_pdfs(folder), stop_event=self._stopping):
                self.sync_soon()
        except (OSError, RuntimeError) as error:
            logger.warning("the folder cannot be watched (%s); it is scanned instead", error)

    def run(self) -> None:
        """Sync and do jobs until told to stop."""
        self._guarded(self._jobs.give_up)
        self._guarded(self._hooks.prepare)
        while not self._stopping.is_set():
            if self._due():
                self._asked = False
                self._guarded(self._sync)
                self._guarded(self._look_for_stale)
                self._synced = time.monotonic()
                self._unread = self._hooks.ocr
            self._guarded(self._do_jobs)
            if self._unread and not self._stopping.is_set():
                self._guarded(self._recognise)
                self._unread = self._busy()
                continue
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _look_for_stale(self) -> None:
        self.stale = self._hooks.stale()

    def _do_jobs(self) -> None:
        while not self._stopping.is_set():
            job = self._jobs.next_queued(quick=False)
            if job is None:
                return
            self._do(job)
            self._look_for_stale()

    def _due(self) -> bool:
        return self._asked or time.monotonic() - self._synced > self._rescan_s

    def _busy(self) -> bool:
        """Return whether something goes before text recognition, which takes long."""
        return self._due() or self._jobs.next_queued(quick=False) is not None

    def _recognise(self) -> None:
        stopped = self._stopping.is_set
        self._library.recognise(pause=self._busy, report=self._report, cancelled=stopped)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Whatever happens to one sync, the next one comes."""
        try:
            work()
        except RagError as error:
            self.note = error.text
        except Exception as error:  # the thread must outlive a bug in one sync
            logger.exception("sync failed")
            self.note = Text(
                f"Reading the folder failed: {error}. It will be tried again.",
                f"读取文件夹失败：{error}。稍后会自动重试。",
            )
        finally:
            self.progress = None

    def _sync(
        self, *, ocr: Ocr = "off", passwords: str | None = None, remember: bool = False
    ) -> dict[str, Any]:
        result = self._library.sync(
            report=self._report,
            cancelled=self._stopping.is_set,
            ocr=ocr,
            passwords=Path(passwords) if passwords else None,
            remember=remember,
        )
        self.note = None
        found = result.to_json()
        files = found["files"]
        unsettled = (files["failed"], found["waiting"])
        if unsettled != self._unsettled or any(files[kind] for kind in _CHANGES):
            self.revision += 1
        self._unsettled = unsettled
        self._rescan_s = _GROWING_S if found["waiting"] else RESCAN_S  # files that grow
        return found

    def _report(self, progress: Progress) -> None:
        if progress.stage == "write":
            self.revision += 1
        if progress.stage != "scan":
            self.progress = progress
        now = time.monotonic()
        if self._asked and now - self._looked > _BEAT_S:
            self._looked = now  # a long sync does not keep what was deleted meanwhile findable
            if self._library.drop_deleted():
                self.revision += 1
        self._hooks.give_way()

    def _do(self, job: Job) -> None:
        self._jobs.take(job.id)
        error = self._attempt(job, self._result)
        self.progress = None
        if error is not None:
            if job.argument.get("screen"):  # nobody else would be told
                self.note = error.text
        elif job.kind in {"rebuild", "rollback"}:
            self.note = None
            self._guarded(self._hooks.prepare)  # another version answers now: its index is opened

    def _attempt(self, job: Job, work: Callable[[Job], dict[str, Any]]) -> RagError | None:
        """Do a job and leave its result, or what went wrong; that is returned as well."""
        try:
            self._jobs.finish(job.id, work(job))
        except RagError as error:
            failure = error
        except Exception as error:  # the job must not stay "running" after a bug
            logger.exception("%s failed", job.kind)
            words = Text(f"{type(error).__name__}: {error}", f"{type(error).__name__}：{error}")
            hint = Text("The terminal of the app shows the details.", "应用的终端里有详细信息。")
            failure = RagError(words, hint=hint)
        else:
            return None
        finally:
            self.revision += 1
        self._jobs.fail(job.id, failure)
        return failure

    def _result(self, job: Job) -> dict[str, Any]:
        if job.kind == "sync":
            return self._sync(**job.argument)
        if job.kind == "rollback":
            back = {"space": self._library.rollback().embedder, "syncing": True}
            self.sync_soon()  # what came in since is not in that index
            return back
        return self._rebuild(everything=bool(job.argument.get("all")))

    def _rebuild(self, *, everything: bool) -> dict[str, Any]:
        """Rebuild; recognising text anew may take hours, so syncs that are due come in between."""
        stopped = self._stopping.is_set
        done = self._library.rebuild(
            everything=everything,
            wanted=self._hooks.wanted,
            pause=self._due,
            report=self._report,
            cancelled=stopped,
        )
        while self._due() and not stopped():
            self._asked = False
            self._sync()
            self._synced = time.monotonic()
            more = self._library.recognise(
                anew=True, pause=self._due, report=self._report, cancelled=stopped
            )
            done.take(more)
        return done.to_json()

    # -- quick jobs, whatever else is going on -----------------------------------------------

    def run_quick(self) -> None:
        """Do quick jobs until told to stop, and beat for those that are queued or done above."""
        beaten = 0.0
        while not self._stopping.is_set():
            try:
                while (job := self._jobs.next_queued(quick=True)) is not None:
                    self._attempt(job, self._quick_result)
                if time.monotonic() - beaten > _BEAT_S:
                    beaten = time.monotonic()
                    self._jobs.beat_all(self.progress)
            except RagError:  # a full disk; ``run``, which writes more, tells the person
                logger.exception("the ledger cannot be written")
            self._wake_quick.wait(_QUICK_POLL_S)
            self._wake_quick.clear()

    def _quick_result(self, job: Job) -> dict[str, Any]:
        path = str(job.argument.get("path", ""))
        if job.kind == "forget":
            return {"forgotten": self._library.forget(path)}
        if job.kind == "report":
            return self._hooks.report(Path(path))
        self._library.remember(path)
        self.sync_soon()
        return {"syncing": True}

    def ask(self, kind: JobKind, path: str) -> None:
        """File a quick job and wait for it; one that takes longer is done all the same.

        Raises:
            RagError: it failed.
        """
        job_id = self._jobs.file(kind, {"path": path})
        self._wake_quick.set()
        deadline = time.monotonic() + _WAIT_S
        while not (job := self._jobs.get(job_id)).ended:
            if time.monotonic() > deadline:
                return
            time.sleep(_QUICK_POLL_S / 10)
        job.outcome()
