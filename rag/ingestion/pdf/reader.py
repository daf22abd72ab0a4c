"""Reads PDFs with PDFium, and with pypdf where that fails, for a page or for a whole file.

Both meet hostile input: this module runs in worker processes that can be killed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
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

from rag.errors import unreadable
from rag.ingestion.pdf.metadata import (
    Metadata,
    either,
    given_title,
    in_order,
    plain_labels,
    read_metadata,
)
from rag.ingestion.pdf.page import DraftPage, read_page
from rag.ingestion.pdf.page_text import assemble
from rag.ingestion.pdf.pdfium import load, reason_of
from rag.ingestion.pdf.text_quality import verdict
from rag.protocols import EXTRAS, OPENING, Enter, all_of_it
from rag.types.documents import Document, Page
from rag.types.index_version import reader_name

# pypdf's own list of what a broken file can raise is open-ended: its manual leaves it to the
# caller to catch what else comes out of hostile input.
PYPDF_ERRORS = (
    PyPdfError, DependencyError, DeprecationError, ValueError, KeyError, TypeError, IndexError,
    AttributeError, RecursionError, OverflowError, AssertionError, NotImplementedError,
    MemoryError, OSError,
)  # fmt: skip


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
        with path.open("rb") as file:
            if not file.read(1):
                raise unreadable(path, "empty_file")
        second = SecondReader(path, passwords, enter=enter)
        found: Sequence[DraftPage | Page]
        try:
            with closing(_load(path, passwords, enter)) as pdf:
                extras = Metadata([""] * len(pdf)) if enter(EXTRAS) else read_metadata(pdf)
                found = [
                    _read_page(pdf, index, label=label, second=second, enter=enter)
                    for index, label in enumerate(extras.labels)
                ]
        except pypdfium2.PdfiumError as error:
            found = second.pages()
            if not found:
                _give_up(path, error, second, passwords)
            extras = second.extras()
        if not found:
            raise unreadable(path, "no_pages")
        return assemble(found, document_id=document_id, extras=extras, reader=self.name)


def _load(path: Path, passwords: Sequence[str], enter: Enter) -> pypdfium2.PdfDocument:
    if enter(OPENING):
        raise pypdfium2.PdfiumError("PDFium did not survive opening this file before")
    return load(path, passwords)


def _read_page(
    pdf: pypdfium2.PdfDocument, index: int, *, label: str, second: SecondReader, enter: Enter
) -> DraftPage | Page:
    if reason := enter(index + 1):
        return Page(index + 1, "", label, "failed", reason)
    try:
        with closing(pdf[index]) as page:
            return read_page(page, index + 1, label=label)
    except pypdfium2.PdfiumError:
        return second.page(index, label=label)


def _give_up(
    path: Path, error: Exception, second: SecondReader, passwords: Sequence[str]
) -> NoReturn:
    reason = reason_of(error, passwords)
    if reason == "damaged" and second.encrypted:
        reason = "wrong_password" if passwords else "encrypted"
    raise unreadable(path, reason) from error


class SecondReader:
    """pypdf on the same file, for a page or all of it: slower, and opened only then.

    What it cannot read is simply not there.
    """

    def __init__(self, path: Path, passwords: Sequence[str], *, enter: Enter) -> None:
        self._path = path
        self._passwords = passwords
        self._enter = enter
        self._left_out = False

    @property
    def encrypted(self) -> bool:
        """Whether no password opens it."""
        return not self._left_out and self._opened[1]

    def pages(self) -> tuple[Page, ...]:
        """Return all pages as pypdf reads them; none if it cannot open the file."""
        self._left_out = self._enter(EXTRAS) is not None
        if self._left_out:
            return ()
        reader = self._opened[0]
        count = either(lambda: len(reader.pages) if reader else 0, 0, PYPDF_ERRORS)
        labels = self._labels(count)
        return tuple(self._entered(index, label=labels[index]) for index in range(count))

    def extras(self) -> Metadata:
        """Return outline and title; the labels stand with ``pages``."""
        reader = None if self._left_out else self._opened[0]
        if reader is None:
            return Metadata(())
        return Metadata(
            (),
            either(
                lambda: in_order(self._walk(reader, reader.outline), pages=len(reader.pages)),
                (),
                PYPDF_ERRORS,
            ),
            either(
                lambda: given_title(str(reader.metadata.title or "") if reader.metadata else ""),
                "",
                PYPDF_ERRORS,
            ),
        )

    def _walk(
        self, reader: pypdf.PdfReader, items: list[Any], *, level: int = 0
    ) -> Iterator[tuple[int, str, int]]:
        for item in items:
            if isinstance(item, list):
                yield from self._walk(reader, item, level=level + 1)
                continue
            number = reader.get_destination_page_number(item)
            if number is not None:
                yield level, str(item.title or ""), number + 1

    def page(self, index: int, *, label: str) -> Page:
        """Return one page as pypdf reads it."""
        reader = self._opened[0]
        try:
            if reader is None:
                return Page(index + 1, "", label, "failed", "page_failed")
            page = reader.pages[index]
            width, height = float(page.mediabox.width), float(page.mediabox.height)
            text = page.extract_text().replace("\x00", "").rstrip()
            text = text.encode("utf-8", "ignore").decode("utf-8")
        except PYPDF_ERRORS:
            return Page(index + 1, "", label, "failed", "page_failed")
        state, reason = verdict(text)
        return Page(index + 1, text if state == "text" else "", label, state, reason, width, height)

    @cached_property
    def _opened(self) -> tuple[pypdf.PdfReader | None, bool]:
        """The file, if it can be opened, and whether it is a password that is missing."""
        logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns once per odd object
        try:
            reader = pypdf.PdfReader(self._path)
            locked = reader.is_encrypted and not any(
                reader.decrypt(password) for password in ("", *self._passwords)
            )
        except FileNotDecryptedError:
            return None, True
        except PYPDF_ERRORS:
            return None, False
        return (None if locked else reader), locked

    def _entered(self, index: int, *, label: str) -> Page:
        if reason := self._enter(index + 1):
            return Page(index + 1, "", label, "failed", reason)
        return self.page(index, label=label)

    def _labels(self, count: int) -> list[str]:
        reader = self._opened[0]

        def found() -> list[str]:
            # asked first: without labels pypdf walks through all pages to count them
            labelled = reader is not None and "/PageLabels" in reader.root_object
            return reader.page_labels if reader is not None and labelled else []

        return plain_labels(either(found, [], PYPDF_ERRORS), count)
