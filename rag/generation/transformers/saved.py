"""4-bit weights, kept after they were made once: later starts read a quarter and skip the work.

A copy is written beside and renamed, so that there is a whole one or none. It says what it was
made of and by what; where that is no longer so it is made again. Every file is checked by its
sha256 before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rag.text.sizes import memory_size

logger = logging.getLogger(__name__)

MANIFEST = "made_of.json"
_LIBRARIES = ("transformers", "bitsandbytes")
_SPARE = 1.1  # of the size of the weights in memory, free on the disk


class SavedWeights:
    """One copy."""

    def __init__(self, source: Path, *, folder: Path, precision: str, compute: str) -> None:
        """``folder`` holds copies of many models; ``compute`` is the type that is computed in."""
        self._made_of = _made_of(source, precision=precision, compute=compute)
        place = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
        self.path = folder / f"{source.name}-{precision}-{place}"

    def ready(self) -> bool:
        """Return whether there is a whole copy of these weights; put away any other."""
        if not self.path.is_dir():
            return False
        try:
            manifest = json.loads((self.path / MANIFEST).read_text("utf-8"))
            files = {str(name): str(digest) for name, digest in manifest["files"].items()}
            made_of = manifest["made_of"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self.set_aside()
            return False
        if made_of != self._made_of:
            logger.info("%s was made of other weights or by other versions", self.path.name)
            shutil.rmtree(self.path, ignore_errors=True)
            return False
        if files != self._digests(self.path):
            self.set_aside()
            return False
        return True

    def set_aside(self) -> None:
        """Keep a damaged copy for whoever wants to look, and out of the way."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        logger.warning("%s is damaged and is made again; see %s", self.path.name, aside.name)
        shutil.rmtree(aside, ignore_errors=True)
        self.path.rename(aside)

    def write(self, model: Any) -> None:
        """Keep a model's weights, if there is room. Without them all works, only slower."""
        draft = self.path.with_name(f"{self.path.name}.draft-{os.getpid()}")
        try:
            draft.mkdir(parents=True, exist_ok=True)
            needed = model.get_memory_footprint() * _SPARE
            if shutil.disk_usage(draft).free < needed:
                logger.warning("no room for %s of 4-bit weights", memory_size(needed))
                return
            model.save_pretrained(draft)
            manifest = {"made_of": self._made_of, "files": self._digests(draft)}
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
            draft.rename(self.path)
        except OSError as error:
            logger.warning("the 4-bit weights cannot be kept: %s", error)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _digests(self, folder: Path) -> dict[str, str]:
        return {
            file.name: _sha256(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST
        }


def _made_of(source: Path, *, precision: str, compute: str) -> dict[str, Any]:
    """Return what a copy depends on; files of weights by name, size and time, as 26 GB are long."""
    weights = sorted(source.glob("*.safetensors"))
    return {
        "source": source.name,
        "revision": source.resolve().name,  # in the hub's cache the folder is the commit
        "config": _sha256(source / "config.json"),
        "weights": [[w.name, w.stat().st_size, w.stat().st_mtime_ns] for w in weights],
        "precision": precision,
        "compute": compute,
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
