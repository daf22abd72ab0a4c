"""Reads PDFs: PDFium for text, pypdf for labels, outline and metadata.

pypdf is the second reader where PDFium fails, for a page or for a whole file. Both meet
hostile input: this module runs in worker processes that can be killed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pypdf
import pypdfium2
from pypdf.errors import (
    DependencyError,
    DeprecationError,
    FileNotDecryptedError,
    PyPdfError,
)

from rag.ingest.assemble import assemble
from rag.ingest.open_error import unreadable
from rag.ingest.open_pdf import load, reason_of
from rag.ingest.pdf_page import DraftPage, read_page
from rag.ingest.reader_name import reader_name
from rag.ingest.verdict import verdict
from rag.protocols import EXTRAS, OPENING, Enter, all_of_it
from rag.types import Document, Heading, Page

# pypdf's own list of what a broken file can raise is open-ended: its manual leaves it to the
# caller to catch what else comes out of hostile input.
PYPDF_ERRORS = (
    PyPdfError, DependencyError, DeprecationError, ValueError, KeyError, TypeError, IndexError,
    AttributeError, RecursionError, OverflowError, AssertionError, NotImplementedError,
    MemoryError, OSError,
)  # fmt: skip
_FIRST_BYTES = 1024  # a PDF's header stands within the first 1024 bytes (ISO 32000-1, annex H)
_MAX_HEADINGS = 5000
_NO_TITLES = frozenset({"untitled", "unspecified", "(anonymous)", "title", "无标题"})
_WORDS = re.compile(r"[^\W\d_]{2,}")


class PdfReader:
    """Satisfies ``PageReader``."""

    name = reader_name()

    def read(
        self,
        path: Path,
        *,
        document_id: str,
        passwords: Sequence[str] = (),
        enter: Enter = all_of_it,
    ) -> Document:
        """Return every page with its state and reason.

        Raises:
            UnreadableDocument: neither reader could open the file, and why.
        """
        _check_bytes(path)
        side = _SideReader(path, passwords, enter=enter)
        try:
            with _opened(path, passwords, enter) as pdf:
                labels = side.labels(len(pdf))
                whole = assemble(
                    [
                        _read_page(pdf, index, label=labels[index], side=side, enter=enter)
                        for index in range(len(pdf))
                    ]
                )
        except pypdfium2.PdfiumError as error:
            whole = assemble(side.pages())
            if not whole.pages:
                _give_up(path, error, side, passwords)
        if not whole.pages:
            raise unreadable(path, "no_pages")
        enter(EXTRAS)
        headings = side.headings(len(whole.pages)) or whole.headings
        title = side.title() or whole.title
        return Document(document_id, title, whole.pages, headings, self.name)


@contextmanager
def _opened(path: Path, passwords: Sequence[str], enter: Enter) -> Iterator[pypdfium2.PdfDocument]:
    if enter(OPENING):
        raise pypdfium2.PdfiumError("PDFium did not survive opening this file before")
    pdf = load(path, passwords)
    try:
        yield pdf
    finally:
        pdf.close()


def _check_bytes(path: Path) -> None:
    with path.open("rb") as file:
        first = file.read(_FIRST_BYTES)
    if not first:
        raise unreadable(path, "empty_file")


def _read_page(
    pdf: pypdfium2.PdfDocument, index: int, *, label: str, side: _SideReader, enter: Enter
) -> DraftPage | Page:
    if reason := enter(index + 1):
        return Page(index + 1, "", label, "failed", reason)
    try:
        page = pdf[index]
    except pypdfium2.PdfiumError:
        return side.page(index, label=label)
    try:
        return read_page(page, index + 1, label=label)
    except pypdfium2.PdfiumError:
        return side.page(index, label=label)
    finally:
        page.close()


class _SideReader:
    """pypdf on the same file. What it cannot read is simply not there."""

    def __init__(self, path: Path, passwords: Sequence[str], *, enter: Enter) -> None:
        self.encrypted = False
        self._enter = enter
        self._reader: pypdf.PdfReader | None = None
        if enter(EXTRAS):
            return
        logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns once per odd object
        try:
            reader = pypdf.PdfReader(path)
            self.encrypted = reader.is_encrypted and not any(
                reader.decrypt(password) for password in ("", *passwords)
            )
            self._reader = None if self.encrypted else reader
        except FileNotDecryptedError:
            self.encrypted = True
        except PYPDF_ERRORS:
            self._reader = None

    def labels(self, count: int) -> list[str]:
        """Return the printed label of each page, or "" where it is the plain number."""
        try:
            found = self._labels()
        except PYPDF_ERRORS:
            found = []
        padded = [*found[:count], *[""] * (count - len(found))]
        return ["" if label == str(i) else label for i, label in enumerate(padded, start=1)]

    def _labels(self) -> list[str]:
        # asked first: without labels pypdf walks through all pages to count them
        if self._reader is None or "/PageLabels" not in self._reader.root_object:
            return []
        return self._reader.page_labels

    def title(self) -> str:
        """Return the title, or "" if the file's own is no title a person would give."""
        try:
            meta = self._reader.metadata if self._reader else None
            title = " ".join(str(meta.title or "").split()) if meta else ""
        except PYPDF_ERRORS:
            return ""
        looks_made = title.lower() in _NO_TITLES or title.lower().endswith(
            (".doc", ".docx", ".pdf", ".indd", ".tex", ".xls")
        )
        return "" if looks_made or not _WORDS.search(title) else title[:200]

    def headings(self, pages: int) -> tuple[Heading, ...]:
        """Return the outline in document order."""
        if self._reader is None:
            return ()
        try:
            found = list(self._walk(self._reader.outline, level=0))
        except PYPDF_ERRORS:
            return ()
        kept = [heading for heading in found if 1 <= heading.page <= pages]
        return tuple(sorted(kept, key=lambda heading: heading.page)[:_MAX_HEADINGS])

    def _walk(self, items: list[Any], *, level: int) -> Iterator[Heading]:
        assert self._reader is not None
        for item in items:
            if isinstance(item, list):
                yield from self._walk(item, level=level + 1)
                continue
            number = self._reader.get_destination_page_number(item)
            title = " ".join(str(item.title or "").split())
            if number is not None and title:
                yield Heading(level, title[:200], number + 1)

    def pages(self) -> tuple[Page, ...]:
        """Return all pages as pypdf reads them; none if it cannot open the file."""
        try:
            count = len(self._reader.pages) if self._reader else 0
        except PYPDF_ERRORS:
            return ()
        labels = self.labels(count)
        return tuple(self._entered(index, label=labels[index]) for index in range(count))

    def _entered(self, index: int, *, label: str) -> Page:
        if reason := self._enter(index + 1):
            return Page(index + 1, "", label, "failed", reason)
        return self.page(index, label=label)

    def page(self, index: int, *, label: str) -> Page:
        """Return one page as pypdf reads it."""
        try:
            if self._reader is None:
                return Page(index + 1, "", label, "failed", "page_failed")
            page = self._reader.pages[index]
            width, height = float(page.mediabox.width), float(page.mediabox.height)
            text = page.extract_text().replace("\x00", "").rstrip()
            text = text.encode("utf-8", "ignore").decode("utf-8")
        except PYPDF_ERRORS:
            return Page(index + 1, "", label, "failed", "page_failed")
        state, reason = verdict(text)
        return Page(index + 1, text if state == "text" else "", label, state, reason, width, height)


def _give_up(path: Path, error: Exception, side: _SideReader, passwords: Sequence[str]) -> NoReturn:
    reason = reason_of(error, passwords)
    if reason == "damaged" and side.encrypted:
        reason = "wrong_password" if passwords else "encrypted"
    raise unreadable(path, reason) from error
