"""The vector index of the active space, for a process that reads and one that writes.

Reading never waits for Chroma: until it is open, the exact index over the ledger's vectors
answers. Writing opens Chroma, mended if need be, at the first change.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rag.store.keeper import exact_index, mark, open_chroma

if TYPE_CHECKING:
    from rag.protocols import VectorIndex
    from rag.store.ledger import Ledger
    from rag.types import Space


class LiveIndex:
    """Follows the ledger's active space."""

    def __init__(self, ledger: Ledger, folder: Path, *, engine: Literal["chroma", "numpy"]) -> None:
        self._ledger = ledger
        self._folder = folder
        self._engine = engine
        self._guard = threading.RLock()
        self._index: VectorIndex | None = None
        self._space: Space | None = None
        self._writing = False

    def for_reading(self) -> VectorIndex:
        """Return the index that is open, else an exact one. There must be an active space."""
        space = self._active()
        with self._guard:
            if self._index is None or self._space != space:
                self._hold(exact_index(self._ledger, space), space, writing=False)
            assert self._index is not None
            return self._index

    def for_writing(self) -> VectorIndex:
        """Return the index that changes go to; opened, and made equal to the ledger, if new."""
        space = self._active()
        with self._guard:
            if self._index is None or self._space != space or not self._writing:
                fresh = self._opened(space)
                self._hold(fresh, space, writing=True)
            assert self._index is not None
            return self._index

    def close(self) -> None:
        """Let go of the files; Chroma is trusted next time only if it was closed here."""
        with self._guard:
            if self._index is None:
                return
            self._index.close()
            if self._writing and self._engine == "chroma" and self._space is not None:
                mark(self._ledger, self._space, clean=True)
            self._index = self._space = None
            self._writing = False

    def _opened(self, space: Space) -> VectorIndex:
        if self._engine == "chroma":
            return open_chroma(self._ledger, space, self._folder)
        return exact_index(self._ledger, space)

    def _hold(self, index: VectorIndex, space: Space, *, writing: bool) -> None:
        before = self._index
        self._index, self._space, self._writing = index, space, writing
        if before is not None:
            before.close()

    def _active(self) -> Space:
        space = self._ledger.active_space()
        assert space is not None, "nothing is indexed before a space is active"
        return space
