"""Embedding with a sentence-transformers model, on a card or a CPU.

It can leave the card when memory runs out, and come back; a batch that runs is waited for.

The engine for CUDA, and on a CPU for models that ``bert`` cannot read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from rag.errors import ModelError, ModelMissing, OutOfMemory
from rag.retrieval.embedding.token_embedder import (
    ITEM_TOKENS,
    Ids,
    Plain,
    Reading,
    Run,
    TokenEmbedder,
    broken_file,
    unit,
    unloadable,
)
from rag.system.torch_cpu import CpuStreams, cpu_dtype
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.protocols import Vectors
    from rag.types.hardware import Holder


Device = Literal["auto", "cpu", "cuda"]


class OnCard:
    """A model of the library, on a card or a CPU; satisfies ``Movable`` and ``HoldsParts``."""

    HOLDER: ClassVar[Holder]
    FULL: ClassVar[tuple[Text, Text]]
    """What a person is told when the card has no room, and the remedy."""

    def __init__(
        self, kind: Callable[..., Any], folder: Path, *, device: Device, **options: Any
    ) -> None:
        """Load a model of that ``kind``: on a card if there is one, unless told otherwise.

        Raises:
            ModelError: the model cannot be loaded.
        """
        present = "cuda" if torch.cuda.is_available() else "cpu"
        self._home = self._device = place = present if device == "auto" else device
        model_kwargs = {"dtype": dtype_on(place)}
        try:
            with _quiet():
                model = kind(
                    str(folder),
                    device=place,
                    local_files_only=True,
                    model_kwargs=model_kwargs,
                    **options,
                )
        except ImportError:
            raise
        except torch.OutOfMemoryError as error:
            raise self._full() from error
        except Exception as error:  # damaged files end in errors of every kind
            raise self._unloadable(folder, error, file=broken_file(folder)) from error
        self._model: Any = model.eval()
        self._moving = Lock()

    @staticmethod
    def _unloadable(folder: Path, error: Exception, *, file: str) -> ModelError:
        return unloadable(folder, error, file=file)

    def memory_parts(self) -> dict[Holder, int]:
        """Return what the weights take on the card."""
        if self._device == "cpu":
            return {}
        weights = sum(p.numel() * p.element_size() for p in self._model.parameters())
        return {self.HOLDER: weights}

    def to_cpu(self) -> bool:
        """Leave the card; false if it was not there. A batch that runs is waited for."""
        was = self._device != "cpu"
        if was:
            self._move("cpu")
        return was

    def to_device(self) -> None:
        """Come back to where it was loaded.

        Raises:
            OutOfMemory: there is no room any more; it stays on the CPU.
        """
        try:
            self._move(self._home)
        except torch.OutOfMemoryError as error:
            self._move("cpu")
            raise self._full() from error

    def _full(self) -> OutOfMemory:
        what, hint = self.FULL
        return OutOfMemory(what, hint=hint)

    def _staying(self) -> AbstractContextManager[Any]:
        """Hold the model where it is; one that has never been on a card stays anyway."""
        return nullcontext() if self._home == "cpu" else self._moving

    def _move(self, device: str) -> None:
        with self._moving:
            self._model.to(device=device, dtype=dtype_on(device))
            self._device = device


def dtype_on(device: str) -> torch.dtype:
    """Return the fastest type that leaves the vectors as they are (cosine above .9999)."""
    return torch.float16 if device == "cuda" else cpu_dtype()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bars and load report off the person's terminal."""
    before = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if bars:
            transformers_logging.enable_progress_bar()


CPU_BATCH, GPU_BATCH = 8, 64
"""Passages of a batch where the settings leave it open. The CPU's is measured
(docs/decisions.md); the GPU's is a group of the indexer, which was not."""
_PAD_TO = 32  # tokens; few shapes, so memory stays level, for at most 7 % more work


class SentenceTransformerEmbedder(OnCard, TokenEmbedder):
    """Embeds with the model in ``folder``; nothing is fetched from the network.

    ``batch`` times 256 padded tokens are embedded at once, so short passages share a batch
    and long ones do not need more memory. On a CPU each core has a batch of its own.
    """

    HOLDER: ClassVar[Holder] = "embedder"
    FULL = (
        Text("The GPU ran out of memory while embedding.", "计算向量时显存不足。"),
        Text(
            "Lower embedder.batch, or set embedder.device to cpu.",
            "请调低 embedder.batch，或把 embedder.device 设为 cpu。",
        ),
    )

    def __init__(
        self, folder: Path, *, device: Device = "auto", batch: int = 0, **reading: Unpack[Reading]
    ) -> None:
        """Load the weights. A ``batch`` of 0 is chosen by the device.

        Raises:
            ModelMissing: the folder does not hold a model.
            ModelError: the model cannot be loaded.
        """
        if not (folder / "tokenizer.json").is_file() or not (folder / "config.json").is_file():
            raise _missing(folder)
        OnCard.__init__(self, SentenceTransformer, folder, device=device)
        cpu = self._device == "cpu"
        self._run: Run = CpuStreams().map if cpu else map
        self._batch_tokens = (batch or (CPU_BATCH if cpu else GPU_BATCH)) * ITEM_TOKENS
        self._pad_id = int(self._model.tokenizer.pad_token_id or 0)
        TokenEmbedder.__init__(
            self,
            # the model's own, which nobody else uses: a second one of e5's would take 290 MB
            Plain(self._model.tokenizer.backend_tokenizer),
            dim=int(self._model.get_embedding_dimension() or 0),
            longest=int(self._model.max_seq_length or sys.maxsize),
            **reading,
        )

    def _embed(self, ids: Sequence[Ids]) -> Vectors:
        return self._by_length(ids, self._forward, batch_tokens=self._batch_tokens, run=self._run)

    def _forward(self, ids: Sequence[Ids]) -> Vectors:
        longest = _padded(max(map(len, ids)), self.max_tokens)
        tokens = torch.full((len(ids), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, row_ids in enumerate(ids):
            tokens[row, : len(row_ids)] = torch.tensor(row_ids)
            mask[row, : len(row_ids)] = 1
        try:
            return self._rows(tokens, mask)
        except torch.OutOfMemoryError as error:
            if len(ids) == 1:
                raise self._full() from error
        half = len(ids) // 2  # out here, where nothing refers to the tensors that were too many
        return np.concatenate([self._forward(ids[:half]), self._forward(ids[half:])])

    def _rows(self, tokens: torch.Tensor, mask: torch.Tensor) -> Vectors:
        with torch.inference_mode(), self._staying():
            place = self._device
            features = {"input_ids": tokens.to(place), "attention_mask": mask.to(place)}
            found = self._model.forward(features)["sentence_embedding"]  # (rows, dim)
        return unit(found.float().cpu().numpy())


def _padded(length: int, limit: int) -> int:
    """Return ``length`` rounded up: oneDNN keeps code and buffers for every shape it meets."""
    return max(length, min(-(-length // _PAD_TO) * _PAD_TO, limit))


def _missing(folder: Path) -> ModelMissing:
    return ModelMissing(
        Text(f"There is no embedding model in {folder}.", f"{folder} 里没有向量模型。"),
        hint=Text(
            "Run `rag models pull` with the embedder's name.",
            "请运行 `rag models pull` 并给出向量模型的名称。",
        ),
    )
