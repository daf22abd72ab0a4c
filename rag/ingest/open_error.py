"""The error that says why a file cannot be read. Loads no PDF library."""

from __future__ import annotations

from pathlib import Path

from rag.errors import UnreadableDocument
from rag.text.messages import Text
from rag.text.reasons import REASONS


def unreadable(path: Path, reason: str) -> UnreadableDocument:
    """Return the error that says why a file cannot be read."""
    words = REASONS[reason]
    return UnreadableDocument(
        Text(f"{path.name}: {words.what.en}", f"{path.name}：{words.what.zh}"),
        hint=words.remedy,
        reason=reason,
    )
