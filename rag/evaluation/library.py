"""The libraries that are measured: kept in the cache folder, beside nobody's own documents.

Each set has a folder of its own there, so that measuring again costs only what has changed.
"""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_path


def folder_for(source: Path) -> Path:
    """Return the folder that holds the library of an evaluation set; made if need be."""
    resolved = source.resolve()
    digest = sha256(str(resolved).encode()).hexdigest()[:12]
    name = resolved.name.partition(".")[0] or "set"
    folder = user_cache_path("ragdesk", appauthor=False) / "eval" / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def bring_pdfs(source: Path, folder: Path) -> int:
    """Copy the PDFs below ``source`` that are new or changed, drop the others; count them.

    Questions name files without their folders, so a name that comes twice is taken once.
    """
    wanted = {
        file.name: file
        for file in sorted(source.rglob("*"), reverse=True)
        if file.suffix.lower() == ".pdf" and not file.name.startswith(".")
    }
    for kept in folder.glob("*"):
        if kept.suffix.lower() == ".pdf" and kept.name not in wanted:
            kept.unlink()
    for name, file in wanted.items():
        target = folder / name
        if not target.exists() or _stat(target) != _stat(file):
            shutil.copy2(file, target)
    return len(wanted)


def _stat(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, int(found.st_mtime)
