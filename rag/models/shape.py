"""The sizes of a language model, from its description alone, and the bytes it takes.

Not one weight is opened: a ``config.json``, a GGUF's header or the catalogue say enough.

Arithmetic on a ``Shape``; what is an assumption is a constant with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rag.errors import ModelError
from rag.text.messages import Text
from rag.types.gguf import DamagedGguf, Gguf, read_gguf


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder: blocks of attention and a feed-forward of three matrices."""

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocabulary: int
    window: int  # tokens it was trained to read
    head_size: int = 0  # 0 = hidden / heads
    tied: bool = False  # one matrix serves as embedding and as output
    attention_bias: bool = False  # of queries, keys and values
    norms: int = 2  # of the hidden size, in each layer
    head_norms: int = 0  # of the head's size, in each layer
    query_norms: int = 0  # of all heads of queries and of keys together, in each layer

    @property
    def head(self) -> int:
        """Numbers that one head holds of one token."""
        return self.head_size or self.hidden // self.heads

    @property
    def linear_rows(self) -> int:
        """Rows of all matrices of one layer: int8 keeps a scale for each."""
        attention = (self.heads + 2 * self.kv_heads) * self.head + self.hidden
        return attention + 2 * self.feed_forward + self.hidden

    @property
    def linear(self) -> int:
        """Weights of all matrices of one layer: what NF4 and int8 make smaller."""
        attention = 2 * self.hidden * self.head * (self.heads + self.kv_heads)
        return attention + 3 * self.hidden * self.feed_forward

    @property
    def small(self) -> int:
        """Weights of one layer that stay as they are: norms and biases."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        bias = queries + 2 * keys if self.attention_bias else 0
        norms = self.norms * self.hidden + self.head_norms * self.head
        return bias + norms + self.query_norms * (queries + keys)

    @property
    def embedding(self) -> int:
        """Weights of the table of words; the output layer has as many, unless they are one."""
        return self.vocabulary * self.hidden

    @property
    def outside(self) -> int:
        """Weights outside of the layers: table of words, output, last norm."""
        return self.embedding * (1 if self.tied else 2) + self.hidden

    @property
    def weights(self) -> int:
        """All of them."""
        return self.layers * (self.linear + self.small) + self.outside

    @property
    def kv_per_token(self) -> int:
        """Numbers that are kept of each token: a key and a value for each layer and group."""
        return 2 * self.layers * self.kv_heads * self.head


FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {},
    "qwen2": {"attention_bias": True},
    "qwen3": {"head_norms": 2, "head_size": 128},
    "phi3": {},
    "gemma": {"tied": True, "head_size": 256},
    "gemma2": {"tied": True, "head_size": 256, "norms": 4},
    "granite": {},
    "smollm3": {"tied": True},
    "olmo2": {"query_norms": 1},
}
"""What a family has beyond the plain layer, and what its configurations leave out as usual.
A test builds each of them with transformers and counts."""


def shape_of_config(config: Mapping[str, Any], *, name: str) -> Shape:
    """Return the shape that a ``config.json`` describes.

    Raises:
        ModelError: the kind of model is none of those that this arithmetic knows, or the
            description is not complete.
    """
    kind = str(config.get("model_type", ""))
    if kind not in FAMILIES:
        raise _unknown_kind(name, kind)
    special = FAMILIES[kind]
    try:
        heads = int(config["num_attention_heads"])
        found = Shape(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            feed_forward=int(config["intermediate_size"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            vocabulary=int(config["vocab_size"]),
            window=int(config["max_position_embeddings"]),
            head_size=int(config.get("head_dim") or special.get("head_size", 0)),
            tied=bool(config.get("tie_word_embeddings", special.get("tied", False))),
            attention_bias=bool(special.get("attention_bias") or config.get("attention_bias")),
            norms=special.get("norms", 2),
            head_norms=special.get("head_norms", 0),
            query_norms=special.get("query_norms", 0),
        )
    except KeyError as error:
        key = error.args[0]
        why = Text(f"config.json lacks {key}", f"config.json 缺少 {key}")
        raise _incomplete(name, why) from error
    except (TypeError, ValueError) as error:
        why = Text(f"a value in config.json is of no use: {error}", "config.json 中的值无效")
        raise _incomplete(name, why) from error
    if min(found.layers, found.hidden, found.heads, found.kv_heads) < 1:
        raise _incomplete(
            name, Text("a size in config.json is zero or less", "config.json 中的尺寸为零或负数")
        )
    return found


def shape_of_gguf(header: Gguf, *, name: str) -> Shape:
    """Return the shape that a GGUF's header describes; its weights are counted elsewhere.

    Raises:
        ModelError: the header leaves out what the arithmetic needs.
    """
    try:
        heads = _least(header.of_architecture("attention.head_count"))
        words = header.lengths.get("tokenizer.ggml.tokens", 0)
        return Shape(
            layers=int(header.of_architecture("block_count")),
            hidden=int(header.of_architecture("embedding_length")),
            feed_forward=_least(header.of_architecture("feed_forward_length")),
            heads=heads,
            kv_heads=_least(header.of_architecture("attention.head_count_kv") or heads),
            vocabulary=int(header.of_architecture("vocab_size") or words),
            window=int(header.of_architecture("context_length")),
            head_size=int(header.of_architecture("attention.key_length") or 0),
            tied=all(tensor.name != "output.weight" for tensor in header.tensors),
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise _incomplete(name, Text("its header is incomplete", "文件头不完整")) from error


def _least(value: Any) -> int:
    """Return a number, or the largest of those that a file gives for each layer."""
    return max(map(int, value)) if isinstance(value, tuple) else int(value)


def config_of(folder: Path) -> dict[str, Any]:
    """Read a folder's ``config.json``.

    Raises:
        ModelError: it is missing, or is no JSON object.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _incomplete(folder.name, Text(f"config.json: {error}", f"config.json：{error}")) \
            from error  # fmt: skip
    if not isinstance(config, dict):
        raise _incomplete(
            folder.name, Text("config.json holds no object", "config.json 不是 JSON 对象")
        )
    text = config.get("text_config")  # models that also see pictures keep theirs one level down
    return text if isinstance(text, dict) else config


def header_of(path: Path) -> Gguf:
    """Read a GGUF's header.

    Raises:
        ModelError: the file is missing, damaged or incomplete.
    """
    try:
        return read_gguf(path)
    except OSError as error:
        raise _incomplete(path.name, Text(f"{error}", f"{error}")) from error
    except DamagedGguf as error:
        raise _incomplete(
            path.name,
            Text(f"the file is damaged or incomplete ({error})", f"文件已损坏或不完整（{error}）"),
        ) from error


def _unknown_kind(name: str, kind: str) -> ModelError:
    shown = kind or "?"
    return ModelError(
        Text(
            f"What {name} needs cannot be computed: models of the kind '{shown}' are not known.",
            f"无法计算 {name} 所需的内存：未知的模型类型“{shown}”。",
        ),
        hint=Text(
            f"Known are {', '.join(FAMILIES)}, and every GGUF file. It may load all the same.",
            f"已知类型：{'、'.join(FAMILIES)}，以及所有 GGUF 文件。该模型仍可能可以加载。",
        ),
    )


def _incomplete(name: str, why: Text) -> ModelError:
    return ModelError(
        Text(
            f"What {name} needs cannot be computed: {why.en}.",
            f"无法计算 {name} 所需的内存：{why.zh}。",
        ),
        hint=Text(
            "Delete it and download it again, with `rag models pull` if it is in the list.",
            "请删除后重新下载；列表中的模型可用 `rag models pull` 下载。",
        ),
    )


Precision = Literal["none", "int8", "nf4"]
"""As ``generator.quantization``: "none" is 16 bit on a card."""

NF4_BLOCK, SCALE_BLOCK = 64, 256
NF4_BYTES = 0.5 + 1 / NF4_BLOCK + 4 / (NF4_BLOCK * SCALE_BLOCK)
"""A weight: 4 bits, its share of the block's 8-bit scale, and of that scale's own scale in
float32 (QLoRA, section 3: double quantisation)."""
KV_BYTES = {16: 2.0, 8: 34 / 32}
"""A kept number: 16 bits, or 8 and its share of a 16-bit scale for 32 of them (ggml's Q8_0)."""
PREFILL_TOKENS = {"transformers": 4096, "llamacpp": 512}
"""Tokens of a prompt that are computed at once: what transformers is given in one piece, and
llama.cpp's own batch on a card."""
LLAMACPP_CPU_TOKENS = 128
"""``llamacpp_loading.BATCH_TOKENS``."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of a model's weights, and how they are spread."""

    per_layer: int
    outside: int  # table of words, output layer, last norm
    read_per_token: int  # what one token of the answer has to read: the table of words only once
    layers: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.per_layer * self.layers + self.outside


def weights_of(shape: Shape, precision: Precision, *, wide: int = 2) -> Weights:
    """Return the weights as transformers and bitsandbytes keep them.

    The table of words, the output layer, norms and biases stay ``wide`` bytes a number (4 where
    a CPU computes in float32) in every precision.
    """
    small = wide * shape.small
    layer = {
        "none": wide * shape.linear + small,
        "int8": shape.linear + 4 * shape.linear_rows + small,
        "nf4": round(NF4_BYTES * shape.linear) + small,
    }[precision]
    output = wide * shape.embedding
    return Weights(
        per_layer=layer,
        outside=wide * shape.outside,
        read_per_token=layer * shape.layers + output,
        layers=shape.layers,
    )


def weights_of_file(file_bytes: int, shape: Shape, *, layer_bytes: int = 0) -> Weights:
    """Return the weights of a GGUF, which are as large in memory as in the file.

    ``layer_bytes`` is the largest layer's share where a header has told it; else the file is
    split as its numbers of weights are.
    """
    share = shape.layers * (shape.linear + shape.small) / shape.weights
    per_layer = layer_bytes or round(file_bytes * share / shape.layers)
    outside = max(0, file_bytes - per_layer * shape.layers)
    table = 0 if shape.tied else round(outside / 2)
    return Weights(per_layer, outside, file_bytes - table, shape.layers)


def kv_bytes_per_token(shape: Shape, *, bits: int = 16) -> int:
    """Return what each token of the context keeps; groups of heads share (GQA)."""
    return round(KV_BYTES[bits] * shape.kv_per_token)


def activation_bytes(
    shape: Shape, *, tokens: int, precision: Precision | None, wide: int = 2
) -> int:
    """Return the room that ``tokens`` of a prompt take while they are computed.

    At the widest place of a layer there are the residual stream and its norm, and the three
    results of the feed-forward; attention is computed in tiles and adds queries, keys, values
    and its result, which are fewer. In 8 and 4 bits a matrix is written out in ``wide`` bytes
    a number first. The logits of one position come on top, in float32 and as they are.
    """
    attention = 2 * shape.heads * shape.head + 2 * shape.kv_heads * shape.head
    widest = 2 * shape.hidden + max(3 * shape.feed_forward, attention)
    written_out = shape.hidden * shape.feed_forward if precision in {"int8", "nf4"} else 0
    return wide * (tokens * widest + written_out) + (4 + wide) * shape.vocabulary
