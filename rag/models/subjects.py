"""From names, folders and files to what the planner reckons with."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ConfigError
from rag.models.catalogue import Entry
from rag.models.layout import Helpers, Subject
from rag.models.shape import Shape, config_of, header_of, shape_of_config, shape_of_gguf
from rag.text.messages import Text
from rag.types.gguf import Gguf

EMBEDDER_BATCH = 64
"""Passages that are embedded at once on a card, as ``embedder.batch`` has it by default."""
RERANKER_BATCH = 32
"""Pairs that a reranker reads at once on a card."""
PASSAGE_TOKENS = 256
"""A passage of the usual length with its prefix and special tokens."""
FLOAT32 = 4


def subject_of_entry(entry: Entry, installed: Path | None = None) -> Subject:
    """Return a model of the catalogue; by its own files where they are here.

    Raises:
        ConfigError: it is no model that answers.
        ModelError: its files are damaged.
    """
    if entry.kind != "generator" or entry.shape is None:
        raise ConfigError(
            Text(f"{entry.name} does not answer questions.", f"{entry.name} 不是用于回答的模型。"),
            hint=Text(
                "Name a model under “Answering” in `rag models list`.",
                "请指定 `rag models list` 中“回答”一栏的模型。",
            ),
        )
    if installed is not None:
        return subject_of_path(installed, name=entry.name)
    if entry.engine == "llamacpp":
        return Subject(entry.name, "llamacpp", entry.shape, file_bytes=entry.bytes)
    return Subject(entry.name, "transformers", entry.shape)


def subject_of_path(path: Path, *, name: str = "") -> Subject:
    """Return what stands at a path: a ``.gguf`` file, or a folder with a ``config.json``.

    Raises:
        ModelError: it is damaged, incomplete, or of a kind that the arithmetic does not know.
    """
    called = name or path.name
    if path.is_dir():
        return Subject(called, "transformers", shape_of_config(config_of(path), name=called))
    header = header_of(path)
    return Subject(
        called,
        "llamacpp",
        shape_of_gguf(header, name=called),
        file_bytes=header.file_bytes,
        layer_bytes=_largest_layer(header),
    )


def helpers_of(embedder: Entry | None, reranker: Entry | None = None) -> Helpers:
    """Return what the two take: float32 weights, and on a card room for a batch.

    On a processor they work on eight passages at a time.
    """
    return Helpers(
        embedder_card=_taken(embedder, EMBEDDER_BATCH),
        embedder_ram=_taken(embedder, EMBEDDER_BATCH // 8),
        reranker_card=_taken(reranker, RERANKER_BATCH),
        reranker_ram=_taken(reranker, EMBEDDER_BATCH // 8),
    )


def _taken(entry: Entry | None, batch: int) -> int:
    if entry is None:
        return 0
    return entry.loaded_bytes + (_activations(entry.shape, batch) if entry.shape else 0)


def _activations(shape: Shape, passages: int) -> int:
    """Return the numbers of the widest place of a layer of an encoder, in bytes."""
    widest = 4 * shape.hidden + 2 * shape.feed_forward
    return FLOAT32 * passages * PASSAGE_TOKENS * widest


def _largest_layer(header: Gguf) -> int:
    """Return the bytes of the largest ``blk.N``; quantisation gives some layers more bits."""
    layers: dict[str, int] = {}
    for tensor in header.tensors:
        block, number, *_ = f"{tensor.name}..".split(".")
        if block == "blk":
            layers[number] = layers.get(number, 0) + tensor.bytes
    return max(layers.values(), default=0)
