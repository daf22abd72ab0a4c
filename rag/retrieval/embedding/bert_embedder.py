"""Embedding on a CPU with torch alone: the engine of the embedded models without a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from rag.retrieval.embedding.bert_forward import BertForward
from rag.retrieval.embedding.bert_shape import WEIGHTS, BertShape
from rag.retrieval.embedding.cpu_streams import CpuStreams
from rag.retrieval.embedding.token_embedder import ITEM_TOKENS, TokenEmbedder, embed_by_length
from rag.retrieval.embedding.tokens import load_token_ids, unloadable
from rag.system.cpu_precision import cpu_dtype

if TYPE_CHECKING:
    from rag.protocols import Vectors

BATCH = 8
"""Passages of a batch where the settings leave it open; docs/decisions.md has others."""


class BertEmbedder(TokenEmbedder):
    """Embeds with the BERT encoder in ``folder``. Each core has a batch of its own.

    A text's vector does not depend on its neighbours: nothing is padded.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        query_prefix: str = "",
        passage_prefix: str = "",
        max_tokens: int = 512,
        batch: int = 0,
    ) -> None:
        """Load the weights. ``batch`` counts passages of 256 tokens; 0 leaves it open.

        Raises:
            ModelError: the model cannot be loaded.
        """
        shape = BertShape.of(folder)
        assert shape is not None, "asked only of a model that suits"
        try:
            self._forward = BertForward(folder, shape, dtype=cpu_dtype())
        except Exception as error:  # a table of another size ends in any error at all
            raise unloadable(folder, error, file=WEIGHTS) from error
        self._streams = CpuStreams()
        self._batch_tokens = (batch or BATCH) * ITEM_TOKENS
        super().__init__(
            load_token_ids(folder),
            dim=shape.hidden,
            name=name,
            query_prefix=query_prefix,
            passage_prefix=passage_prefix,
            max_tokens=min(max_tokens, shape.max_tokens),
        )

    @staticmethod
    def suits(folder: Path, *, device: Literal["auto", "cpu", "cuda"]) -> bool:
        """Say whether the model is such an encoder, and a CPU is where it is to run."""
        if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
            return False
        return BertShape.of(folder) is not None and (folder / "tokenizer.json").is_file()

    def _embed(self, ids: Sequence[Sequence[int]]) -> Vectors:
        # a short document is divided among the cores, a question is not
        share = sum(map(len, ids)) // self._streams.count
        return embed_by_length(
            ids,
            dim=self.dim,
            batch_tokens=min(self._batch_tokens, max(ITEM_TOKENS, share)),
            forward=self._forward,
            run=self._streams.map,
        )
