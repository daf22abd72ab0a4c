"""Keeps the vector index equal to the ledger, for threads that read and one that writes.

A stamp in the ledger says how the last process that wrote to Chroma left its files. If it
did not close them, or if they are not as it left them, or of another version, Chroma is
probed in a child process, brought up to date, or set aside and filled again from the
ledger's vectors, without embedding anything.

The keeper is imported when it is first needed: a sync that changes nothing loads no numpy.
Reading never waits for Chroma: until it is open, and whenever it fails, the exact index over
the ledger's vectors answers. Writing opens Chroma, mended if need be, at the first change.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from rag.types.documents import IndexVersion
from rag.types.index_version import chunking_tokens, model_name

if TYPE_CHECKING:
    from rag.protocols import Vector, VectorIndex, Vectors
    from rag.storage.ledger import Ledger
    from rag.storage.passages import LedgerPassages
    from rag.storage.vectors.exact import ExactIndex


logger = logging.getLogger(__name__)
T = TypeVar("T")
_CLEAN = "index_clean"


def collection_name(version: IndexVersion) -> str:
    """Return the name of an index version's collection."""
    return f"space-{version.id}"


def exact_index(ledger: Ledger, version: IndexVersion) -> ExactIndex:
    """Return the reference index over the ledger's vectors. For readers, and as a stand-in."""
    # here and below: a sync that changes nothing loads no numpy
    from rag.storage.passages import LedgerPassages
    from rag.storage.vectors.exact import ExactIndex

    return ExactIndex.filled(LedgerPassages(ledger, version).all_vectors(), dim=version.dim)


def is_clean(ledger: Ledger, version: IndexVersion, folder: Path) -> bool:
    """Return whether the index on disk is as this program closed it, and of this index version."""
    return ledger.meta(_CLEAN) == _stamp(version, folder)


def mark(ledger: Ledger, version: IndexVersion, folder: Path, *, clean: bool) -> None:
    """Remember whether the index on disk can be trusted."""
    ledger.set_meta(_CLEAN, _stamp(version, folder) if clean else None)


def _stamp(version: IndexVersion, folder: Path) -> str:
    """Name the index version, Chroma's version, and every file with its size and time."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    return f"{version.id} {package_version('chromadb')} {digest.hexdigest()}"


def open_chroma(ledger: Ledger, version: IndexVersion, folder: Path) -> VectorIndex:
    """Open the index version's collection, mended or refilled as needed. Only for the owner."""
    from rag.storage.passages import LedgerPassages
    from rag.storage.vectors.chroma import ChromaIndex, delete_collections, is_sound

    name = collection_name(version)
    clean = is_clean(ledger, version, folder)
    if folder.exists() and not clean and not is_sound(folder, collection=name):
        aside = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        logger.warning("the vector index was damaged and is set aside as %s", aside)
    mark(ledger, version, folder, clean=False)
    if not clean and folder.exists():
        delete_collections(folder, keep={collection_name(s) for s in ledger.versions().values()})
    index = ChromaIndex(folder, collection=name)
    _reconcile(index, LedgerPassages(ledger, version))
    return index


def _reconcile(index: VectorIndex, passages: LedgerPassages) -> None:
    have, want = index.ids(), passages.chunk_ids()
    if stray := have - want:
        index.delete(stray)
    if not (missing := want - have):
        return
    logger.info("filling the vector index: %d of %d rows", len(missing), len(want))
    for ids, rows in passages.all_vectors():
        chosen = [row for row, chunk_id in enumerate(ids) if chunk_id in missing]
        if chosen:
            index.put([ids[row] for row in chosen], rows[chosen])


@dataclass(frozen=True, slots=True)
class PreviousIndex:
    """How it was made, so that a person can tell it from the present one."""

    embedder: str  # the model's name alone
    tokens: int  # of the longest passage; 0 where its cutter does not say
    passages: int
    made_at: float  # seconds since the epoch
    newer: bool  # made after the one that answers: a rebuild was rolled back


def kept_index(ledger: Ledger) -> PreviousIndex | None:
    """Describe the index to go back to; ``None`` where there is none."""
    version, active = ledger.previous_version(), ledger.active_version()
    if version is None or active is None:
        return None
    made_at = ledger.connection.execute(
        "SELECT created_at FROM spaces WHERE id = ?", (version.id,)
    ).fetchone()[0]
    return PreviousIndex(
        model_name(version.embedder),
        chunking_tokens(version.chunking),
        ledger.chunk_count(version),
        made_at,
        newer=version.id > active.id,
    )


class VectorIndexManager:
    """Follows the ledger's active index version."""

    def __init__(self, ledger: Ledger, folder: Path, *, engine: Literal["chroma", "numpy"]) -> None:
        self._ledger = ledger
        self._folder = folder
        self._engine = engine
        self._guard = threading.RLock()  # held for moments
        self._opening = threading.Lock()  # held while Chroma is opened, which may take minutes
        self._index: VectorIndex | None = None
        self._version: IndexVersion | None = None
        self._writing = False
        self._closed = False

    def for_reading(self) -> VectorIndex:
        """Return the index that is open, else an exact one. An index version must be active."""
        version = self._active()
        with self._guard:
            if self._index is None or self._version != version:
                self._hold(exact_index(self._ledger, version), version, writing=False)
            assert self._index is not None
            return self._index

    def for_writing(self) -> VectorIndex:
        """Return the index that changes go to; opened, and made equal to the ledger, if new."""
        version = self._active()
        with self._opening:
            with self._guard:
                if self._index is not None and self._version == version and self._writing:
                    return self._index
            fresh = self._opened(version)
            with self._guard:
                if self._closed:
                    fresh.close()
                else:
                    self._hold(fresh, version, writing=True)
            return fresh

    def close(self) -> None:
        """Let go of the files; Chroma is trusted next time only if it was closed here."""
        with self._guard:
            self._closed = True
            if self._index is None:
                return
            self._index.close()
            if self._writing and self._engine == "chroma" and self._version is not None:
                mark(self._ledger, self._version, self._folder, clean=True)
            self._index = self._version = None
            self._writing = False

    def _opened(self, version: IndexVersion) -> VectorIndex:
        if self._engine == "chroma":
            try:
                return _Guarded(open_chroma(self._ledger, version, self._folder), self, version)
            except Exception as error:  # noqa: BLE001 - whatever it is, the ledger can do its work
                self._give_up(error)
        return exact_index(self._ledger, version)

    def instead_of(self, failed: _Guarded, error: Exception) -> VectorIndex | None:
        """Return what does the work of an index that failed; ``None`` once all is closed.

        Whoever holds an index that was closed since, as a question during a rebuild does, meets
        a failure that is none of Chroma's.
        """
        with self._guard:
            if self._closed:
                return None
            if self._index is failed:
                self._give_up(error)
                return self._index
            if self._version == failed.version:
                return self._index
        return exact_index(self._ledger, failed.version)

    def _give_up(self, error: Exception) -> None:
        """Do without Chroma until the next start, which mends it."""
        logger.warning("the vector index failed (%s); it is mended at the next start", error)
        with self._guard:
            self._engine = "numpy"
            if self._index is not None and self._version is not None:
                self._index, self._writing = exact_index(self._ledger, self._version), True

    def _hold(self, index: VectorIndex, version: IndexVersion, *, writing: bool) -> None:
        before = self._index
        self._index, self._version, self._writing = index, version, writing
        if before is not None:
            before.close()

    def _active(self) -> IndexVersion:
        version = self._ledger.active_version()
        assert version is not None, "nothing is indexed before an index version is active"
        return version


class _Guarded:
    """Chroma, until it fails: a full disk or a damaged file costs no change and no answer."""

    def __init__(
        self, chroma: VectorIndex, live: VectorIndexManager, version: IndexVersion
    ) -> None:
        self.version = version
        self._chroma = chroma
        self._live = live

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        self._do(lambda index: index.put(ids, vectors), nothing=None)

    def delete(self, ids: Collection[int]) -> None:
        self._do(lambda index: index.delete(ids), nothing=None)

    def search(self, query: Vector, *, k: int) -> list[tuple[int, float]]:
        return self._do(lambda index: index.search(query, k=k), nothing=[])

    def _do(self, work: Callable[[VectorIndex], T], *, nothing: T) -> T:
        try:
            return work(self._chroma)
        except Exception as error:  # noqa: BLE001 - the ledger has it all; another index does it
            other = self._live.instead_of(self, error)
            return nothing if other is None else work(other)

    def ids(self) -> set[int]:
        return self._chroma.ids()

    def close(self) -> None:
        self._chroma.close()
