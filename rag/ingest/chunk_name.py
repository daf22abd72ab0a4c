"""The name of a way to cut, without importing what cuts."""

from __future__ import annotations

CHUNKING_VERSION = 3
"""Counts the changes that make passages cut before differ from those cut now."""


def chunking_name(*, tokens: int, overlap: int) -> str:
    """Return the name that a space keeps of its chunker."""
    return f"recursive/{tokens}/{overlap}/{CHUNKING_VERSION}"
