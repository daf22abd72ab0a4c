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

from rag.errors import ModelError, OutOfMemory
from rag.retrieval.analyser import lexical_text
from rag.retrieval.embedding.sentence_transformers import (
    Device,
    OnCard,
    choose_device,
    dtype_on,
    quiet,
)
from rag.retrieval.embedding.token_embedder import broken_file
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

    def __init__(self, folder: Path, *, name: str, device: Device = "auto") -> None:
        """Load the weights.

        Raises:
            ModelError: the folder holds no model that gives a pair one score.
        """
        self.name = name
        place = choose_device(device)
        super().__init__(_load(folder, device=place), device=place)

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

    def _full(self) -> OutOfMemory:
        return _full()


def _full() -> OutOfMemory:
    return OutOfMemory(
        Text("The GPU ran out of memory while reordering passages.", "重排段落时显存不足。"),
        hint=Text(
            "Set reranker.device to cpu, or lower reranker.passages.",
            "请把 reranker.device 设为 cpu，或调低 reranker.passages。",
        ),
    )


def _load(folder: Path, *, device: str) -> CrossEncoder:
    try:
        with quiet():
            model = CrossEncoder(
                str(folder),
                device=device,
                local_files_only=True,
                max_length=MOST_TOKENS,
                model_kwargs={"dtype": dtype_on(device)},
            )
    except ImportError:
        raise
    except torch.OutOfMemoryError as error:
        raise _full() from error
    except Exception as error:  # damaged files end in errors of every kind
        why = f"{broken_file(folder)}: {error}"
        raise _unloadable(folder, why) from error
    if model.num_labels != 1:
        raise _unloadable(folder, f"it gives {model.num_labels} scores for a pair instead of one")
    return model.eval()


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
