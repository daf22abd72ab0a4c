"""Embedding on a CPU with torch alone: a BERT encoder, texts side by side instead of padded.

transformers' own pass computes padding, adds each bias in a step of its own and keeps GELU apart
from the product before it, which costs a quarter of the time (docs/decisions.md, "A forward
pass of our own"). The weights come straight from the safetensors, so neither transformers nor
sentence-transformers is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from rag.retrieval.embedding.bert_shape import WEIGHTS, BertShape
from rag.retrieval.embedding.token_embedder import (
    ITEM_TOKENS,
    Ids,
    Reading,
    TokenEmbedder,
    load_token_ids,
    unit,
    unloadable,
)
from rag.system.torch_cpu import CpuStreams, cpu_dtype

if TYPE_CHECKING:
    from rag.protocols import Vectors


logger = logging.getLogger(__name__)
Product = Callable[[Tensor], Tensor]
_PAD_TO = 64  # tokens of a batch: oneDNN keeps code and buffers for every shape it meets
_TYPICAL_TOKENS = 2048  # of a batch: weights are laid out for it
_SAME = 0.999  # cosine of two products in 16 bits that mean the same
_ROWS = 20_000  # of the word table, converted at once


@dataclass(frozen=True, slots=True)
class _Layer:
    attend: Product  # (tokens, hidden) -> (tokens, 3 * hidden): queries, keys, values
    leave: Product
    first_norm: Product
    widen: Product  # with GELU
    narrow: Product
    second_norm: Product


class BertForward:
    """Maps token ids to mean states. Stateless after loading, so threads may share it."""

    def __init__(self, folder: Path, shape: BertShape, *, dtype: torch.dtype) -> None:
        """Read the weights.

        Raises:
            KeyError: one is missing.
            OSError: the file cannot be read.
            SafetensorError: it is damaged.
        """
        self._shape = shape
        self._dtype = dtype
        with safe_open(folder / WEIGHTS, framework="pt") as weights:
            read = _Weights(weights, dtype, shape.epsilon)
            self._words = read.table("embeddings.word_embeddings.weight")
            self._places = read("embeddings.position_embeddings.weight")
            self._places += read("embeddings.token_type_embeddings.weight")[0]
            self._norm = read.norm("embeddings.LayerNorm")
            self._layers = [_layer(read, f"encoder.layer.{i}") for i in range(shape.layers)]

    def __call__(self, ids: Sequence[Ids]) -> Vectors:
        """Return the mean state of each text, float32, shape ``(len(ids), hidden)``."""
        lengths = [len(text) for text in ids]
        with torch.inference_mode():
            states = self._norm(self._embedded(ids, lengths))
            for layer in self._layers:
                states = self._through(layer, states, lengths)
            texts = torch.split(states[: sum(lengths)].float(), lengths)
            rows: Vectors = torch.stack([text.mean(dim=0) for text in texts]).numpy()
        return rows

    def _embedded(self, ids: Sequence[Ids], lengths: Sequence[int]) -> Tensor:
        """Return all texts one after the other, filled up to a round number of tokens."""
        filling = -sum(lengths) % _PAD_TO
        tokens = torch.tensor([token for text in ids for token in text] + [0] * filling)
        places = torch.cat([torch.arange(n) for n in (*lengths, filling)])
        states: Tensor = self._words[tokens].to(self._dtype) + self._places[places]
        return states

    def _through(self, layer: _Layer, states: Tensor, lengths: Sequence[int]) -> Tensor:
        attended = layer.leave(self._attention(layer.attend(states), lengths))
        states = layer.first_norm(attended + states)
        return layer.second_norm(layer.narrow(layer.widen(states)) + states)

    def _attention(self, three: Tensor, lengths: Sequence[int]) -> Tensor:
        """Let the tokens of each text see each other; ``three`` is (tokens, 3 * hidden)."""
        hidden, heads = self._shape.hidden, self._shape.heads
        seen = torch.zeros((len(three), hidden), dtype=self._dtype)
        start = 0
        for length in lengths:
            part = three[start : start + length].view(length, 3, heads, hidden // heads)
            query, key, value = part.permute(1, 2, 0, 3).unsqueeze(1)  # (1, heads, length, -1)
            found = functional.scaled_dot_product_attention(query, key, value)
            seen[start : start + length] = found[0].transpose(0, 1).reshape(length, hidden)
            start += length
        return seen


class _Weights:
    """Reads named tensors of the model, some of them ready for use."""

    def __init__(self, weights: Any, dtype: torch.dtype, epsilon: float) -> None:
        self._weights = weights
        self._names = set(weights.keys())
        self._dtype = dtype
        self._epsilon = epsilon

    def __call__(self, name: str) -> Tensor:
        found: Tensor = self._weights.get_tensor(self._known(name)).to(self._dtype)
        return found

    def table(self, name: str) -> Tensor:
        """Return the word table in 16 bits, read in parts: most of a small model is this."""
        whole = self._weights.get_slice(self._known(name))
        dtype = torch.bfloat16 if self._dtype == torch.bfloat16 else torch.float16
        rows, width = whole.get_shape()
        table = torch.empty((rows, width), dtype=dtype)
        for at in range(0, rows, _ROWS):
            table[at : at + _ROWS] = whole[at : min(at + _ROWS, rows)]
        return table

    def norm(self, name: str) -> Product:
        weight, bias, epsilon = self(f"{name}.weight"), self(f"{name}.bias"), self._epsilon
        return lambda x: functional.layer_norm(x, bias.shape, weight, bias, epsilon)

    def linear(self, *names: str, gelu: bool = False) -> Product:
        """Return the product with the weights of several layers side by side."""
        weight = torch.cat([self(f"{name}.weight") for name in names])
        bias = torch.cat([self(f"{name}.bias") for name in names])
        return _fused(weight, bias, gelu=gelu) or _plain(weight, bias, gelu=gelu)

    def _known(self, name: str) -> str:
        for known in (name, f"bert.{name}"):
            if known in self._names:
                return known
        raise KeyError(name)


def _layer(read: _Weights, prefix: str) -> _Layer:
    attention = f"{prefix}.attention"
    return _Layer(
        attend=read.linear(*(f"{attention}.self.{name}" for name in ("query", "key", "value"))),
        leave=read.linear(f"{attention}.output.dense"),
        first_norm=read.norm(f"{attention}.output.LayerNorm"),
        widen=read.linear(f"{prefix}.intermediate.dense", gelu=True),
        narrow=read.linear(f"{prefix}.output.dense"),
        second_norm=read.norm(f"{prefix}.output.LayerNorm"),
    )


def _plain(weight: Tensor, bias: Tensor, *, gelu: bool) -> Product:
    if gelu:
        return lambda x: functional.gelu(functional.linear(x, weight, bias))
    return lambda x: functional.linear(x, weight, bias)


def _fused(weight: Tensor, bias: Tensor, *, gelu: bool) -> Product | None:
    """Return oneDNN's product, which adds the bias and applies GELU while the sum is at hand.

    ``None`` where torch has no such thing, or where it comes to other numbers: the operator is
    the one that torch's own compiler writes, and no public one.
    """
    operators = torch.ops.mkldnn
    kind, algorithm = ("gelu", "none") if gelu else ("none", "")

    def product(x: Tensor) -> Tensor:
        found: Tensor = operators._linear_pointwise(x, packed, bias, kind, [], algorithm)  # noqa: SLF001
        return found

    try:
        packed = operators._reorder_linear_weight(weight, _TYPICAL_TOKENS)  # noqa: SLF001
        probe = torch.linspace(-1, 1, 2 * weight.shape[1]).reshape(2, -1).to(weight.dtype)
        found, wanted = product(probe), _plain(weight, bias, gelu=gelu)(probe)
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        logger.info("no fused products on this machine: %s", error)
        return None
    if functional.cosine_similarity(found.float(), wanted.float()).min() > _SAME:
        return product
    logger.warning("fused products come to other numbers here; plain ones are used")
    return None


BATCH = 8
"""Passages of a batch where the settings leave it open; docs/decisions.md has others."""


class BertEmbedder(TokenEmbedder):
    """Embeds with the BERT encoder in ``folder``. Each core has a batch of its own.

    A text's vector does not depend on its neighbours: nothing is padded.
    """

    def __init__(self, folder: Path, *, batch: int = 0, **reading: Unpack[Reading]) -> None:
        """Load the weights. ``batch`` counts passages of 256 tokens; 0 leaves it open.

        Raises:
            ModelError: the model cannot be loaded.
        """
        shape = BertShape.of(folder)
        assert shape is not None, "asked only of a model that suits"
        try:
            self._forward = BertForward(folder, shape, dtype=cpu_dtype())
        except Exception as error:  # a table of another size ends in any error at all
            raise unloadable(folder, error, file=WEIGHTS) from error
        self._streams = CpuStreams()
        self._batch_tokens = (batch or BATCH) * ITEM_TOKENS
        tokens = load_token_ids(folder)
        super().__init__(tokens, dim=shape.hidden, longest=shape.max_tokens, **reading)

    @staticmethod
    def suits(folder: Path, *, device: Literal["auto", "cpu", "cuda"]) -> bool:
        """Say whether the model is such an encoder, and a CPU is where it is to run."""
        if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
            return False
        return BertShape.of(folder) is not None and (folder / "tokenizer.json").is_file()

    def _embed(self, ids: Sequence[Ids]) -> Vectors:
        # a short document is divided among the cores, a question is not
        share = sum(map(len, ids)) // self._streams.count
        batch_tokens = min(self._batch_tokens, max(ITEM_TOKENS, share))
        return self._by_length(
            ids,
            lambda batch: unit(self._forward(batch)),
            batch_tokens=batch_tokens,
            run=self._streams.map,
        )
