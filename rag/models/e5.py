"""Unpacks ``e5-small-q4.bin`` into an ordinary sentence-transformers folder.

The file holds multilingual-e5-small with 4-bit matrices, and its tokenizer. It knows
nothing about where the file comes from; its sha256 is checked before it gets here, and
every length is checked again here, because a reader of binary data trusts nobody.

Layout, little-endian::

    "E5S1"  u32 version  7 x i32 shape  f32 layer-norm epsilon  i32 block length
    i32 pieces  4 x i32 special ids  u64 blob length
    u32 offsets[pieces + 1]  f32 scores[pieces]  blob
    i32 mapped characters  u32 their bytes  (u32 from, u8 count, u32 to[count])...
    i32 tensors  (u16 name length, name, u8 type, u32 count, u64 offset, u64 bytes)...
    data
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from rag.models.binary import Malformed, Reader
from rag.models.e5_tokenizer import Pieces, build_tokenizer, read_pieces

MAGIC = b"E5S1"
BLOCK = 32
"""Weights that share one scale; along the input of a matrix."""
BLOCK_BYTES = 18  # float16 scale, then 16 bytes of two weights each
FLOAT32, BLOCKS = 0, 1
"""Types of a tensor: plain numbers, or blocks of 4-bit weights."""
MAX_SIZE, MAX_LAYERS = 1 << 20, 128
"""Far above what the file has: a lie about a size must not make a loop endless."""
MAX_TOKENS = 512
QUERY_PREFIX, PASSAGE_PREFIX = "query: ", "passage: "

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


def unpack(source: Path, folder: Path) -> None:
    """Write ``source`` as a sentence-transformers folder, weights in float32.

    ``folder`` must exist; about 470 MB are written to it. The same bytes give the same
    folder, so its files need no checksum of their own.

    Raises:
        Malformed: a length, an offset or a name in ``source`` is wrong.
    """
    reader = Reader(source.read_bytes())
    shape = _read_shape(reader)
    pieces = read_pieces(reader)
    if len(pieces.pieces) > shape.vocabulary:
        raise Malformed(f"{len(pieces.pieces)} pieces, but {shape.vocabulary} rows of weights")
    tokenizer = build_tokenizer(pieces)
    tensors = _read_tensors(reader, shape)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    for name, value in _configuration(shape, pieces).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
    weights = folder / "model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # safetensors makes it readable for its owner alone


def _read_shape(reader: Reader) -> Shape:
    if bytes(reader.take(4)) != MAGIC:
        raise Malformed("the file does not begin with E5S1")
    version, *sizes, epsilon, block = reader.numbers("I7ifi")
    hidden, layers, heads, wide, vocabulary, positions, types = sizes
    shape = Shape(hidden, layers, heads, wide, vocabulary, positions, types, epsilon)
    if version != 1 or block != BLOCK:
        raise Malformed(f"version {version} with blocks of {block} is not known here")
    if min(sizes) < 1 or max(sizes) > MAX_SIZE or layers > MAX_LAYERS or not 0 < epsilon < 1:
        raise Malformed(f"impossible sizes: {shape}")
    if shape.hidden % shape.heads or shape.hidden % BLOCK or shape.feed_forward % BLOCK:
        raise Malformed(f"sizes do not divide: {shape}")
    return shape


def _read_tensors(reader: Reader, shape: Shape) -> dict[str, Array]:
    """Return the weights under the names that transformers' ``BertModel`` gives them."""
    (count,) = reader.numbers("i")
    wanted = dict(_names(shape))
    if count != len(wanted):
        raise Malformed(f"{count} tensors, not {len(wanted)}")
    found = {}
    for _ in range(count):
        (length,) = reader.numbers("H")
        name = bytes(reader.take(length)).decode("ascii", "replace")
        kind, numbers, offset, size = reader.numbers("BIQQ")
        if name not in wanted:
            raise Malformed(f"tensor {name!r} is unknown or comes twice")
        target, dims = wanted.pop(name)
        if numbers != np.prod(dims) or not 0 <= offset <= len(reader.data) - size:
            raise Malformed(f"tensor {name} has {numbers} numbers at {offset}, {size} bytes")
        found[target] = _numbers(reader.data[offset : offset + size], kind, dims)
    # BertModel has a pooler that mean pooling never asks; without one transformers warns
    found["pooler.dense.weight"] = np.zeros((shape.hidden, shape.hidden), np.float32)
    found["pooler.dense.bias"] = np.zeros(shape.hidden, np.float32)
    return found


def _numbers(data: memoryview, kind: int, dims: tuple[int, ...]) -> Array:
    """Return float32 numbers of shape ``dims``."""
    count = int(np.prod(dims))
    if kind == FLOAT32 and len(data) == 4 * count:
        values = np.frombuffer(data, "<f4").astype(np.float32)
    elif kind == BLOCKS and dims[-1] % BLOCK == 0 and len(data) == count // BLOCK * BLOCK_BYTES:
        layout = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
        blocks = np.frombuffer(data, layout)
        if not np.isfinite(blocks["scale"]).all():
            raise Malformed("a scale is not a number")
        nibbles = np.concatenate((blocks["pairs"] & 15, blocks["pairs"] >> 4), axis=1)
        values = nibbles.astype(np.float32)
        values -= 8
        values *= blocks["scale"].astype(np.float32)[:, None]
    else:
        raise Malformed(f"{len(data)} bytes of type {kind} are no {dims} numbers")
    if not np.isfinite(values).all():
        raise Malformed("a weight is not a number")
    return values.reshape(dims)


def _names(shape: Shape) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Yield ``(name in the file, (name in BertModel, shape))``."""
    h, wide = shape.hidden, shape.feed_forward
    yield "emb.word", ("embeddings.word_embeddings.weight", (shape.vocabulary, h))
    yield "emb.pos", ("embeddings.position_embeddings.weight", (shape.positions, h))
    yield "emb.type", ("embeddings.token_type_embeddings.weight", (shape.types, h))
    yield "emb.ln.w", ("embeddings.LayerNorm.weight", (h,))
    yield "emb.ln.b", ("embeddings.LayerNorm.bias", (h,))
    parts = {
        "q": ("attention.self.query", (h, h)),
        "k": ("attention.self.key", (h, h)),
        "v": ("attention.self.value", (h, h)),
        "ao": ("attention.output.dense", (h, h)),
        "aln": ("attention.output.LayerNorm", (h,)),
        "fi": ("intermediate.dense", (wide, h)),
        "fo": ("output.dense", (h, wide)),
        "oln": ("output.LayerNorm", (h,)),
    }
    for layer in range(shape.layers):
        for short, (long, dims) in parts.items():
            target = f"encoder.layer.{layer}.{long}"
            yield f"l{layer}.{short}.w", (f"{target}.weight", dims)
            yield f"l{layer}.{short}.b", (f"{target}.bias", dims[:1])


def _configuration(shape: Shape, pieces: Pieces) -> dict[str, object]:
    """Return the folder's JSON files by name."""
    module = "sentence_transformers.models."
    special = {
        key: pieces.pieces[id_][0]
        for key, id_ in {
            "bos_token": pieces.bos, "cls_token": pieces.bos, "eos_token": pieces.eos,
            "sep_token": pieces.eos, "pad_token": pieces.pad, "unk_token": pieces.unknown,
        }.items()
    }  # fmt: skip
    return {
        "config.json": _model_configuration(shape, pieces),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            "mask_token": "<mask>",
            **special,
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": module + "Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": module + "Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": module + "Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            # encode_document() takes "document", and it is "" where nobody says otherwise
            "prompts": {
                "query": QUERY_PREFIX,
                "document": PASSAGE_PREFIX,
                "passage": PASSAGE_PREFIX,
            },
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def _model_configuration(shape: Shape, pieces: Pieces) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.types,
        "layer_norm_eps": round(shape.epsilon, 15),
        "hidden_act": "gelu",
        "pad_token_id": pieces.pad,
        "dtype": "float32",
    }
