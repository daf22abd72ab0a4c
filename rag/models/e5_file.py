"""Unpacks ``e5-small-q4.bin`` into an ordinary sentence-transformers folder, and tries it.

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

The reference vectors come from the engine for which the 4-bit file was made. They catch what
no hash can: an installed library that reads the folder in another way than was tested.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.utils import logging

MAX_COUNT = 2**31  # far above every count in the file: keeps arithmetic on lengths honest


class Malformed(ValueError):
    """The file is not what its layout promises. A bug or an attack: hashes come first."""


class BinaryReader:
    """A cursor that refuses to run past the end."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.at = 0

    def take(self, count: int) -> memoryview:
        """Return the next ``count`` bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Return what ``struct`` reads by ``layout``, little-endian and without padding."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))


# XLM-R's normaliser leaves these alone where NFKC would not; they pass NFKC disguised as
# noncharacters, which no text may hold.
KEPT_CHARACTERS = {"～": "\ufdd0", "🈻": "\ufdd1"}


@dataclass(frozen=True, slots=True)
class E5Pieces:
    """The unigram tokenizer: ``pieces[id]`` is ``(text, score)``."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unknown: int
    characters: dict[str, str]  # what its normaliser turns single characters into


def read_pieces(reader: BinaryReader) -> E5Pieces:
    """Read the tokenizer that begins at the cursor.

    Raises:
        Malformed: a length, an offset, a score or a character is impossible.
    """
    count, *special, blob_bytes = reader.numbers("5iQ")
    if not 0 < count < MAX_COUNT or not all(0 <= id_ < count for id_ in special):
        raise Malformed(f"{count} pieces with special ids {special}")
    offsets = np.frombuffer(reader.take(4 * (count + 1)), "<u4").astype(np.int64)
    scores = np.frombuffer(reader.take(4 * count), "<f4")
    blob = bytes(reader.take(blob_bytes))
    if offsets[0] != 0 or offsets[-1] != blob_bytes or (np.diff(offsets) < 1).any():
        raise Malformed("the offsets of the pieces do not rise from 0 to the end")
    if not np.isfinite(scores).all():
        raise Malformed("a score is not a number")
    try:
        texts = [blob[a:b].decode() for a, b in pairwise(offsets)]
    except UnicodeDecodeError as error:
        raise Malformed("a piece is not UTF-8") from error
    bos, eos, pad, unknown = special
    pieces = list(zip(texts, map(float, scores), strict=True))
    return E5Pieces(pieces, bos, eos, pad, unknown, _read_characters(reader))


def _read_characters(reader: BinaryReader) -> dict[str, str]:
    count, size = reader.numbers("iI")
    end = reader.at + size
    found = {}
    try:
        for _ in range(count):
            source, length = reader.numbers("IB")
            target = "".join(map(chr, reader.numbers(f"{length}I")))
            (chr(source) + target).encode()  # half of a surrogate pair is no character
            found[chr(source)] = target
    except (ValueError, OverflowError) as error:
        raise Malformed("the character map holds no character") from error
    if reader.at != end:
        raise Malformed("the character map has another length than it says")
    return found


def build_tokenizer(pieces: E5Pieces) -> Tokenizer:
    """Return the tokenizer, after checking that it normalises as the file says.

    Raises:
        Malformed: it would turn a character into something else.
    """
    tokenizer = Tokenizer(models.Unigram(pieces.pieces, unk_id=pieces.unknown))
    normaliser = normalizers.Sequence(
        [
            *(normalizers.Replace(char, mask) for char, mask in KEPT_CHARACTERS.items()),
            normalizers.Nmt(),
            normalizers.NFKC(),
            *(normalizers.Replace(mask, char) for char, mask in KEPT_CHARACTERS.items()),
        ]
    )
    for character, wanted in pieces.characters.items():
        if normaliser.normalize_str(character) != wanted:
            raise Malformed(f"U+{ord(character):04X} would not be normalised as the file says")
    one_space = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normaliser, one_space])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    bos, eos, pad, unknown = (
        pieces.pieces[id_][0] for id_ in (pieces.bos, pieces.eos, pieces.pad, pieces.unknown)
    )
    tokenizer.add_special_tokens([bos, pad, eos, unknown, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, pieces.bos), (eos, pieces.eos)],
    )
    return tokenizer


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
class E5Shape:
    """The sizes of the encoder, under the names that ``BertConfig`` gives them."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float


def unpack(source: Path, folder: Path) -> None:
    """Write ``source`` as a sentence-transformers folder, weights in float32.

    ``folder`` must exist; about 470 MB are written to it. The same bytes give the same
    folder, so its files need no checksum of their own.

    Raises:
        Malformed: a length, an offset or a name in ``source`` is wrong.
    """
    reader = BinaryReader(source.read_bytes())
    shape = _read_shape(reader)
    pieces = read_pieces(reader)
    if len(pieces.pieces) > shape.vocab_size:
        raise Malformed(f"{len(pieces.pieces)} pieces, but {shape.vocab_size} rows of weights")
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


def _read_shape(reader: BinaryReader) -> E5Shape:
    if bytes(reader.take(4)) != MAGIC:
        raise Malformed("the file does not begin with E5S1")
    version, *sizes, epsilon, block = reader.numbers("I7ifi")
    shape = E5Shape(*[*sizes, round(epsilon, 15)])
    hidden, layers, heads, wide = sizes[:4]
    if version != 1 or block != BLOCK:
        raise Malformed(f"version {version} with blocks of {block} is not known here")
    if min(sizes) < 1 or max(sizes) > MAX_SIZE or layers > MAX_LAYERS or not 0 < epsilon < 1:
        raise Malformed(f"impossible sizes: {shape}")
    if hidden % heads or hidden % BLOCK or wide % BLOCK:
        raise Malformed(f"sizes do not divide: {shape}")
    return shape


def _read_tensors(reader: BinaryReader, shape: E5Shape) -> dict[str, Array]:
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
    found["pooler.dense.weight"] = np.zeros((shape.hidden_size,) * 2, np.float32)
    found["pooler.dense.bias"] = np.zeros(shape.hidden_size, np.float32)
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


def _names(shape: E5Shape) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Yield ``(name in the file, (name in BertModel, shape))``."""
    h, wide = shape.hidden_size, shape.intermediate_size
    yield "emb.word", ("embeddings.word_embeddings.weight", (shape.vocab_size, h))
    yield "emb.pos", ("embeddings.position_embeddings.weight", (shape.max_position_embeddings, h))
    yield "emb.type", ("embeddings.token_type_embeddings.weight", (shape.type_vocab_size, h))
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
    for layer in range(shape.num_hidden_layers):
        for short, (long, dims) in parts.items():
            target = f"encoder.layer.{layer}.{long}"
            yield f"l{layer}.{short}.w", (f"{target}.weight", dims)
            yield f"l{layer}.{short}.b", (f"{target}.bias", dims[:1])


_MODULE = "sentence_transformers.models."
_FIXED: dict[str, object] = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": _MODULE + "Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": _MODULE + "Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": _MODULE + "Normalize"},
    ],
    "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
    "2_Normalize/config.json": {},
    "config_sentence_transformers.json": {
        # encode_document() takes "document", and it is "" where nobody says otherwise
        "prompts": {"query": QUERY_PREFIX, "document": PASSAGE_PREFIX, "passage": PASSAGE_PREFIX},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    },
}
"""JSON files that are the same whatever the file holds."""


def _configuration(shape: E5Shape, pieces: E5Pieces) -> dict[str, object]:
    """Return the folder's JSON files by name."""
    special = {
        key: pieces.pieces[id_][0]
        for key, id_ in {
            "bos_token": pieces.bos, "cls_token": pieces.bos, "eos_token": pieces.eos,
            "sep_token": pieces.eos, "pad_token": pieces.pad, "unk_token": pieces.unknown,
        }.items()
    }  # fmt: skip
    return {
        **_FIXED,
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            **asdict(shape),
            "hidden_act": "gelu",
            "pad_token_id": pieces.pad,
            "dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            "mask_token": "<mask>",
            **special,
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden_size,
            "pooling_mode_mean_tokens": True,
        },
    }


QUERY = "每瓦性能 performance per watt"
PASSAGE = "ＲＴＸ ４０９０ 的功耗上限为 450 W，显存 24 GB；10～35 ℃。"
_REFERENCE = Path(__file__).with_name("e5_reference.npy")
"""In float16: the vector of QUERY as a query, then of PASSAGE as a passage."""


def cosine_with_reference(folder: Path) -> float:
    """Return the smaller cosine of two texts' vectors with what they must be; 1 is best."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # ours is on the screen
    try:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    found = np.stack([model.encode_query(QUERY), model.encode_document(PASSAGE)])
    wanted = np.load(_REFERENCE).astype(np.float32)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(axis=1) / lengths).min())
