"""Finds models that are on this machine already: copied by hand, or by another program."""

from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from rag.models.catalogue import File
from rag.models.download import Delivered, Delivery, Download, SourceUnavailable, sha256_of
from rag.text.messages import Text

WEIGHTS_INDEX = "model.safetensors.index.json"


def from_folder(job: Download) -> Delivery:
    """Return files of the models folder, or of the model's own inside it, where they stand."""
    entry, wheels = job.entry, job.entry.wheels
    listed = entry.hub is None or not entry.hub.patterns
    if listed and (root := _stand(job, entry.files)):
        return _delivery(root, entry.files, entry.revision(entry.files), job)
    if wheels and wheels.unpack and (root := _stand(job, wheels.files)):
        delivery = _delivery(root, wheels.files, entry.revision(wheels.files), job)
        return replace(delivery, unpack=wheels.unpack)
    if entry.hub and not listed and whole_model(job.home):
        files = matching(job.home, entry.hub.patterns, entry.files)
        return _delivery(job.home, files, "copied by hand", job)
    raise SourceUnavailable(
        Text(f"nothing suitable in {job.folder}", f"{job.folder} 中没有合适的文件")
    )


def _stand(job: Download, files: tuple[File, ...]) -> Path | None:
    """Return the folder in which all ``files`` stand with the right size, or ``None``.

    A single file may also lie loose in the models folder.
    """
    if not files:
        return None
    for root in [job.home, job.folder][: 2 if len(files) == 1 else 1]:
        paths = [(root / file.path, file.bytes) for file in files]
        if all(path.is_file() and path.stat().st_size == size for path, size in paths):
            return root
    return None


def _delivery(root: Path, files: tuple[File, ...], revision: str, job: Download) -> Delivery:
    paths = [(file, root / file.path) for file in files]
    found = tuple(Delivered(file, path, sha256_of(path, job)) for file, path in paths)
    return Delivery("folder", revision, found, root)


def whole_model(folder: Path) -> bool:
    """Tell whether ``folder`` holds a configuration and all weights, as safetensors."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return (folder / "model.safetensors").is_file()
    try:
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return False
    return all((folder / str(shard)).is_file() for shard in shards)


def matching(folder: Path, patterns: tuple[str, ...], pinned: tuple[File, ...]) -> tuple[File, ...]:
    """Return the files of ``folder`` that match, each as the catalogue pins it if it does."""
    known = {file.path: file for file in pinned}
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and takes(name, patterns):
            found.append(known.get(name) or File(name, path.stat().st_size))
    return tuple(found)


def takes(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a model's file is wanted: it matches, and hides nowhere.

    >>> takes("model.safetensors", ("*.safetensors",)), takes("onnx/model.json", ("*.json",))
    (True, False)
    >>> takes("1_Pooling/config.json", ("*.json", "1_Pooling/*"))
    True
    """
    parts = name.split("/")
    if any(part in {"", "..", "."} or part.startswith(".") for part in parts):
        return False
    return any(
        fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns
    )
