"""The reference index: exact search in memory. Every other index is tested against it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors


class ExactIndex:
    """Exact cosine search over all rows. Safe to search while another thread writes."""

    def __init__(self, *, dim: int) -> None:
        self._lock = threading.Lock()
        self._ids: np.ndarray[tuple[int], np.dtype[np.int64]] = np.empty(0, dtype=np.int64)
        self._rows: Vectors = np.empty((0, dim), dtype=np.float32)

    @classmethod
    def filled(cls, batches: Iterable[tuple[list[int], Vectors]], *, dim: int) -> ExactIndex:
        """Return an index of all rows; ids must not repeat."""
        index = cls(dim=dim)
        parts = list(batches)
        if parts:
            index._ids = np.concatenate([np.asarray(ids, dtype=np.int64) for ids, _ in parts])
            index._rows = np.concatenate([rows for _, rows in parts])
        return index

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        with self._lock:
            new = np.asarray(ids, dtype=np.int64)
            keep = ~np.isin(self._ids, new)
            self._ids, self._rows = (
                np.concatenate([self._ids[keep], new]),
                np.concatenate([self._rows[keep], np.asarray(vectors, dtype=np.float32)]),
            )

    def delete(self, ids: Collection[int]) -> None:
        with self._lock:
            keep = ~np.isin(self._ids, np.fromiter(ids, dtype=np.int64, count=len(ids)))
            self._ids, self._rows = self._ids[keep], self._rows[keep]

    def search(self, query: Vector, *, k: int) -> list[tuple[int, float]]:
        with self._lock:
            ids, rows = self._ids, self._rows
        return nearest(ids, rows, query, k=k)

    def ids(self) -> set[int]:
        with self._lock:
            return {int(i) for i in self._ids}

    def close(self) -> None:
        """Nothing to let go of."""


def nearest(
    ids: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]],
    rows: Vectors,
    query: Vector,
    *,
    k: int,
) -> list[tuple[int, float]]:
    """Return at most ``k`` ``(id, cosine)`` pairs, best first, ties by id.

    ``rows`` has shape ``(len(ids), dim)``; rows and query have norm 1.
    """
    if len(ids) == 0 or k <= 0:
        return []
    scores = rows @ query  # (rows,)
    best = np.argpartition(-scores, k - 1)[:k] if k < len(scores) else np.arange(len(scores))
    pairs = [(int(ids[i]), float(scores[i])) for i in best]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
