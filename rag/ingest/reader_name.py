"""The name of what reads PDFs, without importing it. It is kept with every document."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version

READER_VERSION = 3
"""Counts the changes that make the same PDF be read in another way."""


@lru_cache(maxsize=1)
def reader_name() -> str:
    """Return the libraries that read PDFs, with their versions, and our own."""
    return f"pypdfium2/{version('pypdfium2')}+pypdf/{version('pypdf')}/{READER_VERSION}"
