"""The int8 engine: its graph is the model's, it is written once, and never in halves."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertModel

from rag.errors import ModelError
from rag.retrieval.embedding import onnxruntime as onnx_engine
from rag.retrieval.embedding.bert_shape import BertShape
from rag.retrieval.embedding.onnx_graph import bert_graph
from rag.retrieval.embedding.onnxruntime import OnnxEmbedder, int8_graph, open_session, run_graph
from rag.types.progress import Progress
from tests.tiny_encoder import write_tiny_encoder

IDS = [[5, 9, 200, 17, 40, 41, 42], [7], [30, 31, 32, 33]]
SHA = "0123456789abcdef" * 4


@pytest.fixture
def model(tmp_path: Path) -> BertModel:
    return write_tiny_encoder(tmp_path / "model")


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def means(model: BertModel) -> Any:
    """What transformers gives for each text alone: the mean of its tokens' states."""
    with torch.inference_mode():
        states = [model(torch.tensor([ids])).last_hidden_state[0].mean(dim=0) for ids in IDS]
    return np.stack([state.numpy() for state in states])


def graph_rows(folder: Path, *, int8: bool) -> Any:
    shape = BertShape.of(folder)
    assert shape is not None
    session = open_session(bert_graph(folder, shape, int8=int8).SerializeToString())
    return np.stack([run_graph(session, ids) for ids in IDS])


def test_the_graph_gives_the_vectors_of_the_model(model: BertModel, tmp_path: Path) -> None:
    wanted = unit(means(model))
    exact = (graph_rows(tmp_path / "model", int8=False) * wanted).sum(axis=1)
    whole = (graph_rows(tmp_path / "model", int8=True) * wanted).sum(axis=1)
    assert exact == pytest.approx(np.ones(3), abs=1e-4)  # the word table is in eight bits
    assert whole.min() > 0.98
    assert whole.max() < 1 - 1e-7, "nothing was computed in int8"


def test_it_is_written_once_and_told(model: BertModel, tmp_path: Path) -> None:
    told: list[Progress] = []
    first = int8_graph(
        tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA, report=told.append, name="tiny"
    )
    assert first is not None
    assert SHA[:16] in first.name
    assert [progress.done for progress in told] == [0, 1, 2]
    assert told[-1].total == 2
    stamp = first.stat().st_mtime_ns
    again = int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA)
    assert again == first
    assert first.stat().st_mtime_ns == stamp
    assert list((tmp_path / "c").iterdir()) == [first]


def test_other_weights_get_another_graph_and_the_old_one_goes(
    model: BertModel, tmp_path: Path
) -> None:
    first = int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA)
    second = int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256="f" * 64)
    assert first is not None
    assert second is not None
    assert not first.exists()
    assert second.is_file()


def test_vectors_that_do_not_agree_are_refused_and_that_is_remembered(
    model: BertModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(onnx_engine, "LEAST_COSINE", 1.1)
    assert int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA) is None
    assert "int8 gives other vectors" in caplog.text
    monkeypatch.setattr(onnx_engine, "LEAST_COSINE", 0.0)
    assert int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA) is None
    assert int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256="f" * 64) is not None


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"model_type": "qwen3"}),
        ("config.json", {"hidden_act": "relu"}),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}),
    ],
)
def test_models_of_another_kind_keep_the_other_engine(
    model: BertModel, tmp_path: Path, file: str, change: dict[str, object]
) -> None:
    path = tmp_path / "model" / file
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    assert int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA) is None
    assert not (tmp_path / "c").exists()


def test_damaged_weights_and_a_place_that_cannot_be_written_leave_nothing_behind(
    model: BertModel, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert int8_graph(tmp_path / "model", cache=tmp_path / "file", source_sha256=SHA) is None
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA) is None
    assert list((tmp_path / "c").iterdir()) == []


def test_a_graph_that_is_none_says_what_to_do(model: BertModel, tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError) as error:
        OnnxEmbedder(tmp_path / "model", graph=tmp_path / "graph.onnx", name="tiny")
    assert "embedder.engine" in error.value.hint.en


def test_a_long_question_is_read_in_windows(model: BertModel, tmp_path: Path) -> None:
    graph = int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA)
    assert graph is not None
    embedder = OnnxEmbedder(
        tmp_path / "model", graph=graph, name="tiny", query_prefix="q: ", passage_prefix="p: "
    )
    assert embedder.max_tokens == 96
    assert embedder.name == "tiny q: p:"
    assert embedder.count_tokens("abc") == 6
    assert np.linalg.norm(embedder.embed_query("word " * 60)) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ModelError):
        embedder.embed_passages(["x" * 94])


def test_a_question_overtakes_the_passages_that_wait(model: BertModel, tmp_path: Path) -> None:
    graph = int8_graph(tmp_path / "model", cache=tmp_path / "c", source_sha256=SHA)
    assert graph is not None
    embedder = OnnxEmbedder(tmp_path / "model", graph=graph, name="tiny")
    free = threading.Event()
    busy = [embedder._threads.submit(free.wait, 30) for _ in range(64)]
    asked: list[Any] = []
    asking = threading.Thread(target=lambda: asked.append(embedder.embed_query("rent")))
    asking.start()
    asking.join(20)
    free.set()
    assert asked, "it waited"
    assert all(waiting.result() for waiting in busy)
