"""Embedding on a CPU in int8 with onnxruntime; neither torch nor transformers is loaded.

The vectors agree with those of the float32 model to a cosine of .999 on average, so both
engines write into, and ask, the same index versions.

The graph is written once on this machine, checked, and kept. Its name holds the hash of the
weights it was made of, so other weights never meet an old graph. A machine or a model on which
int8 does not give the vectors of float32 is remembered too, and keeps the other engine.

onnxruntime itself is imported with the first graph: a model that another engine embeds needs none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from safetensors import SafetensorError

from rag.errors import ModelError
from rag.retrieval.embedding.bert_shape import BertShape
from rag.retrieval.embedding.token_embedder import Ids, Reading, TokenEmbedder, load_token_ids
from rag.system.process import give_back, lower_thread, physical_cores
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors

logger = logging.getLogger(__name__)
VERSION = 3  # of what `onnx_graph` writes; another graph needs another file
LEAST_COSINE = 0.98
"""To float32, as the mean over the probes: a machine that computes int8 wrongly falls far
below. The probes are harder than passages are (short, odd, and not in every model's
languages); docs/decisions.md has the agreement on real passages."""
PROBES = (
    "query: how much is the monthly rent",
    "query: RTX 4090在深度学习中有哪些优势？",
    "passage: The Tenant shall pay 1,234.50 euros on the 1st of May 2026, see §4(b).",
    "passage: 甲方应于二〇二六年五月一日前支付人民币1234.50元，详见第四条（乙）款。",
    "passage: Net sales 2018 | 2017 | 2016\n$ 12,345 | $ 11,987 | $ 10,456\nCost of sales",
    "passage: Proteins fold into shapes that their sequence decides. " * 6,
    "passage: 模型的显存占用取决于参数数量和精度。量化可以把它降到四分之一。" * 4,
    "x",
)


def int8_graph(
    folder: Path,
    *,
    cache: Path,
    source_sha256: str,
    report: Callable[[Progress], None] = lambda _: None,
    name: str = "",
) -> Path | None:
    """Return the graph of the model in ``folder``; written first if need be (about 5 s).

    ``None`` if there is no such graph: a model of another kind, a disk that is full or
    read-only, or vectors that do not agree with float32.
    """
    shape = BertShape.of(folder)
    if shape is None:
        return None
    target = cache / f"int8-{VERSION}-{source_sha256[:16]}.onnx"
    refused = target.with_suffix(".refused")
    if target.is_file():
        return target
    if refused.is_file():
        return None
    try:
        cache.mkdir(parents=True, exist_ok=True)
        told = partial(Progress, "load", total=shape.layers, item=f"{name} (int8)")
        report(told(done=0))
        graph = _checked(folder, shape, lambda layers: report(told(done=layers)))
        if graph is None:
            refused.touch()
            return None
        _write(graph, target)
        del graph
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, ModelError) as error:
        logger.warning("no int8 engine for %s: %s", folder, error)
        return None
    _drop_others(target)
    give_back()  # writing took four times what is kept
    return target


def _checked(folder: Path, shape: BertShape, layer_done: Callable[[int], None]) -> bytes | None:
    """Return the graph's bytes if its vectors are those of the float32 graph."""
    from rag.retrieval.embedding.onnx_graph import bert_graph

    graph: bytes = bert_graph(folder, shape, int8=True, layer_done=layer_done).SerializeToString()
    exact: bytes = bert_graph(folder, shape, int8=False).SerializeToString()
    cosine = agreement(folder, graph, exact, max_tokens=shape.max_tokens)
    if cosine >= LEAST_COSINE:
        return graph
    logger.warning("int8 gives other vectors for %s (cosine %.4f)", folder, cosine)
    return None


def agreement(folder: Path, graph: bytes, exact: bytes, *, max_tokens: int) -> float:
    """Return the mean cosine between the vectors that two graphs give for the probes."""
    ids = [text[:max_tokens] for text in load_token_ids(folder).each(PROBES)]
    found = []
    for source in (graph, exact):
        session = open_session(source)
        found.append(np.stack([run_graph(session, each) for each in ids]))
    return float((found[0] * found[1]).sum(axis=1).mean())


def _write(graph: bytes, target: Path) -> None:
    """Write as one step: it is there whole, or not at all."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as out:
            out.write(graph)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _drop_others(target: Path) -> None:
    for other in target.parent.glob("int8-*"):
        if other != target:
            other.unlink(missing_ok=True)


class OnnxEmbedder(TokenEmbedder):
    """Embeds with a graph that ``int8_graph`` wrote.

    One text a run, as many at once as there are cores: nothing is padded, no thread waits for
    another in the middle of a layer, and a text's vector never depends on its neighbours.
    A single text is a question's: the thread that asks computes it, and outranks the others.
    """

    def __init__(self, folder: Path, *, graph: Path, **reading: Unpack[Reading]) -> None:
        """Load the graph. ``folder`` holds the tokenizer and the model's settings.

        Raises:
            ModelError: it cannot be loaded.
        """
        shape = BertShape.of(folder)
        assert shape is not None, "a graph is only written of such a model"
        self._session = open_session(graph)
        self._threads = ThreadPoolExecutor(physical_cores(), "onnx", initializer=lower_thread)
        tokens = load_token_ids(folder)
        super().__init__(tokens, dim=shape.hidden, longest=shape.max_tokens, **reading)

    def _embed(self, ids: Sequence[Ids]) -> Vectors:
        run = map if len(ids) == 1 else self._threads.map
        return self._by_length(
            ids, lambda text: run_graph(self._session, text[0])[np.newaxis], batch_tokens=1, run=run
        )


def open_session(graph: Path | bytes) -> Any:
    """Return a session over a graph, from its file or its bytes.

    Raises:
        ModelError: onnxruntime refuses it.
    """
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the texts share the cores
        options.enable_mem_pattern = False  # it keeps a plan for every shape it meets
        options.log_severity_level = 3
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
