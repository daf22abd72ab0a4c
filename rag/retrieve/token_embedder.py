"""What the embedding engines of token models have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.retrieve.token_batches import TokenizedTexts, mean_row

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors
    from rag.retrieve.token_ids import TokenIds


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
