"""PDFium as it is called here: files are opened, with words for why that fails, and text is read.

The text calls are the functions of ``pypdfium2.raw``, but handles are plain numbers instead of
ctypes' pointer objects, which makes a call several times cheaper: a page asks some hundred times.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from rag.errors import unreadable

_Handle = ctypes.c_void_p
_Int = ctypes.c_int


def _plain(function: Any, result: Any, *arguments: Any) -> Any:
    address = ctypes.cast(function, ctypes.c_void_p).value
    return ctypes.CFUNCTYPE(result, *arguments)(address or 0)


text_object = _plain(pdfium.FPDFText_GetTextObject, _Handle, _Handle, _Int)
loose_box = _plain(pdfium.FPDFText_GetLooseCharBox, _Int, _Handle, _Int, _Handle)
char_index = _plain(pdfium.FPDFText_GetCharIndexFromTextIndex, _Int, _Handle, _Int)
render_mode = _plain(pdfium.FPDFTextObj_GetTextRenderMode, _Int, _Handle)
font_of = _plain(pdfium.FPDFTextObj_GetFont, _Handle, _Handle)
font_weight = _plain(pdfium.FPDFFont_GetWeight, _Int, _Handle)
font_name = _plain(pdfium.FPDFFont_GetBaseFontName, ctypes.c_size_t, _Handle, _Handle, _Int)
fill_color = _plain(pdfium.FPDFPageObj_GetFillColor, _Int, *[_Handle] * 5)


def handle(wrapped: Any) -> int:
    """Return the number behind one of pypdfium2's handles."""
    value: int = ctypes.cast(wrapped.raw, ctypes.c_void_p).value or 0
    return value


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
