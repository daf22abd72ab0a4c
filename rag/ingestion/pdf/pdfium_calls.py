"""PDFium's text calls without ctypes' pointer objects: a page asks some hundred times.

The same functions of the same library as ``pypdfium2.raw``; handles are plain numbers here,
which makes a call several times cheaper.
"""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium

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
