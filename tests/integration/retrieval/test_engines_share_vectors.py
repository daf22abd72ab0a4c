"""Int8 and float32 write into the same index version, so each must find what the other wrote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rag.app.container import Container
from rag.config import load_settings
from rag.protocols import Embedder

pytestmark = pytest.mark.model
PAIRS = [
    ("how much is the monthly rent", "The monthly rent is 950 euros, due on the first."),
    ("may I keep a dog in the flat?", "Dogs and cats are not allowed in the flat."),
    ("what is the memory bandwidth?", "The card has 24 GB of memory at 1008 GB per second."),
    ("how long does the warranty last?", "The warranty lasts two years from the day of delivery."),
    ("when was the company founded?", "The company was founded in Shenzhen in 1998."),
    ("net sales in 2018", "Net sales were $12,345 million in 2018, up 3 % from 2017."),
    ("how do proteins fold", "A protein folds into a shape that its amino acids decide."),
    ("how do I apply for leave?", "Apply for leave in the system two weeks before it begins."),
]  # fmt: skip


@pytest.fixture(scope="module", params=["multilingual-e5-small", "all-MiniLM-L6-v2"])
def engines(
    request: pytest.FixtureRequest, models_folder: Path, model_path: Callable[[str], Path]
) -> dict[str, Embedder]:
    model_path(request.param)

    def make(engine: str) -> Embedder:
        folder = {"RAGDESK_MODELS__FOLDER": str(models_folder), "RAGDESK_EMBEDDER__DEVICE": "cpu"}
        return Container(
            load_settings(None, {**folder, "RAGDESK_EMBEDDER__ENGINE": engine})
        ).embedder(request.param)

    return {"onnx": make("onnx"), "torch": make("torch")}


def test_both_engines_bear_the_name_of_one_index_version(engines: dict[str, Embedder]) -> None:
    assert type(engines["onnx"]) is not type(engines["torch"])
    assert engines["onnx"].name == engines["torch"].name
    assert engines["onnx"].max_tokens == engines["torch"].max_tokens
    text = "Some words, einige Wörter, 一些词"
    assert engines["onnx"].count_tokens(text) == engines["torch"].count_tokens(text)


def test_their_vectors_agree(engines: dict[str, Embedder]) -> None:
    texts = [text for pair in PAIRS for text in pair]
    cosines = (engines["onnx"].embed_passages(texts) * engines["torch"].embed_passages(texts)).sum(
        1
    )
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.98


@pytest.mark.parametrize(("asks", "wrote"), [("onnx", "torch"), ("torch", "onnx")])
def test_a_question_of_one_engine_finds_the_passage_of_the_other(
    engines: dict[str, Embedder], asks: str, wrote: str
) -> None:
    passages = engines[wrote].embed_passages([passage for _, passage in PAIRS])
    for right, (question, _) in enumerate(PAIRS):
        assert np.argmax(passages @ engines[asks].embed_query(question)) == right, question


def test_neither_torch_nor_transformers_is_loaded_to_embed_on_a_cpu(
    models_folder: Path, model_path: Callable[[str], Path]
) -> None:
    model_path("multilingual-e5-small")
    code = (
        "import sys\n"
        "from rag.config import load_settings\n"
        "from rag.app.container import Container\n"
        f"s = load_settings(None, {{'RAGDESK_MODELS__FOLDER': {str(models_folder)!r},"
        " 'RAGDESK_EMBEDDER__ENGINE': 'onnx'})\n"
        "Container(s).embedder('multilingual-e5-small').embed_query('rent')\n"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert found.stdout.split("\n")[-2] == "[]"
