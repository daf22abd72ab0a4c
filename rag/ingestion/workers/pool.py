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
from typing import TypeVar

from rag.config import IngestSettings
from rag.errors import UnreadableDocument, unreadable
from rag.ingestion.passwords import LOCKED, Passwords
from rag.ingestion.workers import tasks
from rag.ingestion.workers.process import Crew, Errand, Fault
from rag.ingestion.workers.tasks import Look, ReadJob
from rag.ingestion.workers.watchdog import WorkerLimits
from rag.protocols import Cancelled, never
from rag.system.process import READING, RECOGNITION
from rag.types.documents import Box, Document
from rag.types.recognised_text import RecognisedPage

T = TypeVar("T")
Again = Callable[[UnreadableDocument], bool]
VIEW_TIMEOUT_S = 20.0
OCR_PAGE_S = 180.0  # a full page takes 7 to 12 s on two cores, and more beside other work
READER = "rag.ingestion.pdf.reader:PdfReader"
RECOGNISER = "rag.ingestion.ocr.recogniser:RapidRecogniser"
_CORES_EACH = 4
_ATTEMPTS = 3  # readings with what was at fault left out, before the document is given up
_PAGE_REASONS = {"timeout": "page_timeout", "memory": "page_memory", "crashed": "page_crashed"}
_FILE_REASONS = {"timeout": "timeout", "memory": "memory", "crashed": "reader_crashed"}


class Reading:
    """A document on its way. What cannot be read in one go is read around the fault."""

    def __init__(self, crew: Crew, job: ReadJob, *, timeout_s: float, passwords: Passwords) -> None:
        self._crew = crew
        self._passwords = passwords
        self._job = job
        self._timeout_s = timeout_s
        self._errand: Errand[Document] = self._send_reading(job)

    def _send_reading(self, job: ReadJob) -> Errand[Document]:
        return self._crew.send(
            tasks.read, lambda journal: (replace(job, journal=journal),), self._timeout_s
        )

    def result(self, *, cancelled: Cancelled = never) -> Document:
        """Wait for the document.

        Raises:
            UnreadableDocument: it could not be read at all, and why.
            CancelledError: it was cancelled.
        """
        try:
            return self._read(self._job, cancelled)
        except UnreadableDocument as error:
            if error.reason not in LOCKED or not self._passwords.recall(self._job.path):
                raise
        job = replace(self._job, passwords=self._passwords.candidates(self._job.path))
        self._errand = self._send_reading(job)
        return self._read(job, cancelled)

    def _read(self, job: ReadJob, cancelled: Cancelled) -> Document:
        for attempt in range(_ATTEMPTS + 1):
            try:
                return self._errand.result(cancelled=cancelled)
            except OSError as error:
                raise unreadable(job.path, "unreadable") from error
            except Fault as fault:
                if fault.part in job.left_out or attempt == _ATTEMPTS:
                    raise unreadable(job.path, _FILE_REASONS[fault.reason]) from fault
                job = self._around(job, fault, cancelled)
                self._errand = self._send_reading(job)
        raise AssertionError("the last attempt returns or raises")

    def _around(self, job: ReadJob, fault: Fault, cancelled: Cancelled) -> ReadJob:
        """Go through the rest page by page, and return the job without what is at fault."""
        left_out = {**job.left_out, fault.part: _PAGE_REASONS[fault.reason]}
        deadline = time.monotonic() + self._timeout_s
        at, stop = fault.part, job.stop
        while at > 0:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                stop = at + 1
                break
            rest = replace(job, left_out=left_out, first=at + 1)
            found = self._probe(rest, left_s, cancelled)
            if found is None or found.part <= at:
                break
            at = found.part
            left_out[at] = _PAGE_REASONS[found.reason]
        return replace(job, left_out=left_out, stop=stop)

    def _probe(self, job: ReadJob, limit_s: float, cancelled: Cancelled) -> Fault | None:
        errand = self._crew.send(
            tasks.probe, lambda journal: (replace(job, journal=journal),), limit_s
        )
        try:
            errand.result(cancelled=cancelled)
        except Fault as fault:
            return fault
        return None

    def cancel(self) -> None:
        """Stop reading; the worker is killed if it has begun."""
        self._errand.cancel()


class Recognising:
    """A page on its way through text recognition."""

    def __init__(self, send: Callable[[], Errand[RecognisedPage]], again: Again, page: int) -> None:
        self._send = send
        self._again = again
        self._errand = send()
        self._page = page

    def result(self, *, cancelled: Cancelled = never) -> RecognisedPage:
        """Wait for the page; one that recognition does not survive says so.

        Raises:
            UnreadableDocument: the file cannot be opened.
            CancelledError: it was cancelled.
        """
        try:
            return self._errand.result(cancelled=cancelled)
        except UnreadableDocument as error:
            if not self._again(error):
                raise
            self._errand = self._send()
            return self._errand.result(cancelled=cancelled)
        except (Fault, OSError):
            return RecognisedPage(self._page, "empty", "ocr_failed")

    def cancel(self) -> None:
        """Stop; the worker is killed if it has begun."""
        self._errand.cancel()


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
        self._readers = Crew(workers=workers, niceness=READING)
        self._viewers = Crew(workers=1, niceness=0)  # what is looked at waits for no reading
        self._timeout_s = timeout_s
        self._limits = limits
        self._reader = reader
        # few with several threads rather than many: each comes to hold up to a gigabyte
        cores = os.cpu_count() or 1
        self.recognisers = max(1, min(workers, cores // _CORES_EACH))
        self._recognisers = Crew(workers=self.recognisers, niceness=RECOGNITION)
        self._ocr = (recogniser, min(cores, _CORES_EACH))
        self.ahead = 2 * workers  # documents read before they are asked for; bounds memory

    @classmethod
    def of(cls, settings: IngestSettings) -> WorkerPool:
        """Return the pool of the settings."""
        limits = WorkerLimits(page_s=settings.page_timeout_s, memory_mb=settings.memory_mb)
        return cls(workers=settings.workers, timeout_s=settings.timeout_s, limits=limits)

    def read(self, path: Path, *, document_id: str) -> Reading:
        """Start reading a document."""
        keys = self.passwords.candidates(path)
        job = ReadJob(path, document_id, self._reader, Path(), self._limits, passwords=keys)
        return Reading(self._readers, job, timeout_s=self._timeout_s, passwords=self.passwords)

    def recognise(self, path: Path, *, page: int) -> Recognising:
        """Start reading the letters of a drawn page."""
        limits = WorkerLimits(page_s=OCR_PAGE_S, memory_mb=self._limits.memory_mb)

        def send() -> Errand[RecognisedPage]:
            look = Look(path, limits, self.passwords.candidates(path))
            return self._recognisers.send(
                tasks.recognise,
                lambda journal: (replace(look, journal=journal), page, self._ocr),
                OCR_PAGE_S,
            )

        return Recognising(send, lambda error: self._unlocks(path, error), page)

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        """Return the page as PNG, ``width`` pixels wide.

        Raises:
            UnreadableDocument: it cannot be drawn.
        """
        return self._seen(path, tasks.render, page, width)

    def boxes(
        self,
        path: Path,
        spans: Sequence[tuple[int, int, int]],
        *,
        recipes: Mapping[int, str] | None = None,
    ) -> list[tuple[Box, ...]]:
        """Return, for each ``(page, start, end)`` in characters of that page's text, its boxes.

        ``recipes`` holds ``Page.recipe`` of the pages that have one.

        Raises:
            UnreadableDocument: the file cannot be opened.
        """
        return self._seen(path, tasks.boxes, list(spans), dict(recipes or {}))

    def letters(self, path: Path, *, pages: Sequence[int]) -> dict[int, str]:
        """Return all letters of these pages, with those that are kept out of their text.

        Raises:
            UnreadableDocument: the file cannot be opened, or not in time.
        """
        return self._seen(path, tasks.letters, list(pages))

    def fitting(self, path: Path) -> str | None:
        """Return which of the passwords opens the file; ``None`` if it needs none.

        Raises:
            UnreadableDocument: none does, or it cannot be opened at all.
        """
        return self._seen(path, tasks.fitting)

    def _seen(self, path: Path, task: Callable[..., T], *args: object) -> T:
        try:
            return self._look(path, task, args)
        except UnreadableDocument as error:
            if not self._unlocks(path, error):
                raise
            return self._look(path, task, args)

    def _look(self, path: Path, task: Callable[..., T], args: Sequence[object]) -> T:
        look = Look(path, self._limits, self.passwords.candidates(path))
        errand = self._viewers.send(
            task, lambda journal: (replace(look, journal=journal), *args), VIEW_TIMEOUT_S
        )
        try:
            return errand.result()
        except Fault as fault:
            raise unreadable(path, _FILE_REASONS[fault.reason]) from fault
        except OSError as error:
            raise unreadable(path, "unreadable") from error

    def _unlocks(self, path: Path, error: UnreadableDocument) -> bool:
        """Return whether a password that was kept for the file makes another try worth it."""
        return error.reason in LOCKED and self.passwords.recall(path)

    def close(self) -> None:
        """Kill the workers."""
        self._readers.close()
        self._viewers.close()
        self._recognisers.close()
