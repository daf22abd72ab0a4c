"""What the embedding engines have in common: text as token ids, and batches of them as vectors.

Ids are made with sentencepiece where it can be: the package tokenizers holds the 250,000 pieces of
XLM-RoBERTa in 295 MB, sentencepiece in 50, and cuts the same text in half the time
(docs/decisions.md).

Prefixes are put before the text here and nowhere else, so they are applied exactly once.
No passage is ever truncated: one that is too long is an error.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Required, TypedDict, Unpack

import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from rag.errors import ModelError
from rag.retrieval.embedding.bert_shape import WEIGHTS
from rag.system.process import give_back
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.protocols import Vector, Vectors

Ids = Sequence[int]
Run = Callable[[Callable[[Sequence[Ids]], "Vectors"], Sequence[Sequence[Ids]]], Iterable["Vectors"]]
"""As ``map``: calls a function for each batch of token ids and returns the results in order."""

ITEM_TOKENS = 256  # padded tokens that one passage of a batch stands for
_SPACE = "▁"
_CACHED_COUNTS = 1 << 14  # a chunker asks for the same pieces several times
_WORDS = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": "always", "split": True}


class Reading(TypedDict, total=False):
    """How a model's entry in the catalogue says that it is to be used."""

    name: Required[str]
    query_prefix: str
    passage_prefix: str
    max_tokens: int  # 512 if left out; never more than the model itself takes


class TokenEmbedder(ABC):
    """Satisfies ``Embedder``; an engine adds how token ids become rows."""

    def __init__(
        self, tokens: TokenIds, *, dim: int, longest: int, **reading: Unpack[Reading]
    ) -> None:
        """Take over ``tokens``; ``longest`` is how many of them the model reads at most."""
        self._tokens = tokens
        self._query_prefix = reading.get("query_prefix", "")
        self._passage_prefix = prefix = reading.get("passage_prefix", "")
        self.dim = dim
        names = (reading["name"], self._query_prefix.strip(), prefix.strip())
        self.name = " ".join(filter(None, names))
        self.max_tokens = min(reading.get("max_tokens", 512), longest)
        self._counted = lru_cache(maxsize=_CACHED_COUNTS)(
            lambda text: len(tokens.one(prefix + text))  # not of self, which it would keep alive
        )

    @abstractmethod
    def _embed(self, ids: Sequence[Ids]) -> Vectors:
        """Return one float32 row of norm 1 for each text's ids, in the given order."""

    def count_tokens(self, text: str) -> int:
        """Count tokens as ``embed_passages`` would send them, prefix and specials included."""
        return self._counted(text)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 rows of norm 1, shape ``(len(texts), dim)``, in the given order.

        Raises:
            ModelError: a text is longer than the model takes.
            OutOfMemory: the device ran out of memory.
        """
        found = self._tokens.each([self._passage_prefix + text for text in texts])
        for ids in found:
            if len(ids) > self.max_tokens:
                raise _too_long(len(ids), self.max_tokens)
        return self._embed(found)

    def embed_query(self, text: str) -> Vector:
        """Return one float32 vector of norm 1, shape ``(dim,)``.

        A question longer than the model takes is read in windows and gets their mean.
        """
        rows = self._embed(self._tokens.each(self._windows(text)))
        mean = rows.mean(axis=0)
        vector: Vector = (mean / np.linalg.norm(mean)).astype(np.float32)
        return vector

    def _windows(self, text: str) -> list[str]:
        """Halve a question until each piece fits, behind its prefix."""
        asked = self._query_prefix + text
        if len(self._tokens.one(asked)) <= self.max_tokens:
            return [asked]
        middle = len(text) // 2
        return self._windows(text[:middle]) + self._windows(text[middle:])

    def _by_length(
        self,
        ids: Sequence[Ids],
        forward: Callable[[Sequence[Ids]], Vectors],
        *,
        batch_tokens: int,
        run: Run = map,
    ) -> Vectors:
        """Return a row for each text, ``forward`` getting those of like length together.

        ``run`` calls it for each batch, in any order or at once. The longest texts come first, so
        that no core is left with one of them.
        """
        rows = np.empty((len(ids), self.dim), dtype=np.float32)
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        batches: list[list[int]] = []
        start = 0
        while start < len(order):
            size = max(1, batch_tokens // len(ids[order[start]]))
            batches.append(order[start : start + size])
            start += size
        found = run(forward, [[ids[i] for i in batch] for batch in batches])
        for batch, vectors in zip(batches, found, strict=True):
            rows[batch] = vectors
        return rows


def unit(rows: Vectors) -> Vectors:
    """Return rows of norm 1."""
    found: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def load_token_ids(folder: Path) -> TokenIds:
    """Read ``tokenizer.json``.

    Raises:
        ModelError: it cannot be read.
    """
    file = folder / "tokenizer.json"
    try:
        found = _unigram(json.loads(file.read_text("utf-8")))
        if found is None:
            return Plain(Tokenizer.from_file(str(file)))
    except Exception as error:  # the libraries raise nothing narrower for what is no tokenizer
        raise unloadable(folder, error, file=file.name) from error
    give_back()  # the file as it was read is larger than what is kept of it
    return found


def broken_file(folder: Path) -> str:
    """Return which file of a model is likely at fault, after a library failed to load it."""
    try:
        Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # noqa: BLE001 - the library raises nothing narrower
        return "tokenizer.json"
    try:
        with safe_open(folder / WEIGHTS, framework="np") as weights:
            weights.keys()
    except (OSError, SafetensorError):
        return WEIGHTS
    return "config.json"


class Plain:
    """Any tokenizer, by the package tokenizers."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take over ``tokenizer``: how it cuts and pads is changed in place, for all threads."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer

    def one(self, text: str) -> list[int]:
        """Return the ids of a text."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def each(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]


class Unigram:
    """Pieces with their likelihoods, as sentencepiece trains them."""

    def __init__(self, pieces: bytes, normaliser: Tokenizer, around: tuple[int, int]) -> None:
        """Read sentencepiece's own ``pieces``; ``around`` are the ids before and after a text."""
        from sentencepiece import SentencePieceProcessor

        self._pieces = SentencePieceProcessor(model_proto=pieces)
        self._normaliser = normaliser.normalizer
        self._before, self._after = around

    def one(self, text: str) -> list[int]:
        words = self._normaliser.normalize_str(text).replace(" ", _SPACE)
        if words and not words.startswith(_SPACE):
            words = _SPACE + words
        return [self._before, *self._pieces.encode(words), self._after]

    def each(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.one(text) for text in texts]


TokenIds = Plain | Unigram
"""Turns text into token ids, with those that the model wants around it."""


def _unigram(written: dict[str, Any]) -> Unigram | None:
    """Return the same tokenizer for sentencepiece; ``None`` if it does anything else."""
    model = written["model"]
    around = _around(written["post_processor"])
    if model["type"] != "Unigram" or model.get("byte_fallback") or around is None:
        return None
    if written["pre_tokenizer"] != _WORDS or written["normalizer"] is None:
        return None
    if any(_SPACE in piece[1:] for piece, _ in model["vocab"]):
        return None  # sentencepiece would use it across words
    special = {token["id"] for token in written["added_tokens"]}
    pieces = _pieces(model["vocab"], model["unk_id"], special)
    model["vocab"] = model["vocab"][: model["unk_id"] + 1]  # only its normaliser is asked
    written["added_tokens"], written["post_processor"] = [], None
    return Unigram(pieces, Tokenizer.from_str(json.dumps(written)), around)


def _around(processor: dict[str, Any] | None) -> tuple[int, int] | None:
    """Return the ids before and after a text, where it is one of each."""
    if processor is None or processor["type"] != "TemplateProcessing":
        return None
    parts = processor["single"]
    if [next(iter(part)) for part in parts] != ["SpecialToken", "Sequence", "SpecialToken"]:
        return None
    names = [parts[at]["SpecialToken"]["id"] for at in (0, 2)]
    (before,), (after,) = (processor["special_tokens"][name]["ids"] for name in names)
    return before, after


def _pieces(vocabulary: Sequence[tuple[str, float]], unknown: int, special: set[int]) -> bytes:
    """Return sentencepiece's own file. Text is cut as it comes: normalising is done before."""
    from sentencepiece import sentencepiece_model_pb2

    proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported
    model, kinds = proto.ModelProto(), proto.ModelProto.SentencePiece
    for id_, (piece, score) in enumerate(vocabulary):
        kind = kinds.USER_DEFINED if id_ in special else kinds.NORMAL
        model.pieces.add(piece=piece, score=score, type=kinds.UNKNOWN if id_ == unknown else kind)
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    model.trainer_spec.unk_id = unknown
    model.trainer_spec.unk_piece = vocabulary[unknown][0]
    model.trainer_spec.bos_id = model.trainer_spec.eos_id = model.trainer_spec.pad_id = -1
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = False
    found: bytes = model.SerializeToString()
    return found


def _too_long(tokens: int, limit: int) -> ModelError:
    return ModelError(
        Text(
            f"A passage has {tokens} tokens, but the embedding model reads only {limit}.",
            f"有一个段落长 {tokens} 个 token，而向量模型最多只读 {limit} 个。",
        ),
        hint=Text(
            "Lower chunk.tokens and run `rag rebuild`.",
            "请调低 chunk.tokens 并运行 `rag rebuild`。",
        ),
    )


def unloadable(folder: Path, error: Exception, *, file: str = "") -> ModelError:
    """Return what a person is told when a model's files are of no use.

    ``file`` is the one at fault; empty where the library does not let that be told.
    """
    missing = " is missing" if isinstance(error, LookupError) else ""  # it says only the key
    detail = f"{file}: {error}{missing}" if file else str(error)
    return ModelError(
        Text(
            f"The embedding model in {folder} cannot be loaded: {detail}",
            f"无法加载 {folder} 里的向量模型：{detail}",
        ),
        hint=Text("Delete that folder and pull the model again.", "请删除该文件夹并重新下载模型。"),
    )
