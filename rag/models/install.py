"""Turns delivered files into an installed model: compare hashes, unpack, move, note it down."""

from __future__ import annotations

import shutil
from pathlib import Path

from rag.models import manifest as notes
from rag.models.catalogue import Entry
from rag.models.failures import unlike_reference, wrong_checksum
from rag.models.job import Job, sha256_of
from rag.models.manifest import Manifest, Recorded
from rag.models.sources import Delivered, Delivery, Place

PARTS = ".parts"
WRONG = ".wrong-sha256"
LEAST_COSINE = 0.99


def install(entry: Entry, delivery: Delivery, place: Place, job: Job) -> Manifest:
    """Install what a source delivered.

    Raises:
        WrongChecksum: a file is not the publisher's, or not the one seen at the first download.
    """
    before = notes.read(place.home)
    seen = {file.path: file.sha256 for file in before.files} if before else {}
    same = before is not None and before.revision == delivery.revision
    for arrived in delivery.files:
        expected = arrived.file.sha256 or (seen.get(arrived.file.path, "") if same else "")
        if expected and arrived.sha256 != expected:
            raise wrong_checksum(
                entry.name, _aside(arrived, place), expected=expected, found=arrived.sha256
            )
    if delivery.unpack:
        files, root = _unpack(entry, delivery, place, job), "."
    elif delivery.root and delivery.root != place.home:
        files, root = _as_delivered(delivery), str(delivery.root.resolve())
    else:
        files, root = _as_delivered(delivery), "."
        if delivery.root is None:
            _move(place.parts, place.home, files)
    manifest = Manifest(entry.name, delivery.source, delivery.revision, root, entry.loads, files)
    notes.write(place.home, manifest)
    shutil.rmtree(place.parts, ignore_errors=True)
    return manifest


def _aside(arrived: Delivered, place: Place) -> Path:
    """Keep the wrong file under a name that nothing loads; forget the parts it was made of."""
    target = place.home / (Path(arrived.file.path).name + WRONG)
    if not arrived.at.is_symlink():  # the hub library's cache is not ours to change
        arrived.at.replace(target)
    shutil.rmtree(place.parts, ignore_errors=True)
    return target


def _as_delivered(delivery: Delivery) -> tuple[Recorded, ...]:
    return tuple(
        Recorded(d.file.path, d.at.stat().st_size, d.sha256, d.trust) for d in delivery.files
    )


def _unpack(entry: Entry, delivery: Delivery, place: Place, job: Job) -> tuple[Recorded, ...]:
    """Build the model's folder out of the delivered file, and try it before it counts."""
    from rag.models.e5 import unpack
    from rag.models.e5_check import cosine_with_reference

    built = place.parts / "built"
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    unpack(delivery.files[0].at, built)
    job.check()
    cosine = cosine_with_reference(built)
    if cosine < LEAST_COSINE:
        raise unlike_reference(entry, cosine)
    paths = sorted(path for path in built.rglob("*") if path.is_file())
    files = tuple(
        Recorded(
            path.relative_to(built).as_posix(),
            path.stat().st_size,
            sha256_of(path, job),
            "unpacked",
        )
        for path in paths
    )
    _move(built, place.home, files)
    return files


def _move(source: Path, home: Path, files: tuple[Recorded, ...]) -> None:
    for file in files:
        target = home / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (source / file.path).replace(target)
