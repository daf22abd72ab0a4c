"""Writes a BERT encoder as an ONNX graph, straight from its safetensors; no torch.

The products of weights and activations run in int8, but for the last of each layer. Weights
have a scale per output, activations one per text and product, found at run time. The graph
is written by hand because exporters leave attention unfused, which costs more than int8 gains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from safetensors import safe_open

from rag.retrieval.embedding.bert_shape import WEIGHTS, BertShape

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

MICROSOFT = "com.microsoft"  # onnxruntime's own operators
_ROWS = 20_000  # of the word table, read at once
_LARGEST_WEIGHT = 63
"""Seven bits: on CPUs without VNNI two products of eight bits overflow their 16-bit sum."""


def bert_graph(
    folder: Path,
    shape: BertShape,
    *,
    int8: bool,
    layer_done: Callable[[int], None] = lambda _: None,
) -> ModelProto:
    """Return the encoder: ids of one text, shape (1, tokens), in; mean state, (1, hidden), out.

    One text a run: it needs no padding and no mask, which makes attention a third faster, and
    its numbers alone decide the scale of its activations, so neighbours never change a vector.
    The word table is int8 in either case, so that the float32 graph is small enough to check
    the int8 one against.

    Raises:
        KeyError: a weight is missing.
    """
    with safe_open(folder / WEIGHTS, framework="numpy") as weights:
        graph = _Graph(weights, shape, int8=int8)
        graph.embed()
        for layer in range(shape.layers):
            graph.layer(layer)
            layer_done(layer + 1)
        graph.pool()
    return graph.model()


class _Graph:
    """The nodes so far; ``self._x`` names the states that the next node reads."""

    def __init__(self, weights: Any, shape: BertShape, *, int8: bool) -> None:
        self._weights = weights
        self._names = set(weights.keys())
        self._shape = shape
        self._int8 = int8
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._x = ""
        self._axis = self._constant("last", np.array([-1]))
        # LayerNorm divides a sum, not a mean, of squares: the 1/hidden is in here and in gamma
        self._epsilon = self._constant("eps", np.float32(shape.epsilon * shape.hidden))

    def embed(self) -> None:
        ids, scale = self._word_table("embeddings.word_embeddings.weight")
        picked = self._add("Cast", [self._add("Gather", [ids, "ids"])], to=TensorProto.FLOAT)
        words = self._add("Mul", [picked, self._add("Gather", [scale, "ids"])])
        tokens = self._add("Shape", ["ids"], start=1, end=2)
        places = self._float("embeddings.position_embeddings.weight")
        places = places + self._float("embeddings.token_type_embeddings.weight")[0]
        table = self._constant("places", places)
        first = self._constant("first", np.array([0]))
        states = self._add("Add", [words, self._add("Slice", [table, first, tokens])])
        self._x = self._layer_norm(states, "embeddings.LayerNorm")

    def layer(self, number: int) -> None:
        prefix = f"encoder.layer.{number}"
        self._attend(f"{prefix}.attention")
        inner = self._linear(self._x, [f"{prefix}.intermediate.dense"])
        inner = self._add("Gelu", [inner], domain=MICROSOFT)
        # A few of these activations are so large that one scale for all loses the rest: in
        # float32 this product alone brings the vectors from a cosine of .996 to .999.
        outer = self._linear(inner, [f"{prefix}.output.dense"], int8=False)
        states = self._add("Add", [outer, self._x])
        self._x = self._layer_norm(states, f"{prefix}.output.LayerNorm")

    def _attend(self, prefix: str) -> None:
        names = [f"{prefix}.self.{name}" for name in ("query", "key", "value")]
        three = self._linear(self._x, names)
        parts = [f"{three}.{name}" for name in "qkv"]
        self._nodes.append(helper.make_node("Split", [three], parts, axis=-1, num_outputs=3))
        seen = self._add(
            "MultiHeadAttention",
            parts,
            domain=MICROSOFT,
            num_heads=self._shape.heads,
        )
        out = self._linear(seen, [f"{prefix}.output.dense"])
        states = self._add("Add", [out, self._x])
        self._x = self._layer_norm(states, f"{prefix}.output.LayerNorm")

    def pool(self) -> None:
        axis = self._constant("tokens", np.array([1]))
        mean = helper.make_node("ReduceMean", [self._x, axis], ["mean"], keepdims=0)
        self._nodes.append(mean)

    def model(self) -> ModelProto:
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])
        out = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, self._shape.hidden])
        graph = helper.make_graph(self._nodes, "bert", [ids], [out], self._constants)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    # -- parts -----------------------------------------------------------------------------

    def _linear(self, states: str, names: list[str], *, int8: bool = True) -> str:
        """Multiply with the weights of several layers side by side, and add their biases."""
        weight = np.concatenate([self._float(f"{name}.weight") for name in names]).T
        bias = np.concatenate([self._float(f"{name}.bias") for name in names])
        name = names[0]
        if not (self._int8 and int8):
            product = self._add("MatMul", [states, self._constant(f"{name}.w", weight)])
            return self._add("Add", [product, self._constant(f"{name}.b", bias)])
        whole, scale = _int8(weight, axis=0, largest=_LARGEST_WEIGHT)
        constants = {
            "w": whole,
            "s": scale[0],
            "z": np.zeros(len(bias), np.int8),
            "b": bias,
        }
        inputs = [self._constant(f"{name}.{key}", value) for key, value in constants.items()]
        return self._add("DynamicQuantizeMatMul", [states, *inputs], domain=MICROSOFT)

    def _layer_norm(self, states: str, name: str) -> str:
        """Spell it out: onnxruntime's own LayerNormalization is half as fast on a CPU."""
        gamma = self._float(f"{name}.weight") * math.sqrt(self._shape.hidden)
        centred = self._add("Sub", [states, self._add("ReduceMean", [states, self._axis])])
        squares = self._add("ReduceSumSquare", [centred, self._axis])
        length = self._add("Sqrt", [self._add("Add", [squares, self._epsilon])])
        unit = self._add("Div", [centred, length])
        scaled = self._add("Mul", [unit, self._constant(f"{name}.w", gamma.astype(np.float32))])
        bias = self._constant(f"{name}.b", self._float(f"{name}.bias"))
        return self._add("Add", [scaled, bias])

    def _word_table(self, name: str) -> tuple[str, str]:
        table = self._weights.get_slice(self._known(name))
        rows = table.get_shape()[0]
        parts = [
            _int8(table[at : min(at + _ROWS, rows)].astype(np.float32), axis=1, largest=127)
            for at in range(0, rows, _ROWS)
        ]
        whole = self._constant("words", np.concatenate([part for part, _ in parts]))
        return whole, self._constant("words.s", np.concatenate([scale for _, scale in parts]))

    def _float(self, name: str) -> Array:
        found: Array = self._weights.get_tensor(self._known(name)).astype(np.float32)
        return found

    def _known(self, name: str) -> str:
        for known in (name, f"bert.{name}"):
            if known in self._names:
                return known
        raise KeyError(name)

    def _constant(self, name: str, value: Any) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _add(self, kind: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        name = f"{kind}_{len(self._nodes)}"
        node = helper.make_node(kind, inputs, [name], domain=domain, **attributes)
        self._nodes.append(node)
        return name


def _int8(weight: Array, *, axis: int, largest: int) -> tuple[Array, Array]:
    """Return whole numbers, and the scales that bring them back to ``weight``."""
    scale = np.abs(weight).max(axis=axis, keepdims=True) / largest
    scale = np.where(scale == 0, 1, scale).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale
