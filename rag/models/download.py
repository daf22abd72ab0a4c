"""How a model's files are come by: what one pull is, one at a time, and what is here already."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from rag.errors import DownloadFailed
from rag.models.catalogue import Entry, File
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from hashlib import _Hash


SourceName = Literal["folder", "hub", "wheels"]
Trust = Literal["catalogue", "hub", "first use", "unpacked"]
"""Whom we believe a hash: this program, the hub's word, the first download, our own code."""


class SourceUnavailable(Exception):
    """This source cannot deliver; the next one is asked."""

    def __init__(self, reason: Text, *, hint: Text | None = None) -> None:
        super().__init__(reason.en)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file as it arrived."""

    file: File  # ``file.sha256`` is what the bytes must have; "" = nobody knows yet
    at: Path
    sha256: str  # what they have
    told_by: Trust = "catalogue"

    @property
    def trust(self) -> Trust:
        """Whom we believe the hash."""
        return self.told_by if self.file.sha256 else "first use"


@dataclass(frozen=True, slots=True)
class Delivery:
    """All files of a model."""

    source: SourceName
    revision: str
    files: tuple[Delivered, ...]
    root: Path | None = None  # set: use the files where they stand, below this folder
    unpack: Literal["", "e5"] = ""


BLOCK_BYTES = 1 << 20
REPORT_EVERY_S = 0.2
PARTS = ".parts"
SPARE_BYTES = 64 << 20
"""Disk space that a download leaves to others."""


class DownloadCancelled(DownloadFailed):
    """The person stopped it; what was fetched is kept, and the next pull goes on from there."""


@dataclass(frozen=True, slots=True)
class Download:
    """One pull of one model, as its sources see it."""

    entry: Entry
    folder: Path  # of all models
    progress: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    notify: Callable[[Text], None]  # what a person should know though nothing failed
    free_bytes: Callable[[Path], int]
    offline: bool = False

    @property
    def home(self) -> Path:
        """The model's own folder."""
        return self.folder / self.entry.name

    @property
    def parts(self) -> Path:
        """Folder of what is not finished; the next pull goes on from there."""
        return self.home / PARTS

    def check(self) -> None:
        """Raise ``DownloadCancelled`` once the person asked to stop."""
        if self.cancelled():
            raise DownloadCancelled(
                Text("The download was stopped.", "下载已停止。"),
                hint=Text(
                    "Start it again at any time; it goes on where it stopped.",
                    "可随时重新开始，会从中断处继续。",
                ),
            )

    def need(self, count: int) -> None:
        """Raise ``DownloadFailed`` if the disk cannot take ``count`` more bytes of the model."""
        folder, name, free = self.folder, self.entry.name, self.free_bytes(self.folder)
        if count + SPARE_BYTES <= free:
            return
        raise DownloadFailed(
            Text(
                f"Not enough disk space in {folder} for {name}: {size(count)} needed,"
                f" {size(free)} free.",
                f"{folder} 磁盘空间不足，放不下 {name}：需要 {size(count)}，可用 {size(free)}。",
            ),
            hint=Text(
                f"Free {size(count + SPARE_BYTES - free)}, or set models.folder to a larger disk.",
                f"请腾出 {size(count + SPARE_BYTES - free)}，或把 models.folder 设到更大的磁盘。",
            ),
        )


Source = Callable[[Download], Delivery]
"""Brings all files of a model to the job's ``parts``, or finds them on this machine.

Raises ``SourceUnavailable``: ask the next one; ``DownloadFailed``: no source can help."""


class DownloadMeter:
    """Counts bytes; reports a few times a second, and stops a cancelled job."""

    def __init__(self, job: Download, *, stage: str, item: str, total: int | None) -> None:
        self._job, self._stage, self._item, self._total = job, stage, item, total
        self._done = 0
        self._begun: tuple[float, int] | None = None
        self._reported = 0.0
        self._send(time.monotonic())

    def add(self, count: int) -> None:
        """Count ``count`` more bytes."""
        self.to(self._done + count)

    def to(self, done: int) -> None:
        """Set the count. Cheap: call it for every block."""
        self._job.check()
        self._done = done
        now = time.monotonic()
        if now - self._reported >= REPORT_EVERY_S or done == self._total:
            self._send(now)

    def _send(self, now: float) -> None:
        self._reported = now
        if self._begun is None and self._done:  # what an earlier try fetched is no speed
            self._begun = (now, self._done)
        since, before = self._begun or (now, self._done)
        rate = (self._done - before) / (now - since) if now > since else 0.0
        self._job.progress(
            Progress(self._stage, self._done, self._total, "bytes", self._item, rate)
        )


def hash_into(digest: _Hash, path: Path, *, each: Callable[[int], None]) -> int:
    """Feed the file to ``digest`` block by block; return its size in bytes."""
    done = 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            each(len(block))
    return done


def sha256_of(path: Path, job: Download) -> str:
    """Return the file's sha256, hex."""
    meter = DownloadMeter(job, stage="verify", item=path.name, total=path.stat().st_size)
    digest = sha256()
    hash_into(digest, path, each=meter.add)
    return digest.hexdigest()


def size(count: int) -> str:
    """Return a number of bytes as people read it.

    >>> size(1_117_320_768), size(491_400_064), size(2_300)
    ('1.1 GB', '491 MB', '2 kB')
    """
    for unit, limit in (("GB", 10**9), ("MB", 10**6)):
        if count >= limit:
            return f"{count / limit:.1f} {unit}" if unit == "GB" else f"{count / limit:.0f} {unit}"
    return f"{count / 1000:.0f} kB"


WAIT_S = 0.5
"""How often a waiting process looks whether it was stopped, and what has arrived."""


@contextmanager
def locked(job: Download) -> Iterator[None]:
    """Hold the model's lock; while another process has it, report that one's progress.

    Raises:
        DownloadCancelled: the person did not want to wait.
    """
    entry, lock = job.entry, FileLock(job.home / ".lock")
    while True:
        job.check()
        try:
            lock.acquire(timeout=WAIT_S)
            break
        except Timeout:
            done = min(_bytes_in(job.parts), entry.download_bytes)
            job.progress(Progress("download", done, entry.download_bytes, "bytes", entry.name))
    try:
        yield
    finally:
        lock.release()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # the other process has just moved it
            continue
    return total


# -- models that are here already: copied by hand, or by another program -----------------------

WEIGHTS_INDEX = "model.safetensors.index.json"


def from_folder(job: Download) -> Delivery:
    """Return files of the models folder, or of the model's own inside it, where they stand."""
    entry, wheels = job.entry, job.entry.wheels
    listed = entry.hub is None or not entry.hub.patterns
    if listed and (root := _stand(job, entry.files)):
        return as_it_stands("folder", root, entry.files, entry.revision(entry.files), job)
    if wheels and wheels.unpack and (root := _stand(job, wheels.files)):
        revision = entry.revision(wheels.files)
        delivery = as_it_stands("folder", root, wheels.files, revision, job)
        return replace(delivery, unpack=wheels.unpack)
    if entry.hub and not listed and whole_model(job.home):
        files = matching(job.home, entry.hub.patterns, entry.files)
        return as_it_stands("folder", job.home, files, "copied by hand", job)
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


def as_it_stands(
    source: SourceName, root: Path, files: tuple[File, ...], revision: str, job: Download
) -> Delivery:
    """Return files of this machine, hashed, to be used below ``root``."""
    paths = [(file, root / file.path) for file in files]
    found = tuple(Delivered(file, path, sha256_of(path, job)) for file, path in paths)
    return Delivery(source, revision, found, root)


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
