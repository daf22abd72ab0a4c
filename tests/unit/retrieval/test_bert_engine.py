"""The CPU's own forward pass: it is the model's, fused or not, and texts never touch each other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertModel

from rag.errors import ModelError
from rag.retrieval.embedding import bert as bert_forward
from rag.retrieval.embedding.bert import BertEmbedder, BertForward
from rag.retrieval.embedding.bert_shape import BertShape
from tests.tiny_encoder import write_tiny_encoder

IDS = [[5, 9, 200, 17, 40, 41, 42], [7], [30, 31, 32, 33]]


@pytest.fixture
def model(tmp_path: Path) -> BertModel:
    return write_tiny_encoder(tmp_path / "model")


def forward(folder: Path, dtype: torch.dtype = torch.float32) -> BertForward:
    shape = BertShape.of(folder)
    assert shape is not None
    return BertForward(folder, shape, dtype=dtype)


def means(model: BertModel) -> Any:
    """What transformers gives for each text alone: the mean of its tokens' states."""
    with torch.inference_mode():
        states = [model(torch.tensor([ids])).last_hidden_state[0].mean(dim=0) for ids in IDS]
    return np.stack([state.numpy() for state in states])


def cosines(left: Any, right: Any) -> Any:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / lengths


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 0.99999), (torch.bfloat16, 0.999)])
@pytest.mark.parametrize("fused", [True, False])
def test_it_gives_the_states_of_the_model(
    model: BertModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    least: float,
    fused: bool,
) -> None:
    if not fused:
        monkeypatch.setattr(bert_forward, "_fused", lambda *_, **__: None)
    rows = forward(tmp_path / "model", dtype)(IDS)
    assert rows.dtype == np.float32
    assert cosines(rows, means(model)).min() > least


def test_a_row_does_not_depend_on_its_neighbours(model: BertModel, tmp_path: Path) -> None:
    run = forward(tmp_path / "model")
    together, alone = run(IDS), np.concatenate([run([ids]) for ids in IDS])
    assert together == pytest.approx(alone, abs=1e-5)
    assert run(IDS[::-1])[::-1] == pytest.approx(alone, abs=1e-5)


def test_products_that_come_out_wrong_are_not_used(
    model: BertModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(bert_forward, "_SAME", 1.1)
    with caplog.at_level(logging.WARNING):
        rows = forward(tmp_path / "model")(IDS)
    assert "other numbers" in caplog.text
    assert cosines(rows, means(model)).min() > 0.99999


def test_a_torch_without_the_fused_product_does_without(
    model: BertModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert cosines(forward(tmp_path / "model")(IDS), means(model)).min() > 0.99999


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_the_word_table_is_read_in_parts(
    model: BertModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(bert_forward, "_ROWS", rows)
    assert cosines(forward(tmp_path / "model")(IDS), means(model)).min() > 0.99999


def test_damaged_weights_are_told_with_what_to_do(model: BertModel, tmp_path: Path) -> None:
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelError) as error:
        BertEmbedder(tmp_path / "model", name="tiny")
    assert "pull" in error.value.hint.en


def test_it_suits_a_cpu_and_its_own_kind_of_model(
    model: BertModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    assert BertEmbedder.suits(folder, device="cpu")
    assert not BertEmbedder.suits(folder, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not BertEmbedder.suits(folder, device="auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert BertEmbedder.suits(folder, device="auto")
    (folder / "tokenizer.json").unlink()
    assert not BertEmbedder.suits(folder, device="auto")


def test_prefixes_and_long_questions(model: BertModel, tmp_path: Path) -> None:
    embedder = BertEmbedder(
        tmp_path / "model", name="tiny", query_prefix="q: ", passage_prefix="p: "
    )
    assert (embedder.max_tokens, embedder.name) == (96, "tiny q: p:")
    assert embedder.count_tokens("abc") == 6
    assert np.linalg.norm(embedder.embed_query("word " * 60)) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ModelError):
        embedder.embed_passages(["x" * 94])
