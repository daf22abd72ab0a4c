"""What lies in the knowledge folder."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One PDF in the folder. ``path`` is relative, POSIX, NFC; ``real`` opens it."""

    path: str
    real: Path
    size: int
    mtime_ns: int


def scan(folder: Path) -> list[FoundFile]:
    """Return all PDFs below ``folder``, sorted by path.

    Hidden files and folders are left out, and so are links that lead out of the folder.
    """
    root = folder.resolve()
    return sorted(_walk(root, root), key=lambda found: found.path)


def _walk(folder: Path, root: Path) -> Iterator[FoundFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), root)
            elif entry.name.lower().endswith(".pdf") and entry.is_file():
                stat = entry.stat()
                yield FoundFile(
                    relative_name(Path(entry.path), root),
                    Path(entry.path),
                    stat.st_size,
                    stat.st_mtime_ns,
                )
        except OSError:
            continue  # it went between the listing and the look


def relative_name(path: Path, root: Path) -> str:
    """Return ``path`` below ``root`` as it is kept in the ledger: POSIX separators, NFC."""
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def content_id(path: Path) -> str:
    """Return the sha256 of the file's bytes, hex.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
