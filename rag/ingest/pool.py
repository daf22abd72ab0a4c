"""Everything that touches a PDF happens in worker processes that can be killed, and are.

PDFium and pypdf meet hostile input: a crash, a hang or a bomb costs one page, never the
document or the program. PDFium is not thread-safe, so one document is handled by one worker
at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rag.config import IngestSettings
from rag.errors import UnreadableDocument
from rag.ingest import tasks
from rag.ingest.crew import Cancelled, Crew, Errand, Fault, never
from rag.ingest.guard import Limits
from rag.ingest.tasks import ReadJob
from rag.recognised import RecognisedPage
from rag.types import Box, Document
from rag.words import REASONS, Text

T = TypeVar("T")
VIEW_TIMEOUT_S = 20.0
OCR_PAGE_S = 180.0  # a full page takes 3 to 12 s on two cores, and more beside other work
READER = "rag.ingest.pdf_reader:PdfReader"
RECOGNISER = "rag.ingest.ocr:RapidRecogniser"
_CORES_EACH = 4
_ATTEMPTS = 3  # readings with what was at fault left out, before the document is given up
_PAGE_REASONS = {"timeout": "page_timeout", "memory": "page_memory", "crashed": "page_crashed"}
_FILE_REASONS = {"timeout": "timeout", "memory": "memory", "crashed": "reader_crashed"}


class Reading:
    """A document on its way. What cannot be read in one go is read around the fault."""

    def __init__(self, crew: Crew, job: ReadJob, *, timeout_s: float) -> None:
        self._crew = crew
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
        path, job = self._job.path, self._job
        for _ in range(_ATTEMPTS):
            try:
                return self._errand.result(cancelled=cancelled)
            except OSError as error:
                raise refused(path, "unreadable") from error
            except Fault as fault:
                if fault.part in job.left_out:
                    raise refused(path, _FILE_REASONS[fault.reason]) from fault
                job = self._around(job, fault, cancelled)
                self._errand = self._send_reading(job)
        try:
            return self._errand.result(cancelled=cancelled)
        except Fault as fault:
            raise refused(path, _FILE_REASONS[fault.reason]) from fault
        except OSError as error:
            raise refused(path, "unreadable") from error

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

    def __init__(self, errand: Errand[RecognisedPage], page: int) -> None:
        self._errand = errand
        self._page = page

    def result(self, *, cancelled: Cancelled = never) -> RecognisedPage:
        """Wait for the page; one that recognition does not survive says so.

        Raises:
            UnreadableDocument: the file cannot be opened.
            CancelledError: it was cancelled.
        """
        try:
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
        limits: Limits,
        reader: str = READER,
        recogniser: str = RECOGNISER,
    ) -> None:
        """``timeout_s`` is for a whole document, ``limits`` for one page.

        ``reader`` and ``recogniser`` are dotted names, for the workers to load.
        """
        self._readers = Crew(workers=workers, niceness=5)
        self._viewers = Crew(workers=1, niceness=0)  # what is looked at waits for no reading
        self._timeout_s = timeout_s
        self._limits = limits
        self._reader = reader
        # few with several threads rather than many: each holds a model of half a gigabyte
        cores = os.cpu_count() or 1
        self.recognisers = max(1, min(workers, cores // _CORES_EACH))
        self._recognisers = Crew(workers=self.recognisers, niceness=10)
        self._ocr = (recogniser, min(cores, _CORES_EACH))
        self.ahead = 2 * workers  # documents read before they are asked for; bounds memory

    @classmethod
    def of(cls, settings: IngestSettings) -> WorkerPool:
        """Return the pool of the settings."""
        limits = Limits(page_s=settings.page_timeout_s, memory_mb=settings.memory_mb)
        return cls(workers=settings.workers, timeout_s=settings.timeout_s, limits=limits)

    def read(self, path: Path, *, document_id: str) -> Reading:
        """Start reading a document."""
        job = ReadJob(path, document_id, self._reader, Path(), self._limits)
        return Reading(self._readers, job, timeout_s=self._timeout_s)

    def recognise(self, path: Path, *, page: int) -> Recognising:
        """Start reading the letters of a drawn page."""
        limits = Limits(page_s=OCR_PAGE_S, memory_mb=self._limits.memory_mb)
        errand = self._recognisers.send(
            tasks.recognise, lambda journal: (path, page, self._ocr, journal, limits), OCR_PAGE_S
        )
        return Recognising(errand, page)

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        """Return the page as PNG, ``width`` pixels wide.

        Raises:
            UnreadableDocument: it cannot be drawn.
        """
        errand = self._viewers.send(
            tasks.render,
            lambda journal: (path, page, width, journal, self._limits),
            VIEW_TIMEOUT_S,
        )
        return _seen(errand, path)

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
        errand = self._viewers.send(
            tasks.boxes,
            lambda journal: (path, list(spans), dict(recipes or {}), journal, self._limits),
            VIEW_TIMEOUT_S,
        )
        return _seen(errand, path)

    def close(self) -> None:
        """Kill the workers."""
        self._readers.close()
        self._viewers.close()
        self._recognisers.close()


def _seen(errand: Errand[T], path: Path) -> T:
    try:
        return errand.result()
    except Fault as fault:
        raise refused(path, _FILE_REASONS[fault.reason]) from fault
    except OSError as error:
        raise refused(path, "unreadable") from error


def refused(path: Path, reason: str) -> UnreadableDocument:
    """Return the error that says why a file cannot be read."""
    words = REASONS[reason]
    return UnreadableDocument(
        Text(f"{path.name}: {words.what.en}", f"{path.name}：{words.what.zh}"),
        hint=words.remedy,
        reason=reason,
    )
