"""An embedder that first looks whether the ledger already has a passage's vector."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from rag.indexing.work import SPEED
from rag.retrieval.analyser import text_digest
from rag.storage.passages import known_vectors

if TYPE_CHECKING:
    from rag.protocols import Embedder, Vector, Vectors
    from rag.storage.ledger import Ledger

_ENOUGH_S = 1.0  # a shorter run says little about the speed of the machine


class ReusingEmbedder:
    """Satisfies ``Embedder``. What was embedded once by the same embedder is not again.

    Rows taken from the ledger have its 16 bits, so that what is written again is the same.
    """

    def __init__(self, embedder: Embedder, ledger: Ledger) -> None:
        self.name, self.dim, self.max_tokens = embedder.name, embedder.dim, embedder.max_tokens
        self._embedder = embedder
        self._ledger = ledger
        self._embedded = 0
        self._seconds = 0.0

    def count_tokens(self, text: str) -> int:
        """Count tokens as the embedder does."""
        return self._embedder.count_tokens(text)

    def embed_query(self, text: str) -> Vector:
        """Return the embedder's vector."""
        return self._embedder.embed_query(text)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 rows, shape ``(len(texts), dim)``, in the given order."""
        digests = [text_digest(text) for text in texts]
        known = known_vectors(self._ledger, self.name, self.dim, digests)
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        fresh = [at for at, digest in enumerate(digests) if digest not in known]
        for at, digest in enumerate(digests):
            if digest in known:
                rows[at] = known[digest]
        if fresh:
            began = perf_counter()
            rows[fresh] = self._embedder.embed_passages([texts[at] for at in fresh])
            self._seconds += perf_counter() - began
            self._embedded += len(fresh)
        return rows

    def remember_speed(self) -> None:
        """Keep how fast passages were embedded, for estimates."""
        if self._seconds >= _ENOUGH_S:
            self._ledger.set_meta(SPEED + self.name, f"{self._embedded / self._seconds:.3f}")
