"""What the engines of one token model share: counting, refusing, cutting, batching.

Prefixes are put before the text here and nowhere else, so they are applied exactly once.
No passage is ever truncated: one that is too long is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import ModelError
from rag.words import Text

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors
    from rag.retrieve.token_ids import TokenIds

Run = Callable[
    [Callable[[Sequence[Sequence[int]]], "Vectors"], Sequence[Sequence[Sequence[int]]]],
    Iterable["Vectors"],
]
"""As ``map``: calls a function for each batch of token ids and returns the results in order."""

ITEM_TOKENS = 256  # padded tokens that one passage of a batch stands for
_CACHED_COUNTS = 1 << 14  # a chunker asks for the same pieces several times


class TokenizedTexts:
    """Passages and questions as token ids, prefix and special tokens included."""

    def __init__(
        self, tokens: TokenIds, *, query_prefix: str, passage_prefix: str, max_tokens: int
    ) -> None:
        self._tokens = tokens
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        self._max_tokens = max_tokens
        self.count = lru_cache(maxsize=_CACHED_COUNTS)(self._count)

    def _count(self, text: str) -> int:
        return len(self._tokens.one(self._passage_prefix + text))

    def passages(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each passage.

        Raises:
            ModelError: a passage is longer than the model takes.
        """
        found = self._tokens.each([self._passage_prefix + text for text in texts])
        for ids in found:
            if len(ids) > self._max_tokens:
                raise _too_long(len(ids), self._max_tokens)
        return found

    def question(self, text: str) -> list[list[int]]:
        """Return the ids of a question, in several windows if it is longer than the model takes."""
        windows = [self._query_prefix + window for window in self._windows(text)]
        return self._tokens.each(windows)

    def _windows(self, text: str) -> list[str]:
        """Halve the text until each piece fits."""
        if len(self._tokens.one(self._query_prefix + text)) <= self._max_tokens:
            return [text]
        middle = len(text) // 2
        return self._windows(text[:middle]) + self._windows(text[middle:])


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


def _too_long(tokens: int, limit: int) -> ModelError:
    return ModelError(
        Text(
            f"A passage has {tokens} tokens, but the embedding model reads only {limit}.",
            f"有一个段落长 {tokens} 个 token，而向量模型最多只读 {limit} 个。",
        ),
        hint=Text(
            "Lower chunk.tokens and run `rag rebuild`.",
            "请调低 chunk.tokens 并运行 `rag rebuild`。",
        ),
    )


def unloadable(folder: Path, error: Exception, *, file: str = "") -> ModelError:
    """Return what a person is told when a model's files are of no use.

    ``file`` is the one at fault; empty where the library does not let that be told.
    """
    missing = (
        " is missing" if isinstance(error, LookupError) else ""
    )  # it says no more than the key
    detail = f"{file}: {error}{missing}" if file else str(error)
    return ModelError(
        Text(
            f"The embedding model in {folder} cannot be loaded: {detail}",
            f"无法加载 {folder} 里的向量模型：{detail}",
        ),
        hint=Text("Delete that folder and pull the model again.", "请删除该文件夹并重新下载模型。"),
    )
