"""A GGUF's header is read without its weights, and a damaged one is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGUFReader

from rag.types.gguf import DamagedGguf, read_gguf
from tests.tiny_models import llama_gguf


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_it_reads_what_the_library_reads(gguf: Path) -> None:
    header, reader = read_gguf(gguf), GGUFReader(gguf)
    theirs = {tensor.name: (tensor.n_elements, tensor.n_bytes) for tensor in reader.tensors}
    assert {t.name: (t.numbers, t.bytes) for t in header.tensors} == theirs
    assert header.architecture == "llama"
    for key in ("block_count", "embedding_length", "attention.head_count_kv"):
        field = reader.get_field(f"llama.{key}")
        assert field is not None
        assert header.of_architecture(key) == field.contents()
    assert header.lengths["tokenizer.ggml.tokens"] == 300
    assert header.file_bytes == gguf.stat().st_size


def test_a_file_that_is_cut_off_anywhere_is_damaged(gguf: Path, tmp_path: Path) -> None:
    data = gguf.read_bytes()
    header = data.index(b"token_embd.weight")
    for end in (0, 3, 4, 10, 200, header + 5, len(data) // 2, len(data) - 200_000):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(data[:end])
        with pytest.raises(DamagedGguf):
            read_gguf(cut)


def test_lengths_that_lie_are_not_believed(gguf: Path, tmp_path: Path) -> None:
    data = bytearray(gguf.read_bytes())
    lying = tmp_path / "lying.gguf"
    for at in (8, 16, 24):  # counts of tensors and values, and the length of the first key
        changed = bytearray(data)
        changed[at : at + 8] = b"\xff" * 8
        lying.write_bytes(changed)
        with pytest.raises(DamagedGguf):
            read_gguf(lying)


def test_another_kind_of_file_is_none(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"%PDF-1.7 and so on")
    with pytest.raises(DamagedGguf):
        read_gguf(other)
