"""How many bytes a language model takes: weights, keys and values, and room to work in.

Arithmetic on a ``Shape``; what is an assumption is a constant with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.models.shape import Shape

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
