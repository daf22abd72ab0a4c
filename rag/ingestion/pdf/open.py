"""Opens a file with PDFium, and says in words why it cannot be opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pypdfium2

from rag.errors import unreadable


def load(path: Path, passwords: Sequence[str] = ()) -> pypdfium2.PdfDocument:
    """Return the document, opened without a password or with the first that fits.

    Raises:
        PdfiumError: it cannot be opened.
    """
    first: pypdfium2.PdfiumError | None = None
    for password in (None, *passwords):
        try:
            return pypdfium2.PdfDocument(path, password=password)
        except pypdfium2.PdfiumError as error:
            first = first or error
            if reason_of(error) == "damaged":
                raise
    assert first is not None
    raise first


@contextmanager
def opened(path: Path, passwords: Sequence[str] = ()) -> Iterator[pypdfium2.PdfDocument]:
    """Give the document, and close it.

    Raises:
        UnreadableDocument: PDFium cannot open it, or fails on what is done with it.
    """
    try:
        with closing(load(path, passwords)) as pdf:
            yield pdf
    except (pypdfium2.PdfiumError, OSError) as error:
        raise unreadable(path, reason_of(error, passwords)) from error


def reason_of(error: Exception, passwords: Sequence[str] = ()) -> str:
    """Return the code of what is wrong with the file that ``passwords`` were tried on."""
    if "password" not in str(error).lower():
        return "damaged"
    return "wrong_password" if passwords else "encrypted"
