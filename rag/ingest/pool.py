"""Worker processes for everything that touches a PDF. They can be killed, and are.

PDFium and pypdf meet hostile input: a crash, a hang or a bomb costs one document, never
the program. PDFium is not thread-safe, so one document is handled by one worker at a time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pebble import ProcessExpired, ProcessPool

from rag.errors import UnreadableDocument
from rag.types import Box, Document
from rag.words import REASONS, Text

if TYPE_CHECKING:
    from pebble import ProcessFuture

T = TypeVar("T")
VIEW_TIMEOUT_S = 20.0


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    if hasattr(os, "nice"):
        os.nice(5)  # a question outranks reading


def _read(path: Path, document_id: str) -> Document:
    from rag.ingest.pdf_reader import PdfReader

    return PdfReader().read(path, document_id=document_id)


def _render(path: Path, page: int, width: int) -> bytes:
    from rag.ingest.viewer import PdfViewer

    return PdfViewer().render(path, page=page, width=width)


def _boxes(path: Path, spans: Sequence[tuple[int, int, int]]) -> list[tuple[Box, ...]]:
    from rag.ingest.viewer import PdfViewer

    return PdfViewer().boxes(path, spans)


class Reading:
    """A document on its way."""

    def __init__(self, future: ProcessFuture[Document], path: Path) -> None:
        self._future = future
        self._path = path

    def result(self) -> Document:
        """Wait for the document.

        Raises:
            UnreadableDocument: it could not be read, took too long, or crashed the reader.
        """
        document: Document = _result(self._future.result, self._path)
        return document

    def cancel(self) -> None:
        """Stop reading; the worker is killed if it has begun."""
        self._future.cancel()


class WorkerPool:
    """Reads documents, draws pages, finds boxes. Satisfies ``PageViewer`` as well."""

    def __init__(self, *, workers: int, timeout_s: float) -> None:
        # spawn: a forked copy of a process with threads and a loaded model is not safe
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=workers, initializer=_start_worker, context=context)
        self._timeout_s = timeout_s
        self.ahead = 2 * workers  # documents read before they are asked for; bounds memory

    def read(self, path: Path, *, document_id: str) -> Reading:
        """Start reading a document."""
        return Reading(
            self._pool.schedule(_read, args=(path, document_id), timeout=self._timeout_s), path
        )

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        """Return the page as PNG, ``width`` pixels wide."""
        future = self._pool.schedule(_render, args=(path, page, width), timeout=VIEW_TIMEOUT_S)
        image: bytes = _result(future.result, path)
        return image

    def boxes(self, path: Path, spans: Sequence[tuple[int, int, int]]) -> list[tuple[Box, ...]]:
        """Return, for each ``(page, start, end)`` in characters of that page's text, its boxes."""
        future = self._pool.schedule(_boxes, args=(path, list(spans)), timeout=VIEW_TIMEOUT_S)
        found: list[tuple[Box, ...]] = _result(future.result, path)
        return found

    def close(self) -> None:
        """Kill the workers."""
        self._pool.stop()
        self._pool.join()


def _result(wait: Callable[[], T], path: Path) -> T:
    try:
        value = wait()
    except FutureTimeout as error:
        raise _refused(path, "timeout") from error
    except ProcessExpired as error:
        raise _refused(path, "reader_crashed") from error
    except MemoryError as error:
        raise _refused(path, "reader_crashed") from error
    except OSError as error:
        raise _refused(path, "unreadable") from error
    return value


def _refused(path: Path, reason: str) -> UnreadableDocument:
    words = REASONS[reason]
    return UnreadableDocument(
        Text(f"{path.name}: {words.what.en}", f"{path.name}：{words.what.zh}"),
        hint=words.remedy,
        reason=reason,
    )
