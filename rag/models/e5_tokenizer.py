"""The tokenizer inside ``e5-small-q4.bin``: XLM-R's, as unigram pieces with scores."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from rag.models.binary import MAX_COUNT, Malformed, Reader

# XLM-R's normaliser leaves these alone where NFKC would not; they pass NFKC disguised as
# noncharacters, which no text may hold.
KEPT_CHARACTERS = {"～": "\ufdd0", "🈻": "\ufdd1"}


@dataclass(frozen=True, slots=True)
class Pieces:
    """The unigram tokenizer: ``pieces[id]`` is ``(text, score)``."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unknown: int
    characters: dict[str, str]  # what its normaliser turns single characters into


def read_pieces(reader: Reader) -> Pieces:
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
    return Pieces(pieces, bos, eos, pad, unknown, _read_characters(reader))


def _read_characters(reader: Reader) -> dict[str, str]:
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


def build_tokenizer(pieces: Pieces) -> Tokenizer:
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
