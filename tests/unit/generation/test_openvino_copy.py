"""What OpenVINO makes of a GGUF is kept beside it, and is only used for that very file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rag.generation.openvino_copy import copy_of, drop_copy, has_copy, keep_copy, unfit
from rag.types.gguf import Gguf, Tensor

FIT = Gguf(
    file_bytes=1,
    values={
        "general.architecture": "qwen2",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.chat_template": "{{ messages }}",
    },
    lengths={},
    tensors=(Tensor("blk.0.attn_q.weight", 256, 144, 12), Tensor("output_norm.weight", 1, 4, 0)),
)


def weights(kind: int, name: str = "blk.0.ffn_up.weight") -> Gguf:
    return replace(FIT, tensors=(*FIT.tensors, Tensor(name, 32, 22, kind)))


def values(**changes: object) -> Gguf:
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    return replace(FIT, values={**FIT.values, **changed})


def test_a_plain_qwen_in_four_bits_fits() -> None:
    assert unfit(FIT) is None


@pytest.mark.parametrize(
    "header",
    [
        weights(6),  # Q5_0, as Qwen2.5 0.5B has it
        weights(0, "rope_freqs.weight"),  # Llama 3.1 turns its positions by these
        values(general__architecture="gemma3"),
        values(tokenizer__ggml__model="llama"),
        values(tokenizer__chat_template=""),
        values(qwen2__expert_count=8),
        values(qwen2__rope__scaling__type="yarn"),
    ],
)
def test_what_would_be_refused_or_read_wrongly_is_known_from_the_header(header: Gguf) -> None:
    why = unfit(header)
    assert why is not None
    assert "OpenVINO" in why.en
    assert "OpenVINO" in why.zh


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "model.Q4.gguf"
    path.write_bytes(b"GGUF and weights")
    return path


def writer(content: bytes = b"made of it") -> Callable[[Path], None]:
    def write(link: Path) -> None:
        assert link.read_bytes()[:4] == b"GGUF"
        (link.parent / "openvino_model.bin").write_bytes(content)

    return write


def test_a_copy_stands_beside_the_file_and_holds_nothing_else(gguf: Path) -> None:
    assert keep_copy(gguf, writer())
    assert has_copy(gguf)
    assert copy_of(gguf).parent.parent == gguf.parent
    assert copy_of(gguf).suffix != ".gguf"  # the library would take it for a file
    assert {each.name for each in copy_of(gguf).iterdir()} == {"openvino_model.bin", "made.json"}
    assert [each.name for each in copy_of(gguf).parent.iterdir()] == [copy_of(gguf).name]


def test_another_file_or_a_cut_copy_is_not_used(gguf: Path) -> None:
    keep_copy(gguf, writer())
    gguf.write_bytes(b"GGUF and other weights")
    assert not has_copy(gguf)
    assert keep_copy(gguf, writer())  # in the place of the old one
    assert has_copy(gguf)
    (copy_of(gguf) / "openvino_model.bin").write_bytes(b"cut")
    assert not has_copy(gguf)


def test_a_file_of_another_time_is_another_file(gguf: Path) -> None:
    keep_copy(gguf, writer())
    os.utime(gguf, ns=(1, 1))
    assert not has_copy(gguf)


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_is_left(gguf: Path) -> None:
    def full(link: Path) -> None:
        writer()(link)
        raise OSError("No space left on device")

    assert not keep_copy(gguf, full)
    assert not has_copy(gguf)
    assert [each.name for each in gguf.parent.iterdir()] == [gguf.name]


def test_a_copy_without_weights_is_none(gguf: Path) -> None:
    assert not keep_copy(gguf, lambda _: None)
    assert not has_copy(gguf)


def test_what_is_dropped_is_made_anew(gguf: Path) -> None:
    keep_copy(gguf, writer())
    drop_copy(gguf)
    assert not has_copy(gguf)
    assert keep_copy(gguf, writer())
