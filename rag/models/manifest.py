"""What is installed: a note beside the weights, written after they were verified.

A start-up reads it and compares sizes; it does not hash a gigabyte each time.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NAME = ".manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """One verified file."""

    path: str  # relative to ``Manifest.root``
    bytes: int
    sha256: str
    trust: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model that was verified."""

    name: str
    source: str
    revision: str  # where the bytes come from; two revisions may give different vectors
    root: str  # absolute, or "." for the model's own folder
    loads: str  # relative to ``root``: what an engine opens
    files: tuple[Recorded, ...]

    def path(self, home: Path) -> Path:
        """Return what an engine opens."""
        return (home / self.root / self.loads).resolve()

    def stands(self, home: Path) -> bool:
        """Tell whether every file is still there with its size."""
        root = home / self.root
        try:
            return all((root / f.path).stat().st_size == f.bytes for f in self.files)
        except OSError:
            return False

    def agrees(self, hashes: dict[str, str]) -> bool:
        """Tell whether no file contradicts the catalogue's hashes; "" stands for unknown."""
        return all(
            file.trust == "unpacked" or hashes.get(file.path, "") in {"", file.sha256}
            for file in self.files
        )


def read(home: Path) -> Manifest | None:
    """Return the note of the model in ``home``; ``None`` if there is none that can be read."""
    try:
        data: dict[str, Any] = json.loads((home / NAME).read_text("utf-8"))
        if data.pop("format") != FORMAT:
            return None
        files = tuple(Recorded(**file) for file in data.pop("files"))
        return Manifest(**data, files=files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(home: Path, manifest: Manifest) -> None:
    """Write the note as one step: it is there whole, or not at all."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, ensure_ascii=False)
    draft = home / f"{NAME}.tmp"
    with draft.open("w", encoding="utf-8") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(home / NAME)
