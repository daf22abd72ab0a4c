"""Text from token ids, piece by piece."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from rag.generation.detokenize import TextOfTokens


def decode_bytes(ids: list[int]) -> str:
    """Decode as a byte-level tokenizer does: one id is one byte."""
    return bytes(ids).decode("utf-8", errors="replace")


def sentencepiece() -> Tokenizer:
    """Build a tokenizer as Llama 2 has it: words with their space, and bytes for the rest."""
    words = ["<unk>", "▁the", "▁card", "card", "s", "▁", "价", "格", ",", "▁8"]
    vocabulary = {word: index for index, word in enumerate(words)}
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def pieces(text: TextOfTokens, ids: Sequence[int], *, at_once: int = 1) -> list[str]:
    found = [text.push(ids[start : start + at_once]) for start in range(0, len(ids), at_once)]
    return [*found, text.flush()]


@given(st.text(), st.integers(1, 5))
def test_pieces_of_byte_tokens_join_to_the_text_and_are_never_half_a_character(
    text: str, at_once: int
) -> None:
    whole = text.rstrip("\ufffd")  # the sign itself looks like an incomplete character
    found = pieces(TextOfTokens(decode_bytes), list(whole.encode()), at_once=at_once)
    assert "".join(found) == whole
    assert all("\ufffd" not in piece for piece in found) or "\ufffd" in whole


def test_a_character_of_four_bytes_is_held_back_until_its_last() -> None:
    found = pieces(TextOfTokens(decode_bytes), list("a🐼b".encode()))
    assert found == ["a", "", "", "", "🐼", "b", ""]


def test_a_character_that_never_becomes_complete_is_left_out() -> None:
    found = pieces(TextOfTokens(decode_bytes), list("价格".encode())[:-1])
    assert "".join(found) == "价"


@given(st.lists(st.integers(1, 9), max_size=30))
def test_spaces_that_a_sentencepiece_decoder_strips_only_at_the_start_are_kept(
    ids: list[int],
) -> None:
    tokenizer = sentencepiece()
    found = pieces(TextOfTokens(tokenizer.decode), ids)
    assert "".join(found) == tokenizer.decode(ids)


@pytest.mark.parametrize("text", ["价🐼格", "é", "a\u200db"])
def test_characters_spelled_in_bytes_arrive_whole(text: str) -> None:
    tokenizer = sentencepiece()
    ids = [1, *(266 - 256 + byte for byte in text.encode()), 2]
    assert tokenizer.decode(ids) == f"the{text} card"
    found = pieces(TextOfTokens(tokenizer.decode), ids)
    assert "".join(found) == f"the{text} card"
    assert not any("\ufffd" in piece for piece in found)


def test_tokens_that_are_no_text_do_not_swallow_the_space_after_them() -> None:
    tokenizer = sentencepiece()

    def decode(ids: list[int]) -> str:  # id 0 stands for an end-of-turn token, skipped
        return tokenizer.decode([index for index in ids if index])

    found = pieces(TextOfTokens(decode), [1, 0, 2, 0, 0, 1])
    assert "".join(found) == "the card the"
