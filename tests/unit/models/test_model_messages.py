"""Every way in which a model can be gated, missing, damaged, too large or unsupported.

Each case runs the real path (a hub on loopback, broken folders and files, a plan without room)
and its message names the model and says what to do, in both languages.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from rag.app.container import Container
from rag.app.registry import load
from rag.config import GeneratorSettings, ModelSettings, Settings
from rag.errors import ModelError, RagError
from rag.models.catalogue import Entry, File, Hub
from rag.models.sources.hub import from_hub
from rag.models.store import ModelStore
from tests.model_files import catalogue, digest, entry, never
from tests.tiny_models import CHATML, llama_folder, llama_gguf

MODEL = "Fancy-7B-Chat"
REPOSITORY = f"maker/{MODEL}"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Answer:
    """What the hub answers to everything."""

    status: int
    code: str = ""
    body: bytes = b"{}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer: Answer = self.server.answer  # type: ignore[attr-defined]
        self.send_response(answer.status)
        if answer.code:
            self.send_header("X-Error-Code", answer.code)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "no-cache"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fancy(*, gated: bool = False) -> Entry:
    return entry(
        MODEL,
        files=(File("fancy.gguf", 4, digest(b"GGUF")),),
        loads="fancy.gguf",
        hub=Hub(REPOSITORY, COMMIT, gated=gated),
        wheels=None,
    )


def says(error: RagError, *, name: str) -> None:
    """Hold a message to what every message has to have."""
    assert name in error.message.en, error.message.en
    assert name in error.message.zh, error.message.zh
    assert re.search(r"[\u4e00-\u9fff]", error.message.zh), error.message.zh
    assert re.search(r"[\u4e00-\u9fff]", error.hint.zh), error.hint.zh
    assert not re.search(r"[\u4e00-\u9fff]", error.message.en + error.hint.en)
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,} [a-z]{3,}", error.message.zh)
    assert re.search(r"\b(Run|Free|Choose|Set|Accept|Check|Delete|Close|Install|Pull|Name)\b|`",
                     error.hint.en), error.hint.en  # fmt: skip
    for words in (error.say("en"), error.say("zh")):
        assert "Traceback" not in words
        assert not re.search(r"\b[A-Z]\w+Error\b", words), words
        assert len(words) < 1200


# ---- what cannot be fetched ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "gated", "said"),
    [
        (Answer(404, "GatedRepo"), True, "HF_TOKEN"),
        (Answer(401, "GatedRepo"), True, "HF_TOKEN"),
        (Answer(403, "GatedRepo"), True, "HF_TOKEN"),
        (Answer(403, "GatedRepo"), False, "HF_TOKEN"),
        (Answer(401), False, "HF_TOKEN"),
        (Answer(403), False, "HF_TOKEN"),
        (Answer(404, "RepoNotFound"), False, "not there any more"),
        (Answer(404, "RevisionNotFound"), False, "not there any more"),
        (Answer(500), False, "the error 500"),
        (Answer(503), False, "the error 503"),
        (Answer(200, body=b'{"id": "x", "siblings": []}'), False, "has no fancy.gguf"),
    ],
    ids=lambda value: f"{value.status}-{value.code}" if isinstance(value, Answer) else None,
)
def test_a_hub_that_does_not_give_the_model(
    hub: ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    gated: bool,
    said: str,
) -> None:
    hub.answer = answer  # type: ignore[attr-defined]
    monkeypatch.setenv("HF_TOKEN", "mine")
    url = f"http://127.0.0.1:{hub.server_address[1]}"
    error = pulled(
        tmp_path, fancy(gated=gated), lambda _: partial(from_hub, endpoint=url, pause_s=0)
    )
    says(error, name=MODEL)
    assert said in error.say("en")


def pulled(folder: Path, model: Entry, source: Callable, **options: Any) -> RagError:
    store = ModelStore(
        folder, sources=("hub",), catalogue=catalogue(model), open_source=source, **options
    )
    with pytest.raises(RagError) as caught:
        store.pull(MODEL, progress=lambda _: None, cancelled=never)
    return caught.value


def test_a_gated_model_without_a_token(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    error = pulled(tmp_path, fancy(gated=True), lambda _: from_hub)
    says(error, name=MODEL)
    assert "HF_TOKEN" in error.hint.en


def test_a_hub_that_is_out_of_reach(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    error = pulled(tmp_path, fancy(), lambda _: partial(from_hub, endpoint=url, pause_s=0))
    says(error, name=MODEL)
    assert str(tmp_path / MODEL) in error.hint.en


def test_downloads_that_are_switched_off(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    error = pulled(tmp_path, fancy(), lambda _: from_hub, offline=True)
    says(error, name=MODEL)
    assert "models.offline" in error.hint.en


def test_bytes_that_are_not_the_publishers(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    siblings = [{"rfilename": "fancy.gguf", "size": 4}]
    info = json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode()

    class Lying(Handler):
        def do_GET(self) -> None:
            self.server.answer = Answer(200, body=info if "/api/" in self.path else b"GGUX")  # type: ignore[attr-defined]
            super().do_GET()

        do_HEAD = do_GET  # noqa: N815 - the library's name

    hub.RequestHandlerClass = Lying
    url = f"http://127.0.0.1:{hub.server_address[1]}"
    error = pulled(tmp_path, fancy(), lambda _: partial(from_hub, endpoint=url, pause_s=0))
    says(error, name=MODEL)
    assert "models.sources" in error.hint.en


def test_a_disk_without_room(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    siblings = [{"rfilename": "fancy.gguf", "size": 4}]
    body = json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode()
    hub.answer = Answer(200, body=body)  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{hub.server_address[1]}"
    error = pulled(
        tmp_path,
        fancy(),
        lambda _: partial(from_hub, endpoint=url, pause_s=0),
        free_bytes=lambda _: 0,
    )
    says(error, name=MODEL)


# ---- what is not there, or is no model ----------------------------------------------------


def settings(folder: Path, model: str, **generator: object) -> Settings:
    return Settings(
        models=ModelSettings(folder=folder, sources=("folder",)),
        generator=GeneratorSettings(**{"model": model, **generator}),  # type: ignore[arg-type]
    )


def answering(folder: Path, model: str, **generator: object) -> RagError:
    """Return what the app says when it loads the model that the settings name."""
    with pytest.raises(RagError) as caught:
        Container(settings(folder, model, **generator)).generator()
    return caught.value


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    says(answering(tmp_path, MODEL), name=MODEL)


def test_a_known_model_that_no_source_has(tmp_path: Path) -> None:
    name = "SmolLM2-135M-Instruct-Q4_1"
    says(answering(tmp_path, name), name=name)


def test_a_known_model_that_is_not_here_and_not_to_be_fetched(tmp_path: Path) -> None:
    name = "SmolLM2-135M-Instruct-Q4_1"
    with pytest.raises(RagError) as caught:
        ModelStore(tmp_path).resolve(name)
    says(caught.value, name=name)
    assert f"rag models pull {name}" in caught.value.hint.en


@pytest.mark.parametrize("engine", ["llamacpp", "transformers"])
def test_weights_that_vanish_before_they_are_loaded(tmp_path: Path, engine: str) -> None:
    gone = tmp_path / f"{MODEL}.gguf"
    with pytest.raises(RagError) as caught:
        load(engine).load(gone, name=MODEL, context_tokens=512)
    says(caught.value, name=MODEL)


@pytest.mark.parametrize(
    "files",
    [{}, {"config.json": "{}"}, {"pytorch_model.bin": "", "config.json": "{}"}],
    ids=["empty", "no weights", "a pickle"],
)
def test_a_folder_without_a_model(tmp_path: Path, files: dict[str, str]) -> None:
    folder = tmp_path / MODEL
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    error = answering(tmp_path, str(folder))
    says(error, name=MODEL)
    assert "safetensors" in error.hint.en


# ---- what is damaged ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_folder(tmp_path_factory.mktemp("whole") / MODEL)


@pytest.fixture
def folder(folders: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders, tmp_path / MODEL))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights cut off": lambda folder: _cut(folder / "model.safetensors"),
    "weights empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights of something else": lambda folder: (folder / "model.safetensors").write_bytes(
        b"\xff" * 4000
    ),
    "configuration cut off": lambda folder: _cut(folder / "config.json"),
    "configuration empty": lambda folder: (folder / "config.json").write_text("", "utf-8"),
    "configuration is a list": lambda folder: (folder / "config.json").write_text("[]", "utf-8"),
    "tokenizer missing": lambda folder: (folder / "tokenizer.json").unlink(),
    "tokenizer cut off": lambda folder: _cut(folder / "tokenizer.json"),
}


def _edit(name: str, **values: object) -> Callable[[Path], object]:
    """Return what changes values of a file of the folder, which stays JSON."""

    def edit(folder: Path) -> None:
        written = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({**written, **values}), "utf-8")

    return edit


NONSENSE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "tokenizer of an unknown kind": (
        "tokenizer.json",
        _edit("tokenizer.json", model={"type": "Abacus"}),
    ),
    "tokenizer is empty": (
        "tokenizer.json",
        lambda folder: (folder / "tokenizer.json").write_text("{}", "utf-8"),
    ),
    "tokenizer is a list": (
        "tokenizer.json",
        lambda folder: (folder / "tokenizer.json").write_text("[]", "utf-8"),
    ),
    "tokenizer's settings are a list": (
        "tokenizer_config.json",
        lambda folder: (folder / "tokenizer_config.json").write_text("[]", "utf-8"),
    ),
    "tokenizer's settings have a number for a token": (
        "tokenizer_config.json",
        _edit("tokenizer_config.json", added_tokens_decoder={"7": 1}),
    ),
    "generation settings are a list": (
        "generation_config.json",
        lambda folder: (folder / "generation_config.json").write_text("[]", "utf-8"),
    ),
    "unknown rope": ("config.json", _edit("config.json", rope_parameters={"rope_type": "hemp"})),
    "unknown activation": ("config.json", _edit("config.json", hidden_act="explode")),
    "no heads": ("config.json", _edit("config.json", num_attention_heads=0, head_dim=None)),
    "size is a word": ("config.json", _edit("config.json", hidden_size="wide")),
    "window is null": ("config.json", _edit("config.json", max_position_embeddings=None)),
    "unknown number format": ("config.json", _edit("config.json", dtype="float99")),
    "precision is a word": ("config.json", _edit("config.json", quantization_config="low")),
}


@pytest.mark.parametrize(("file", "spoil"), NONSENSE.values(), ids=NONSENSE)
def test_a_file_of_a_folder_that_is_json_but_makes_no_sense_is_named(
    folder: Path, file: str, spoil: Callable[[Path], object]
) -> None:
    spoil(folder)
    error = answering(folder.parent, str(folder), quantization="none", device="cpu")
    assert isinstance(error, ModelError)
    says(error, name=MODEL)
    assert file in error.message.en
    assert file in error.message.zh
    assert "rag models pull" in error.hint.en


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_folder_that_is_damaged(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder)
    error = answering(folder.parent, str(folder), quantization="none", device="cpu")
    says(error, name=MODEL)
    assert "rag models pull" in error.hint.en
    assert "weights" in error.message.en or ".json" in error.message.en


def test_a_folder_in_which_weights_are_missing(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    error = answering(folder.parent, str(folder), quantization="none", device="cpu")
    says(error, name=MODEL)
    assert "missing" in error.message.en


@pytest.mark.parametrize("keep", [0, 4, 40, 3000, 0.5])
def test_a_gguf_that_is_cut_off(tmp_path: Path, keep: float) -> None:
    path = llama_gguf(tmp_path / f"{MODEL}.gguf")
    data = path.read_bytes()
    path.write_bytes(data[: round(keep * len(data)) if keep < 1 else round(keep)])
    error = answering(tmp_path, str(path))
    says(error, name=MODEL)
    assert "llama.cpp does not know" not in error.message.en


# ---- what does not fit, or is not supported -----------------------------------------------


def test_a_model_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(Container):
        def readings(self):
            return self

        def read(self, **_: object):
            from rag.types.hardware import MemoryReading

            return MemoryReading(0, 0, 1 << 30)

    with pytest.raises(RagError) as caught:
        Small(settings(tmp_path, "Llama-2-13b-chat")).generator()
    says(caught.value, name="Llama-2-13b-chat")
    assert "rag models fit" in caught.value.hint.en


@pytest.mark.parametrize("kind", ["flying_carpet", "mamba"])
def test_a_kind_that_the_library_does_not_know(folder: Path, kind: str) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind}), "utf-8")
    error = answering(folder.parent, str(folder), quantization="none", device="cpu")
    says(error, name=MODEL)
    assert kind in error.message.en
    assert "again" not in error.hint.en  # gigabytes for nothing


def test_a_gguf_of_a_kind_that_llama_cpp_does_not_know(tmp_path: Path) -> None:
    path = llama_gguf(tmp_path / f"{MODEL}.gguf")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"llama", b"lamma"))
    error = answering(tmp_path, str(path))
    says(error, name=MODEL)
    assert "lamma" in error.message.en


def test_a_model_that_is_not_made_for_conversations(folders: Path, tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / MODEL, template=None)
    error = answering(tmp_path, str(folder), quantization="none", device="cpu")
    says(error, name=MODEL)
    assert CHATML not in error.message.en


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_checkpoint_whose_precision_needs_a_package(folder: Path, method: str) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["quantization_config"] = {"quant_method": method, "bits": 4, "group_size": 128}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    error = answering(folder.parent, str(folder), device="cpu")
    says(error, name=MODEL)
    assert "pip install" in error.hint.en


def test_a_card_that_is_not_there(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    error = answering(folder.parent, str(folder), device="cuda")
    says(error, name=MODEL)
    assert "generator.device" in error.hint.en
