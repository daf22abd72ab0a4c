"""What is broken on this machine is named when a model is loaded, and the screen says it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from rag.app.container import Container
from rag.app.model_loader import ModelLoader
from rag.config import Settings
from rag.errors import ModelError
from rag.protocols import never
from rag.retrieval.embedding.bert import BertEmbedder
from rag.retrieval.embedding.bert_shape import BertShape
from rag.retrieval.embedding.sentence_transformers import SentenceTransformerEmbedder
from rag.retrieval.reranker import CrossEncoderReranker
from tests.factories import settings
from tests.tiny_encoder import write_tiny_encoder, write_tiny_reranker

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an embedder and a reranker."""
    folder = tmp_path_factory.mktemp("whole")
    write_tiny_encoder(folder / "embedder")
    write_tiny_reranker(folder / "reranker")
    return folder


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, "utf-8")


def edit(name: str, **values: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        written = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({**written, **values}), "utf-8")

    return change


def drop(name: str, key: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        written = json.loads((folder / name).read_text("utf-8"))
        del written[key]
        (folder / name).write_text(json.dumps(written), "utf-8")

    return change


def bert(folder: Path) -> BertEmbedder:
    return BertEmbedder(folder, name="e")


def torch(folder: Path) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(folder, name="e", device="cpu")


def reranker(folder: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(folder, name="r", device="cpu")


@pytest.mark.parametrize(
    ("load", "spoil", "file"),
    [
        (bert, write("tokenizer.json", "{oops"), "tokenizer.json"),
        (bert, write("tokenizer.json", "{}"), "tokenizer.json"),
        (bert, edit("tokenizer.json", model={"type": "Abacus"}), "tokenizer.json"),
        (bert, edit("config.json", num_hidden_layers=3), "model.safetensors"),
        (bert, write("model.safetensors", "junk"), "model.safetensors"),
        (torch, write("tokenizer.json", "{}"), "tokenizer.json"),
        (torch, edit("tokenizer.json", model={"type": "Abacus"}), "tokenizer.json"),
        (torch, edit("config.json", hidden_act="explode"), "config.json"),
        (torch, edit("config.json", num_attention_heads=0), "config.json"),
        (torch, write("model.safetensors", "junk"), "model.safetensors"),
        (reranker, edit("tokenizer.json", model={"type": "Abacus"}), "tokenizer.json"),
        (reranker, edit("config.json", hidden_act="explode"), "config.json"),
    ],
)
def test_a_broken_file_of_a_model_that_finds_passages_is_named(
    models: Path,
    tmp_path: Path,
    load: Callable[[Path], object],
    spoil: Callable[[Path], object],
    file: str,
) -> None:
    kind = "reranker" if load is reranker else "embedder"
    folder = Path(shutil.copytree(models / kind, tmp_path / kind))
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert file in caught.value.message.en
    assert file in caught.value.message.zh
    assert str(folder) in caught.value.message.en
    assert "pull the model again" in caught.value.hint.en


@pytest.mark.parametrize(
    "spoil",
    [
        drop("config.json", "hidden_size"),
        edit("config.json", num_hidden_layers="many"),
        write("config.json", "[]"),
        write("modules.json", "[1]"),
    ],
)
def test_a_shape_that_cannot_be_read_is_left_to_the_engine_that_reads_any_kind(
    models: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    folder = Path(shutil.copytree(models / "embedder", tmp_path / "embedder"))
    spoil(folder)
    assert BertShape.of(folder) is None


# -- broken packages ----------------------------------------------------------------------

LOAD = """
from rag.app.registry import load
from rag.errors import RagError
try:
    load("llamacpp")
except RagError as error:
    print(type(error).__name__)
    print(error.message.en)
    print(error.hint.en)
"""


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("xllamacpp.abi3.so", "this was a library once"),
        ("xllamacpp.py", "import ctypes\nctypes.CDLL('libnowhere.so.7')\n"),
        ("xllamacpp.py", "raise RuntimeError('no such instruction')\n"),
        ("xllamacpp.py", "from os import sesame\n"),
    ],
    ids=["extension", "shared library", "its own error", "another version"],
)
@pytest.mark.skipif("os.name == 'nt'", reason="names of shared libraries")
def test_a_package_that_is_installed_but_broken_is_named_with_a_remedy(
    tmp_path: Path, file: str, content: str
) -> None:
    (tmp_path / file).write_text(content, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    kind, message, hint = done.stdout.splitlines()
    assert kind == "ModelError"
    assert "'xllamacpp', which is installed but cannot be loaded" in message
    assert "pip install --force-reinstall xllamacpp" in hint
    if "CDLL" in content:
        assert "libnowhere.so.7" in message


# -- loading in the running app -----------------------------------------------------------


class Failing(Container):
    """Its model ends in an error that no engine knows."""

    def __init__(self, chosen: Settings, error: BaseException) -> None:
        super().__init__(chosen)
        self._error = error

    def generator(self, cancelled: Callable[[], bool] | None = None) -> NoReturn:
        raise self._error


@pytest.mark.parametrize("error", [KeyError("weight"), SystemExit(1), AssertionError()])
def test_loading_that_ends_in_any_error_is_a_failure_and_not_a_cancel(
    tmp_path: Path, error: BaseException
) -> None:
    loading = ModelLoader(never)
    loading.load(Failing(settings(tmp_path / "knowledge"), error))
    assert loading.state == "failed"
    assert loading.note is not None
    assert type(error).__name__ in loading.note.en
    assert "rag models pull" in loading.note.zh
    for _ in range(2):  # whoever asks later is told as well
        with pytest.raises(ModelError) as caught:
            loading.wait(never)
        assert caught.value.__cause__ is error


def test_whoever_waits_for_a_model_that_fails_is_told_at_once(tmp_path: Path) -> None:
    loading = ModelLoader(never)
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(ModelError) as caught:
            loading.wait(never)
        told.append(caught.value.message.en)

    waiting = threading.Thread(target=ask)
    waiting.start()
    loading.load(Failing(settings(tmp_path / "knowledge"), KeyError("weight")))
    waiting.join(10)
    assert told
