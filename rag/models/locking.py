"""One download of a model at a time, whichever processes want it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rag.models.catalogue import Entry
from rag.models.job import Job
from rag.models.sources import Place
from rag.types.progress import Progress

WAIT_S = 0.5
"""How often a waiting process looks whether it was stopped, and what has arrived."""


@contextmanager
def locked(entry: Entry, place: Place, job: Job) -> Iterator[None]:
    """Hold the model's lock; while another process has it, report that one's progress.

    Raises:
        DownloadCancelled: the person did not want to wait.
    """
    lock = FileLock(place.home / ".lock")
    while True:
        job.check()
        try:
            lock.acquire(timeout=WAIT_S)
            break
        except Timeout:
            done = min(_bytes_in(place.parts), entry.download_bytes)
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
