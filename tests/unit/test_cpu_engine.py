"""Int8 or torch on this CPU: measured once, remembered, and never guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rag.app.container import Factory
from rag.config import load_settings
from rag.retrieval.embedding import cpu_engine
from rag.retrieval.embedding.bert_embedder import BertEmbedder
from rag.retrieval.embedding.cpu_engine import Speeds, remembered, speeds, this_machine
from rag.retrieval.embedding.onnx_cache import int8_graph
from rag.retrieval.embedding.onnxruntime import OnnxEmbedder
from tests.tiny_encoder import write_tiny_encoder

SHA = "0123456789abcdef" * 4
FASTER = Speeds(this_machine(), torch_per_s=10, int8_per_s=12)
HARDLY_FASTER = replace(FASTER, int8_per_s=11.9)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    write_tiny_encoder(tmp_path / "model")
    found = int8_graph(tmp_path / "model", cache=tmp_path / "cache", source_sha256=SHA)
    assert found is not None
    return found


@pytest.mark.slow
def test_both_engines_are_measured_and_the_result_is_remembered(
    graph: Path, tmp_path: Path
) -> None:
    found = speeds(tmp_path / "model", graph=graph)
    assert found is not None
    assert found.torch_per_s > 0
    assert found.int8_per_s > 0
    assert found.torch_per_s != found.int8_per_s
    assert remembered(graph.parent) == found
    assert {path.name for path in graph.parent.iterdir()} == {graph.name, "engine.json"}


def test_the_slower_engine_is_told_apart(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = BertEmbedder(tmp_path / "model", name="tiny")
    slow = OnnxEmbedder(tmp_path / "model", graph=graph, name="tiny")
    clock = iter(range(100))
    monkeypatch.setattr(cpu_engine, "perf_counter", lambda: float(next(clock)))
    embed = slow.embed_passages

    def as_if_busy(texts: Any) -> Any:
        next(clock)
        return embed(texts)

    monkeypatch.setattr(slow, "embed_passages", as_if_busy)
    first, second = cpu_engine.compare([quick, slow])
    assert first == 2 * second == 24


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"torch_per_s": 1}', json.dumps({"machine": 1, "other": 2})]
)
def test_a_damaged_note_is_no_note(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content)
    assert remembered(tmp_path) is None
    assert remembered(tmp_path / "nowhere") is None


def test_another_machine_is_measured_anew(tmp_path: Path) -> None:
    note = {"machine": "another", "torch_per_s": 1.0, "int8_per_s": 9.0}
    (tmp_path / "engine.json").write_text(json.dumps(note))
    assert remembered(tmp_path) is None
    (tmp_path / "engine.json").write_text(json.dumps({**note, "machine": this_machine()}))
    assert remembered(tmp_path) == Speeds(this_machine(), 1.0, 9.0)


@pytest.mark.slow
def test_what_cannot_be_measured_is_not_remembered(
    graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph.write_bytes(b"no graph")
    assert speeds(tmp_path / "model", graph=graph) is None
    assert "could not be measured" in caplog.text
    assert list(graph.parent.iterdir()) == [graph]


@pytest.mark.parametrize(
    ("units", "has"),
    [({}, False), ({"amx_bf16": True}, True), ({"avx512_bf16": True, "amx_bf16": False}, True)],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_int8_need_not_be_asked_where_torch_has_units_of_its_own(
    units: dict[str, bool], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
    assert cpu_engine.torch_has_its_own() is has


@pytest.fixture
def embedder_of(
    models_folder: Path, model_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Return a function that says which engine a factory takes, and a record of what it did."""
    model_path("all-MiniLM-L6-v2")

    def kind(*, engine: str = "auto", own: bool, before: Any = None, measured: Any = None) -> str:
        monkeypatch.setattr(cpu_engine, "remembered", lambda _: before)
        monkeypatch.setattr(cpu_engine, "torch_has_its_own", lambda: own)
        monkeypatch.setattr(cpu_engine, "speeds", lambda *_, **__: measured)
        settings = load_settings(
            None,
            {
                "RAGDESK_MODELS__FOLDER": str(models_folder),
                "RAGDESK_EMBEDDER__DEVICE": "cpu",
                "RAGDESK_EMBEDDER__ENGINE": engine,
            },
        )
        return type(Factory(settings).embedder("all-MiniLM-L6-v2")).__name__

    return kind


@pytest.mark.model
@pytest.mark.parametrize(
    ("facts", "engine"),
    [
        ({"own": True, "measured": FASTER}, "BertEmbedder"),
        ({"own": False, "measured": FASTER}, "OnnxEmbedder"),
        ({"own": False, "measured": HARDLY_FASTER}, "BertEmbedder"),
        ({"own": False, "measured": None}, "BertEmbedder"),
        ({"own": True, "before": FASTER}, "OnnxEmbedder"),
        ({"own": False, "before": HARDLY_FASTER, "measured": FASTER}, "BertEmbedder"),
        ({"engine": "torch", "own": False, "measured": FASTER}, "BertEmbedder"),
        ({"engine": "onnx", "own": True, "before": HARDLY_FASTER}, "OnnxEmbedder"),
    ],
)
def test_what_was_measured_decides_and_the_setting_before_it(
    facts: dict[str, Any], engine: str, embedder_of: Callable[..., str]
) -> None:
    assert embedder_of(**facts) == engine
