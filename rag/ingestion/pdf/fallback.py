"""pypdf, for what PDFium fails at: a page, or a whole file. Slower, and opened only then."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pypdf
from pypdf.errors import (
    DependencyError,
    DeprecationError,
    FileNotDecryptedError,
    PyPdfError,
)

from rag.ingestion.pdf.metadata import Metadata, given_title, in_order, plain_labels
from rag.ingestion.pdf.text_quality import verdict
from rag.protocols import EXTRAS, Enter
from rag.types.documents import Page

# pypdf's own list of what a broken file can raise is open-ended: its manual leaves it to the
# caller to catch what else comes out of hostile input.
PYPDF_ERRORS = (
    PyPdfError, DependencyError, DeprecationError, ValueError, KeyError, TypeError, IndexError,
    AttributeError, RecursionError, OverflowError, AssertionError, NotImplementedError,
    MemoryError, OSError,
)  # fmt: skip


class SecondReader:
    """pypdf on the same file. What it cannot read is simply not there."""

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
        try:
            count = len(reader.pages) if reader else 0
        except PYPDF_ERRORS:
            return ()
        labels = self._labels(count)
        return tuple(self._entered(index, label=labels[index]) for index in range(count))

    def extras(self) -> Metadata:
        """Return outline and title; the labels stand with ``pages``."""
        reader = None if self._left_out else self._opened[0]
        if reader is None:
            return Metadata(())
        try:
            headings = in_order(self._walk(reader, reader.outline), pages=len(reader.pages))
        except PYPDF_ERRORS:
            headings = ()
        try:
            title = given_title(str(reader.metadata.title or "") if reader.metadata else "")
        except PYPDF_ERRORS:
            title = ""
        return Metadata((), headings, title)

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
        found: list[str] = []
        try:
            # asked first: without labels pypdf walks through all pages to count them
            if reader is not None and "/PageLabels" in reader.root_object:
                found = reader.page_labels
        except PYPDF_ERRORS:
            pass
        return plain_labels(found, count)
