"""An embedder without a model: hashed terms. For demos, tests and continuous integration."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.query.content_words import content_terms

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors


class HashingEmbedder:
    """Counts terms into ``dim`` buckets; texts that share words or characters are close.

    It takes texts of any length, so ``max_tokens`` is only what passages are cut to.
    """

    def __init__(self, dim: int = 256, *, max_tokens: int = 512) -> None:
        self.dim = dim
        self.name = f"hashing/{dim}"
        self.max_tokens = max_tokens
        self._analyser = BilingualAnalyser()

    def count_tokens(self, text: str) -> int:
        """Count terms; there is no prefix and there are no special tokens."""
        return len(self._analyser.words(text))

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 rows of norm 1, shape ``(len(texts), dim)``.

        A text without a single term has no direction of its own and gets the first axis.
        """
        return self._rows([self._analyser.words(text) for text in texts])

    def embed_query(self, text: str) -> Vector:
        """Return one float32 vector of norm 1, shape ``(dim,)``.

        Words that every question has are left out; nothing here learned to overlook them.
        """
        vector: Vector = self._rows([content_terms(text, self._analyser)])[0]
        return vector

    def _rows(self, termed: Sequence[Sequence[str]]) -> Vectors:
        rows = np.zeros((len(termed), self.dim), dtype=np.float32)
        for row, terms in zip(rows, termed, strict=True):
            for term in terms:
                digest = zlib.crc32(term.encode())
                # The sign bit lets terms that share a bucket cancel out on average.
                row[(digest >> 1) % self.dim] += 1.0 if digest & 1 else -1.0
        rows[~rows.any(axis=1), 0] = 1.0
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit
