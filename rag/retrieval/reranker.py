"""Reading question and passage together: a cross-encoder of sentence-transformers reorders.

Slower than vectors, which are made before any question is asked. No such model comes with the
app, and what a real one takes was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from sentence_transformers import CrossEncoder

from rag.errors import ModelError
from rag.retrieval.analyser import lexical_text
from rag.retrieval.embedding.sentence_transformers import Device, OnCard
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.types.answers import Passage
    from rag.types.hardware import Holder

MOST_TOKENS = 512
"""Of question and passage together; a passage with its heading is rarely longer than half of it."""
CPU_BATCH, GPU_BATCH = 8, 32  # pairs; the GPU's was not measured


class CrossEncoderReranker(OnCard):
    """Satisfies ``Reranker`` with the model in ``folder``; nothing is fetched from the network."""

    HOLDER: ClassVar[Holder] = "reranker"
    FULL = (
        Text("The GPU ran out of memory while reordering passages.", "重排段落时显存不足。"),
        Text(
            "Set reranker.device to cpu, or lower reranker.passages.",
            "请把 reranker.device 设为 cpu，或调低 reranker.passages。",
        ),
    )

    def __init__(self, folder: Path, *, name: str, device: Device = "auto") -> None:
        """Load the weights.

        Raises:
            ModelError: the folder holds no model that gives a pair one score.
        """
        super().__init__(CrossEncoder, folder, device=device, max_length=MOST_TOKENS)
        self.name = name
        if self._model.num_labels != 1:
            why = f"it gives {self._model.num_labels} scores for a pair instead of one"
            raise _unloadable(folder, why)

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the same passages, best first; ``score`` is the model's own, 0 to 1.

        What names a passage (heading, header of its table) is read with it. The longer of the
        two is cut where both do not fit.

        Raises:
            OutOfMemory: the card is full.
        """
        if not passages:
            return []
        pairs = [(question, lexical_text(passage.chunk)) for passage in passages]
        rescored = [
            replace(passage, score=score)
            for passage, score in zip(passages, self._scores(pairs), strict=True)
        ]
        ordered = sorted(rescored, key=lambda passage: -passage.score)  # stable: ties keep place
        return [
            replace(passage, ranks=replace(passage.ranks, rerank=rank))
            for rank, passage in enumerate(ordered, start=1)
        ]

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        batch = CPU_BATCH if self._device == "cpu" else GPU_BATCH
        while True:
            try:
                with self._staying():
                    found = self._model.predict(
                        pairs,
                        batch_size=batch,
                        show_progress_bar=False,
                        activation_fn=torch.nn.Sigmoid(),
                    )
            except torch.OutOfMemoryError as error:
                if batch == 1:
                    raise self._full() from error
            else:
                return [float(score) for score in found]
            batch //= 2  # out here, where nothing refers to the tensors that were too many

    @staticmethod
    def _unloadable(folder: Path, error: Exception, *, file: str) -> ModelError:
        return _unloadable(folder, f"{file}: {error}")


def _unloadable(folder: Path, why: str) -> ModelError:
    return ModelError(
        Text(
            f"The reranker in {folder} cannot be loaded: {why}",
            f"无法加载 {folder} 里的重排模型：{why}",
        ),
        hint=Text(
            'Delete that folder and pull the model again, or set reranker.model to "".',
            "请删除该文件夹并重新下载模型，或把 reranker.model 设为空。",
        ),
    )
