"""Opens a file with PDFium, and says in words why it cannot be opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdfium2

from rag.errors import UnreadableDocument
from rag.words import REASONS, Text


@contextmanager
def opened(path: Path) -> Iterator[pypdfium2.PdfDocument]:
    """Give the document, and close it.

    Raises:
        UnreadableDocument: PDFium cannot open it, or fails on what is done with it.
    """
    try:
        pdf = pypdfium2.PdfDocument(path)
        try:
            yield pdf
        finally:
            pdf.close()
    except (pypdfium2.PdfiumError, OSError) as error:
        locked = "password" in str(error).lower()
        raise unreadable(path, "encrypted" if locked else "damaged") from error


def unreadable(path: Path, reason: str) -> UnreadableDocument:
    """Return the error that says why a file cannot be read."""
    words = REASONS[reason]
    return UnreadableDocument(
        Text(f"{path.name}: {words.what.en}", f"{path.name}：{words.what.zh}"),
        hint=words.remedy,
        reason=reason,
    )
