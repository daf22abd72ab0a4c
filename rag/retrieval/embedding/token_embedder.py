"""What the embedding engines of token models have in common: one embedder, and its batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag.retrieval.embedding.tokens import TokenizedTexts

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors
    from rag.retrieval.embedding.tokens import TokenIds

Run = Callable[
    [Callable[[Sequence[Sequence[int]]], "Vectors"], Sequence[Sequence[Sequence[int]]]],
    Iterable["Vectors"],
]
"""As ``map``: calls a function for each batch of token ids and returns the results in order."""

ITEM_TOKENS = 256  # padded tokens that one passage of a batch stands for


class TokenEmbedder(ABC):
    """Satisfies ``Embedder``; an engine adds how token ids become rows."""

    def __init__(
        self,
        tokens: TokenIds,
        *,
        dim: int,
        name: str,
        query_prefix: str,
        passage_prefix: str,
        max_tokens: int,
    ) -> None:
        """Take over ``tokens``; ``max_tokens`` is what the model reads at most."""
        self.dim = dim
        self.name = " ".join(filter(None, (name, query_prefix.strip(), passage_prefix.strip())))
        self.max_tokens = max_tokens
        self._texts = TokenizedTexts(
            tokens,
            query_prefix=query_prefix,
            passage_prefix=passage_prefix,
            max_tokens=max_tokens,
        )

    @abstractmethod
    def _embed(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """Return one float32 row of norm 1 for each text's ids, in the given order."""

    def count_tokens(self, text: str) -> int:
        """Count tokens as ``embed_passages`` would send them, prefix and specials included."""
        return self._texts.count(text)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 rows of norm 1, shape ``(len(texts), dim)``, in the given order.

        Raises:
            ModelError: a text is longer than the model takes.
            OutOfMemory: the device ran out of memory.
        """
        return self._embed(self._texts.passages(texts))

    def embed_query(self, text: str) -> Vector:
        """Return one float32 vector of norm 1, shape ``(dim,)``.

        A question longer than the model takes is read in windows and gets their mean.
        """
        return mean_row(self._embed(self._texts.question(text)))


def embed_by_length(
    ids: Sequence[Sequence[int]],
    *,
    dim: int,
    batch_tokens: int,
    forward: Callable[[Sequence[Sequence[int]]], Vectors],
    run: Run = map,
) -> Vectors:
    """Return unit rows for token ids, ``forward`` getting those of like length together.

    ``run`` calls it for each batch, in any order or at once. The longest texts come first, so
    that no core is left with one of them.
    """
    rows = np.empty((len(ids), dim), dtype=np.float32)
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // len(ids[order[start]]))
        batches.append(order[start : start + size])
        start += size
    found = run(forward, [[ids[i] for i in batch] for batch in batches])
    for batch, vectors in zip(batches, found, strict=True):
        rows[batch] = vectors
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def mean_row(rows: Vectors) -> Vector:
    """Return the unit vector in the middle of some unit rows."""
    mean = rows.mean(axis=0)
    vector: Vector = (mean / np.linalg.norm(mean)).astype(np.float32)
    return vector
