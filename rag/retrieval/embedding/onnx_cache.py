"""The int8 graph of a model: written once on this machine, checked, and kept.

Its name holds the hash of the weights it was made of, so other weights never meet an old
graph. A machine or a model on which int8 does not give the vectors of float32 is
remembered too, and keeps the other engine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from tokenizers import Tokenizer

from rag.errors import ModelError
from rag.retrieval.embedding.bert_shape import BertShape
from rag.system.process import give_back
from rag.types.progress import Progress

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
        report(Progress("load", 0, shape.layers, "", f"{name} (int8)"))
        graph = _checked(folder, shape, lambda n: report(_progress(n, shape, name)))
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


def _progress(done: int, shape: BertShape, name: str) -> Progress:
    return Progress("load", done, shape.layers, "", f"{name} (int8)")


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
    from rag.retrieval.embedding.onnxruntime import open_session, run_graph

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(PROBES))]
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
