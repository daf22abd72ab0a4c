"""The vector index of the active space, for threads that read and one that writes.

The keeper is imported when it is first needed: a sync that changes nothing loads no numpy.
Reading never waits for Chroma: until it is open, and whenever it fails, the exact index over
the ledger's vectors answers. Writing opens Chroma, mended if need be, at the first change.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rag.protocols import Vector, VectorIndex, Vectors
    from rag.store.ledger import Ledger
    from rag.types.documents import Space

logger = logging.getLogger(__name__)


class LiveIndex:
    """Follows the ledger's active space."""

    def __init__(self, ledger: Ledger, folder: Path, *, engine: Literal["chroma", "numpy"]) -> None:
        self._ledger = ledger
        self._folder = folder
        self._engine = engine
        self._guard = threading.RLock()  # held for moments
        self._opening = threading.Lock()  # held while Chroma is opened, which may take minutes
        self._index: VectorIndex | None = None
        self._space: Space | None = None
        self._writing = False
        self._closed = False

    def for_reading(self) -> VectorIndex:
        """Return the index that is open, else an exact one. There must be an active space."""
        from rag.store.keeper import exact_index

        space = self._active()
        with self._guard:
            if self._index is None or self._space != space:
                self._hold(exact_index(self._ledger, space), space, writing=False)
            assert self._index is not None
            return self._index

    def for_writing(self) -> VectorIndex:
        """Return the index that changes go to; opened, and made equal to the ledger, if new."""
        space = self._active()
        with self._opening:
            with self._guard:
                if self._index is not None and self._space == space and self._writing:
                    return self._index
            fresh = self._opened(space)
            with self._guard:
                if self._closed:
                    fresh.close()
                else:
                    self._hold(fresh, space, writing=True)
            return fresh

    def close(self) -> None:
        """Let go of the files; Chroma is trusted next time only if it was closed here."""
        with self._guard:
            self._closed = True
            if self._index is None:
                return
            from rag.store.keeper import mark

            self._index.close()
            if self._writing and self._engine == "chroma" and self._space is not None:
                mark(self._ledger, self._space, self._folder, clean=True)
            self._index = self._space = None
            self._writing = False

    def _opened(self, space: Space) -> VectorIndex:
        from rag.store.keeper import exact_index, open_chroma

        if self._engine == "chroma":
            try:
                return _Guarded(open_chroma(self._ledger, space, self._folder), self, space)
            except Exception as error:  # noqa: BLE001 - whatever it is, the ledger can do its work
                self._give_up(error)
        return exact_index(self._ledger, space)

    def instead_of(self, failed: _Guarded, error: Exception) -> VectorIndex | None:
        """Return what does the work of an index that failed; ``None`` once all is closed.

        Whoever holds an index that was closed since, as a question during a rebuild does, meets
        a failure that is none of Chroma's.
        """
        from rag.store.keeper import exact_index

        with self._guard:
            if self._closed:
                return None
            if self._index is failed:
                self._give_up(error)
                return self._index
            if self._space == failed.space:
                return self._index
        return exact_index(self._ledger, failed.space)

    def _give_up(self, error: Exception) -> None:
        """Do without Chroma until the next start, which mends it."""
        from rag.store.keeper import exact_index

        logger.warning("the vector index failed (%s); it is mended at the next start", error)
        with self._guard:
            self._engine = "numpy"
            if self._index is not None and self._space is not None:
                self._index, self._writing = exact_index(self._ledger, self._space), True

    def _hold(self, index: VectorIndex, space: Space, *, writing: bool) -> None:
        before = self._index
        self._index, self._space, self._writing = index, space, writing
        if before is not None:
            before.close()

    def _active(self) -> Space:
        space = self._ledger.active_space()
        assert space is not None, "nothing is indexed before a space is active"
        return space


class _Guarded:
    """Chroma, until it fails: a full disk or a damaged file costs no change and no answer."""

    def __init__(self, chroma: VectorIndex, live: LiveIndex, space: Space) -> None:
        self.space = space
        self._chroma = chroma
        self._live = live

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        try:
            self._chroma.put(ids, vectors)
        except Exception as error:  # noqa: BLE001 - the rows are in the ledger already
            if (other := self._live.instead_of(self, error)) is not None:
                other.put(ids, vectors)

    def delete(self, ids: Collection[int]) -> None:
        try:
            self._chroma.delete(ids)
        except Exception as error:  # noqa: BLE001 - they are gone from the ledger already
            if (other := self._live.instead_of(self, error)) is not None:
                other.delete(ids)

    def search(self, query: Vector, *, k: int) -> list[tuple[int, float]]:
        try:
            return self._chroma.search(query, k=k)
        except Exception as error:  # noqa: BLE001 - the exact index answers instead
            other = self._live.instead_of(self, error)
            return other.search(query, k=k) if other is not None else []

    def ids(self) -> set[int]:
        return self._chroma.ids()

    def close(self) -> None:
        self._chroma.close()
