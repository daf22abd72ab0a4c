"""Everything that touches a PDF happens in worker processes that can be killed, and are.

PDFium and pypdf meet hostile input: a crash, a hang or a bomb costs one page, never the
document or the program. PDFium is not thread-safe, so one document is handled by one worker
at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeVar

from rag.config import IngestSettings
from rag.errors import UnreadableDocument, unreadable
from rag.ingestion.passwords import LOCKED, Passwords
from rag.ingestion.workers import tasks
from rag.ingestion.workers.process import Failure, Fault, Recover, WorkerJob, WorkerProcesses
from rag.ingestion.workers.tasks import FileAccess, ReadPlan, WorkerLimits
from rag.protocols import Cancelled
from rag.system.process import READING, RECOGNITION
from rag.types.documents import Box, Document
from rag.types.recognised_text import RecognisedPage

T = TypeVar("T")
VIEW_TIMEOUT_S = 20.0
OCR_PAGE_S = 180.0  # a full page takes 7 to 12 s on two cores, and more beside other work
READER = "rag.ingestion.pdf.reader:PdfReader"
RECOGNISER = "rag.ingestion.ocr.recogniser:RapidRecogniser"
_CORES_EACH = 4
_ATTEMPTS = 3  # readings with what was at fault left out, before the document is given up
_PAGE_REASONS = {"timeout": "page_timeout", "memory": "page_memory", "crashed": "page_crashed"}
_FILE_REASONS = {"timeout": "timeout", "memory": "memory", "crashed": "reader_crashed"}


class WorkerPool:
    """Reads documents, draws pages, finds boxes. Satisfies ``PageViewer`` as well."""

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float,
        limits: WorkerLimits,
        reader: str = READER,
        recogniser: str = RECOGNISER,
    ) -> None:
        """``timeout_s`` is for a whole document, ``limits`` for one page.

        ``reader`` and ``recogniser`` are dotted names, for the workers to load.
        """
        self.passwords = Passwords()
        self._readers = WorkerProcesses(count=workers, niceness=READING)
        self._viewers = WorkerProcesses(count=1, niceness=0)  # looking waits for no reading
        self._timeout_s = timeout_s
        self._limits = limits
        self._reader = reader
        # few with several threads rather than many: each comes to hold up to a gigabyte
        cores = os.cpu_count() or 1
        self.recognisers = max(1, min(workers, cores // _CORES_EACH))
        self._recognisers = WorkerProcesses(count=self.recognisers, niceness=RECOGNITION)
        self._ocr = (recogniser, min(cores, _CORES_EACH))
        self.ahead = 2 * workers  # documents read before they are asked for; bounds memory

    @classmethod
    def of(cls, settings: IngestSettings) -> WorkerPool:
        """Return the pool of the settings."""
        limits = WorkerLimits(page_s=settings.page_timeout_s, memory_mb=settings.memory_mb)
        return cls(workers=settings.workers, timeout_s=settings.timeout_s, limits=limits)

    def read(self, path: Path, *, document_id: str) -> WorkerJob[Document]:
        """Start reading a document; one that cannot be read at all is an ``UnreadableDocument``."""
        return self._read(path, ReadPlan(document_id, self._reader), attempts=_ATTEMPTS)

    def _read(self, path: Path, plan: ReadPlan, *, attempts: int) -> WorkerJob[Document]:
        def recover(error: Failure, cancelled: Cancelled) -> Document:
            if not isinstance(error, Fault) or not attempts or error.part in plan.left_out:
                _give_up(path, error)
            rest = self._around(path, plan, error, cancelled)
            return self._read(path, rest, attempts=attempts - 1).result(cancelled=cancelled)

        return self._send(
            self._readers, tasks.read, path, plan, limit_s=self._timeout_s, recover=recover
        )

    def _around(self, path: Path, plan: ReadPlan, fault: Fault, cancelled: Cancelled) -> ReadPlan:
        """Go through the rest page by page, and return the plan without what is at fault."""
        left_out = {**plan.left_out, fault.part: _PAGE_REASONS[fault.reason]}
        deadline = time.monotonic() + self._timeout_s
        at, stop = fault.part, plan.stop
        while at > 0:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                stop = at + 1
                break
            rest = replace(plan, left_out=left_out, first=at + 1)
            found = self._probe(path, rest, left_s).result(cancelled=cancelled)
            if found is None or found.part <= at:
                break
            at = found.part
            left_out[at] = _PAGE_REASONS[found.reason]
        return replace(plan, left_out=left_out, stop=stop)

    def _probe(self, path: Path, plan: ReadPlan, limit_s: float) -> WorkerJob[Fault | None]:
        def recover(error: Failure, _: Cancelled) -> Fault:
            return error if isinstance(error, Fault) else _give_up(path, error)

        return self._send(self._readers, tasks.probe, path, plan, limit_s=limit_s, recover=recover)

    def recognise(self, path: Path, *, page: int) -> WorkerJob[RecognisedPage]:
        """Start reading the letters of a drawn page; one that this does not survive says so."""

        def recover(error: Failure, _: Cancelled) -> RecognisedPage:
            if isinstance(error, UnreadableDocument):
                raise error
            return RecognisedPage(page, "empty", "ocr_failed")

        limits = replace(self._limits, page_s=OCR_PAGE_S)
        return self._send(
            self._recognisers, tasks.recognise, path, page, self._ocr,
            limit_s=OCR_PAGE_S, limits=limits, recover=recover,
        )  # fmt: skip

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        """Return the page as PNG, ``width`` pixels wide.

        Raises:
            UnreadableDocument: it cannot be drawn.
        """
        png: bytes = self._look(path, tasks.view, "render", page, width)
        return png

    def boxes(
        self,
        path: Path,
        spans: Sequence[tuple[int, int, int]],
        *,
        recipes: Mapping[int, str] | None = None,
    ) -> list[tuple[Box, ...]]:
        """Return, for each ``(page, start, end)`` in characters of that page's text, its boxes.

        ``recipes`` holds ``Page.recipe`` by page; a page without one has no boxes.

        Raises:
            UnreadableDocument: the file cannot be opened.
        """
        found: list[tuple[Box, ...]] = self._look(
            path, tasks.view, "boxes", list(spans), dict(recipes or {})
        )
        return found

    def letters(self, path: Path, *, pages: Sequence[int]) -> dict[int, str]:
        """Return all letters of these pages, with those that are kept out of their text.

        Raises:
            UnreadableDocument: the file cannot be opened, or not in time.
        """
        found: dict[int, str] = self._look(path, tasks.view, "letters", list(pages))
        return found

    def fitting(self, path: Path) -> str | None:
        """Return which of the passwords opens the file; ``None`` if it needs none.

        Raises:
            UnreadableDocument: none does, or it cannot be opened at all.
        """
        return self._look(path, tasks.fitting)

    def _look(self, path: Path, task: Callable[..., T], *args: object) -> T:
        return self._send(self._viewers, task, path, *args, limit_s=VIEW_TIMEOUT_S).result()

    def _send(
        self,
        workers: WorkerProcesses,
        task: Callable[..., T],
        path: Path,
        *args: object,
        limit_s: float,
        limits: WorkerLimits | None = None,
        recover: Recover[T] | None = None,
    ) -> WorkerJob[T]:
        """Send what is to be done with a file; once more if a kept password may open it.

        A failure is then an ``UnreadableDocument``, or what ``recover`` makes of it.
        """

        def otherwise(error: Failure, cancelled: Cancelled) -> T:
            if self._unlocks(path, error):
                again = self._send(
                    workers, task, path, *args, limit_s=limit_s, limits=limits, recover=recover
                )
                return again.result(cancelled=cancelled)
            return recover(error, cancelled) if recover else _give_up(path, error)

        file = FileAccess(path, limits or self._limits, self.passwords.candidates(path))
        return workers.send(task, file, *args, limit_s=limit_s, recover=otherwise)

    def _unlocks(self, path: Path, error: Failure) -> bool:
        """Return whether a password that was kept for the file makes another try worth it."""
        locked = isinstance(error, UnreadableDocument) and error.reason in LOCKED
        return locked and self.passwords.recall(path)

    def close(self) -> None:
        """Kill the workers."""
        self._readers.close()
        self._viewers.close()
        self._recognisers.close()


def _give_up(path: Path, error: Failure) -> NoReturn:
    if isinstance(error, UnreadableDocument):
        raise error
    reason = _FILE_REASONS[error.reason] if isinstance(error, Fault) else "unreadable"
    raise unreadable(path, reason) from error
