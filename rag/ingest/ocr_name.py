"""The name of what recognises text, without importing it. It is kept with every page it read."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version

DPI = 150  # as good as 200, and a quarter cheaper: "Text recognition" in docs/decisions.md
OCR_VERSION = 2
"""Counts the changes of ours that make the same page be recognised in another way."""


@lru_cache(maxsize=1)
def ocr_name() -> str:
    """Return the library with its version, and so its models, the resolution, and our own."""
    return f"rapidocr/{version('rapidocr')}/{DPI}/{OCR_VERSION}"
