"""Jobs as the app does them: the small ones at once, whatever else is going on.

Forgetting takes a moment and must not wait for a sync of hours, so it has a thread of its
own; the same thread tells those who wait for any job that the app is alive, and how far.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import RagError
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.indexing.library import Library
    from rag.storage.jobs import Job, JobKind, Jobs
    from rag.types.progress import Progress


logger = logging.getLogger(__name__)
_POLL_S = 0.25
_BEAT_S = 1.0
_WAIT_S = 5.0  # the screen gives up on an answer after eight


def attempt(jobs: Jobs, job: Job, work: Callable[[], dict[str, Any]]) -> RagError | None:
    """Do a job and leave its result, or what went wrong; that is returned as well."""
    try:
        jobs.finish(job.id, work())
    except RagError as error:
        return _failed(jobs, job, error)
    except Exception as error:  # the job must not stay "running" after a bug
        logger.exception("%s failed", job.kind)
        words = Text(f"{type(error).__name__}: {error}", f"{type(error).__name__}：{error}")
        hint = Text("The terminal of the app shows the details.", "应用的终端里有详细信息。")
        return _failed(jobs, job, RagError(words, hint=hint))
    return None


def _failed(jobs: Jobs, job: Job, error: RagError) -> RagError:
    jobs.fail(
        job.id,
        {
            "en": error.message.en,
            "zh": error.message.zh,
            "hint_en": error.hint.en,
            "hint_zh": error.hint.zh,
        },
    )
    return error


class Tasks:
    """Does what is quick until ``stopping`` is set."""

    def __init__(
        self,
        library: Library,
        jobs: Jobs,
        *,
        progress: Callable[[], Progress | None],
        report: Callable[[Path], dict[str, Any]],
        done: Callable[[Job], None],
        stopping: threading.Event,
    ) -> None:
        """``progress`` is what those who wait are shown; ``done`` hears of each job.

        ``report`` writes what the machine did into a folder.
        """
        self._library = library
        self._jobs = jobs
        self._progress = progress
        self._report = report
        self._done = done
        self._stopping = stopping
        self._wake = threading.Event()

    def run(self) -> None:
        """Look for jobs, and beat for those that are queued or done elsewhere."""
        beaten = 0.0
        while not self._stopping.is_set():
            try:
                while (job := self._jobs.next_queued(quick=True)) is not None:
                    self._do(job)
                if time.monotonic() - beaten > _BEAT_S:
                    beaten = time.monotonic()
                    self._jobs.beat_all(self._progress())
            except RagError:  # a full disk; the worker, who writes more, tells the person
                logger.exception("the ledger cannot be written")
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _do(self, job: Job) -> None:
        path = str(job.argument.get("path", ""))

        def work() -> dict[str, Any]:
            if job.kind == "forget":
                return {"forgotten": self._library.forget(path)}
            if job.kind == "report":
                return self._report(Path(path))
            self._library.remember(path)
            return {"syncing": True}

        attempt(self._jobs, job, work)
        self._done(job)

    def ask(self, kind: JobKind, path: str) -> None:
        """File a quick job and wait for it; one that takes longer is done all the same.

        Raises:
            RagError: it failed.
        """
        job_id = self._jobs.file(kind, {"path": path})
        self._wake.set()
        deadline = time.monotonic() + _WAIT_S
        while (job := self._jobs.get(job_id)).state in {"queued", "running"}:
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S / 10)
        if job.error is not None:
            raise RagError(
                Text(job.error["en"], job.error["zh"]),
                hint=Text(job.error["hint_en"], job.error["hint_zh"]),
            )
