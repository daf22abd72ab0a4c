"""The 4-bit e5 file becomes an ordinary folder, and a file that lies about itself is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from rag.models.e5_file import Malformed, unpack
from tests.model_files import HIDDEN, PIECES, VOCABULARY, e5_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data, _ = e5_file()
    return unpacked(data, tmp_path)


def unpacked(data: bytes, tmp_path: Path) -> Path:
    source, folder = tmp_path / "e5.bin", tmp_path / "folder"
    source.write_bytes(data)
    folder.mkdir()
    unpack(source, folder)
    return folder


def test_the_weights_are_those_that_were_packed_under_berts_names(folder: Path) -> None:
    _, meant = e5_file()
    found = load_file(folder / "model.safetensors")
    assert len(found) == len(meant) + 2  # and the pooler that nothing asks
    pairs = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.key.weight": "l0.k.w",
        "encoder.layer.0.attention.output.LayerNorm.weight": "l0.aln.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.0.output.dense.weight": "l0.fo.w",
        "encoder.layer.0.output.dense.bias": "l0.fo.b",
    }
    for name, packed in pairs.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], meant[packed])


def test_everyone_may_read_the_weights(folder: Path) -> None:
    assert (folder / "model.safetensors").stat().st_mode & 0o044 == 0o044


def test_the_configuration_is_that_of_the_file(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["hidden_size"] == HIDDEN
    assert config["vocab_size"] == VOCABULARY
    assert config["num_hidden_layers"] == 1
    modules = json.loads((folder / "modules.json").read_text("utf-8"))
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]


def test_passages_get_their_prefix_whichever_name_the_library_asks_by(folder: Path) -> None:
    text = (folder / "config_sentence_transformers.json").read_text("utf-8")
    prompts = json.loads(text)["prompts"]
    assert prompts == {"query": "query: ", "document": "passage: ", "passage": "passage: "}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab", ["<s>", "▁ab", "</s>"]),
        ("a b", ["<s>", "▁", "a", "▁", "b", "</s>"]),
        ("a    b", ["<s>", "▁", "a", "▁", "b", "</s>"]),
        ("ab\t文", ["<s>", "▁ab", "▁", "文", "</s>"]),
        ("ａｂ", ["<s>", "▁ab", "</s>"]),  # full-width letters
        ("a～b", ["<s>", "▁", "a", "～", "b", "</s>"]),  # the tilde of 10～35 stays wide
        ("ab\u200b文", ["<s>", "▁ab", "▁", "文", "</s>"]),
        ("龘", ["<s>", "▁", "<unk>", "</s>"]),
    ],
)
def test_text_is_cut_as_the_model_was_taught(folder: Path, text: str, pieces: list[str]) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(text).ids
    assert [PIECES[id_] for id_ in ids] == pieces


def test_the_same_bytes_give_the_same_files(tmp_path: Path) -> None:
    data, _ = e5_file()
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    one, two = unpacked(data, first), unpacked(data, second)
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert len(names) == 9
    assert [(one / n).read_bytes() for n in names] == [(two / n).read_bytes() for n in names]


def patched(offset: int, layout: str, value: float) -> bytes:
    data = bytearray(e5_file()[0])
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


SPECIAL_IDS, BLOB_LENGTH, OFFSETS = 48, 64, 72


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bytes wanted"),
        (b"GGUF" + e5_file()[0][4:], "E5S1"),
        (patched(4, "<I", 2), "version 2"),
        (patched(8, "<i", 33), "do not divide"),
        (patched(12, "<i", 1 << 30), "impossible sizes"),
        (patched(16, "<i", 0), "impossible sizes"),
        (patched(24, "<i", 3), "pieces, but 3 rows"),
        (patched(36, "<f", float("nan")), "impossible sizes"),
        (patched(44, "<i", -1), "-1 pieces"),
        (patched(44, "<i", 1 << 30), "bytes wanted"),
        (patched(SPECIAL_IDS, "<i", 99), "special ids"),
        (patched(BLOB_LENGTH, "<Q", 1 << 60), "bytes wanted"),
        (patched(OFFSETS + 4, "<I", 1 << 31), "offsets"),
        (patched(OFFSETS + 4 * (len(PIECES) + 1), "<f", float("inf")), "score"),
        (e5_file()[0].replace(struct.pack("<IB", 9, 1), struct.pack("<IB", 9, 9)), "character"),
        (e5_file()[0].replace(b"l0.fo.b", b"l0.xx.b"), "unknown or comes twice"),
        (e5_file()[0][:-4], "tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_lies_about_itself_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        unpacked(data, tmp_path)


def test_a_character_that_would_be_read_otherwise_than_the_file_says_is_refused(
    tmp_path: Path,
) -> None:
    data = e5_file()[0].replace(
        struct.pack("<IBI", ord("Ａ"), 1, ord("A")), struct.pack("<IBI", ord("Ａ"), 1, ord("B"))
    )
    with pytest.raises(Malformed, match=r"U\+FF21"):
        unpacked(data, tmp_path)
