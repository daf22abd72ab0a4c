"""Reads PDFs with PDFium, and with pypdf where that fails, for a page or for a whole file.

Both meet hostile input: this module runs in worker processes that can be killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pypdfium2

from rag.errors import unreadable
from rag.ingestion.pdf.assemble import assemble
from rag.ingestion.pdf.fallback import SecondReader
from rag.ingestion.pdf.metadata import Metadata, read_metadata
from rag.ingestion.pdf.open import load, reason_of
from rag.ingestion.pdf.page import DraftPage, read_page
from rag.protocols import EXTRAS, OPENING, Enter, all_of_it
from rag.types.documents import Document, Page
from rag.types.index_version import reader_name


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
        extras = Metadata(())
        try:
            with closing(_load(path, passwords, enter)) as pdf:
                extras = Metadata([""] * len(pdf)) if enter(EXTRAS) else read_metadata(pdf)
                whole = assemble(
                    [
                        _read_page(pdf, index, label=label, second=second, enter=enter)
                        for index, label in enumerate(extras.labels)
                    ]
                )
        except pypdfium2.PdfiumError as error:
            whole = assemble(second.pages())
            if not whole.pages:
                _give_up(path, error, second, passwords)
            extras = second.extras()
        if not whole.pages:
            raise unreadable(path, "no_pages")
        headings, title = extras.headings or whole.headings, extras.title or whole.title
        return Document(document_id, title, whole.pages, headings, self.name)


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
