"""Embedding on a CPU in int8 with onnxruntime; neither torch nor transformers is loaded.

The vectors agree with those of the float32 model to a cosine of .999 on average, so both
engines write into, and ask, the same spaces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import psutil

from rag.errors import ModelError
from rag.retrieval.embedding.bert_shape import BertShape
from rag.retrieval.embedding.token_embedder import TokenEmbedder
from rag.retrieval.embedding.tokens import load_token_ids
from rag.system.process import lower_thread
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors


class OnnxEmbedder(TokenEmbedder):
    """Embeds with a graph that ``rag.retrieval.embedding.onnx_cache`` wrote.

    One text a run, as many at once as there are cores: nothing is padded, no thread waits for
    another in the middle of a layer, and a text's vector never depends on its neighbours.
    A single text is a question's: the thread that asks computes it, and outranks the others.
    """

    def __init__(
        self,
        folder: Path,
        *,
        graph: Path,
        name: str,
        query_prefix: str = "",
        passage_prefix: str = "",
        max_tokens: int = 512,
    ) -> None:
        """Load the graph. ``folder`` holds the tokenizer and the model's settings.

        Raises:
            ModelError: it cannot be loaded.
        """
        shape = BertShape.of(folder)
        assert shape is not None, "a graph is only written of such a model"
        self._session = open_session(graph)
        self._threads = ThreadPoolExecutor(
            _cores(), thread_name_prefix="onnx", initializer=lower_thread
        )
        super().__init__(
            load_token_ids(folder),
            dim=shape.hidden,
            name=name,
            query_prefix=query_prefix,
            passage_prefix=passage_prefix,
            max_tokens=min(max_tokens, shape.max_tokens),
        )

    def _embed(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """Return unit rows; the longest texts begin, so that no thread is left with one.

        A single text is a question's: it does not wait behind the passages of a document.
        """
        if len(ids) == 1:
            return run_graph(self._session, ids[0])[np.newaxis]
        rows = np.empty((len(ids), self.dim), dtype=np.float32)
        if len(ids) == 1:
            rows[0] = run_graph(self._session, ids[0])
            return rows
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        found = self._threads.map(lambda i: run_graph(self._session, ids[i]), order)
        for i, row in zip(order, found, strict=True):
            rows[i] = row
        return rows


def _cores() -> int:
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def open_session(graph: Path | bytes) -> Any:
    """Return a session over a graph, from its file or its bytes.

    Raises:
        ModelError: onnxruntime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the texts share the cores
    options.enable_mem_pattern = False  # it keeps a plan for every shape it meets
    options.log_severity_level = 3
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class of their own
        raise ModelError(
            Text(
                f"The embedding model cannot be loaded: {error}",
                f"无法加载向量模型：{error}",
            ),
            hint=Text(
                "Set embedder.engine to torch, or delete the folder .onnx beside the model.",
                "请把 embedder.engine 设为 torch，或删除模型旁的 .onnx 文件夹。",
            ),
        ) from error


def run_graph(session: Any, ids: Sequence[int]) -> Vector:
    """Return the unit vector of one text."""
    row = session.run(["mean"], {"ids": np.array([ids], np.int64)})[0][0]
    vector: Vector = row / np.linalg.norm(row)
    return vector
