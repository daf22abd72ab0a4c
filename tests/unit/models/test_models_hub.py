"""The hub is asked for one commit, goes on where it was cut off, and fails fast when it is dead."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import pytest

from rag.models.catalogue import Entry, File, Hub, load_catalogue
from rag.models.download import PARTS, Delivery, Download, DownloadCancelled, SourceUnavailable
from rag.models.sources.hub import from_hub
from tests.model_files import COMMIT, WEIGHTS, Recorder, digest, entry, never

REPOSITORY = "maker/tiny-GGUF"


@dataclass
class FakeHub:
    """What the server has, what it was asked, and how it misbehaves."""

    files: dict[str, bytes]
    lfs: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, range
    cut_after: int = 0  # bytes of a body after which the line breaks, once
    gated: bool = False
    ranges: bool = True
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    @property
    def hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/"):
            self.info()
        else:
            self.file(self.path.partition(f"/resolve/{COMMIT}/")[2])

    def info(self) -> None:
        siblings = [
            {"rfilename": name, "size": len(data)}
            | ({"lfs": {"sha256": digest(data), "size": len(data), "pointerSize": 1}}
               if name in self.hub.lfs else {})
            for name, data in self.hub.files.items()
        ]  # fmt: skip
        found = COMMIT in self.path
        body = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
        self.answer(200 if found else 404, json.dumps(body).encode())

    def file(self, name: str) -> None:
        wanted = self.headers.get("Range", "")
        self.hub.asked.append((name, wanted))
        if self.hub.gated:
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, status = self.hub.files[name], 200
        if wanted and self.hub.ranges:
            data, status = data[int(wanted.removeprefix("bytes=").rstrip("-")) :], 206
        self.answer(status, data)

    def answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "RevisionNotFound")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.hub.cut_after and status != 404 and not self.path.startswith("/api"):
            data, self.hub.cut_after = data[: self.hub.cut_after], 0
            self.close_connection = True
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "no-cache"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    fake = FakeHub({"tiny.gguf": WEIGHTS, "README.md": b"words"})
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.hub = fake  # type: ignore[attr-defined]
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


def job(folder: Path, model: Entry | None = None, **options: object) -> Download:
    given: dict[str, object] = {
        "entry": model or entry(),
        "folder": folder,
        "progress": Recorder(),
        "cancelled": never,
        "notify": lambda _: None,
        "free_bytes": lambda _: 10**12,
        **options,
    }
    return Download(**given)  # type: ignore[arg-type]


def parts(tmp_path: Path) -> Path:
    return tmp_path / entry().name / PARTS


def fetch(hub: FakeHub, tmp_path: Path, model: Entry | None = None, **options: object) -> Delivery:
    return from_hub(job(tmp_path, model, **options), endpoint=hub.url, pause_s=0)


def test_only_the_listed_files_are_fetched_and_hashed_on_the_way(
    hub: FakeHub, tmp_path: Path
) -> None:
    delivery = fetch(hub, tmp_path)
    (file,) = delivery.files
    assert file.at.read_bytes() == WEIGHTS
    assert file.sha256 == digest(WEIGHTS) == file.file.sha256
    assert delivery.revision == f"{REPOSITORY}@{COMMIT}"
    assert hub.asked == [("tiny.gguf", "")]


def test_a_broken_line_is_mended_within_the_same_pull(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 5000
    (file,) = fetch(hub, tmp_path).files
    assert file.sha256 == digest(WEIGHTS)
    assert hub.asked == [("tiny.gguf", ""), ("tiny.gguf", "bytes=5000-")]


def test_an_interrupted_download_goes_on_where_it_stopped(hub: FakeHub, tmp_path: Path) -> None:
    part = parts(tmp_path) / "tiny.gguf"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:7000])
    (file,) = fetch(hub, tmp_path).files
    assert hub.asked == [("tiny.gguf", "bytes=7000-")]
    assert file.sha256 == digest(WEIGHTS)
    assert part.read_bytes() == WEIGHTS


def test_a_file_that_is_complete_already_is_not_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    part = parts(tmp_path) / "tiny.gguf"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS)
    (file,) = fetch(hub, tmp_path).files
    assert hub.asked == []
    assert file.sha256 == digest(WEIGHTS)


def test_a_server_that_ignores_the_range_does_not_spoil_the_file(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.ranges = False
    part = parts(tmp_path) / "tiny.gguf"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 7000)
    (file,) = fetch(hub, tmp_path).files
    assert file.sha256 == digest(WEIGHTS)
    assert part.read_bytes() == WEIGHTS


def test_a_stop_keeps_what_has_arrived(hub: FakeHub, tmp_path: Path) -> None:
    seen = Recorder()
    stop = {"after": 3}

    def cancelled() -> bool:
        stop["after"] -= 1
        return stop["after"] < 0

    big = b"GGUF" + bytes(5 << 20)
    hub.files["tiny.gguf"] = big
    model = entry(files=(File("tiny.gguf", len(big), digest(big)),))
    with pytest.raises(DownloadCancelled):
        fetch(hub, tmp_path, model, cancelled=cancelled, progress=seen)
    kept = (parts(tmp_path) / "tiny.gguf").stat().st_size
    assert 0 < kept < len(big)
    (file,) = fetch(hub, tmp_path, model).files
    assert hub.asked[-1] == ("tiny.gguf", f"bytes={kept}-")
    assert file.sha256 == digest(big)


def test_patterns_take_what_matches_and_the_hub_says_the_hashes_that_nobody_pinned(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.files = {
        "model.safetensors": b"weights",
        "config.json": b"{}",
        "onnx/config.json": b"{}",
        "pytorch_model.bin": b"pickle",
        ".hidden.json": b"{}",
    }
    hub.lfs = {"model.safetensors"}
    model = entry(files=(), hub=Hub(REPOSITORY, COMMIT, patterns=("*.safetensors", "*.json")))
    found = {d.file.path: d for d in fetch(hub, tmp_path, model).files}
    assert set(found) == {"model.safetensors", "config.json"}
    assert found["model.safetensors"].file.sha256 == digest(b"weights")
    assert found["model.safetensors"].trust == "hub"
    assert found["config.json"].trust == "first use"


def test_a_gated_model_without_a_token_says_what_to_do_before_any_request(
    hub: FakeHub, tmp_path: Path
) -> None:
    model = entry(hub=Hub(REPOSITORY, COMMIT, gated=True))
    with pytest.raises(SourceUnavailable) as caught:
        fetch(hub, tmp_path, model)
    assert hub.asked == []
    hint = caught.value.hint
    assert hint
    for text in (hint.en, hint.zh):
        assert "HF_TOKEN" in text
        named = [e for e in load_catalogue() if e.name in text]
        assert named
        assert not any(e.gated for e in named)


def test_a_refusal_in_spite_of_a_token_says_the_same(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_notadmitted")
    hub.gated = True
    with pytest.raises(SourceUnavailable) as caught:
        fetch(hub, tmp_path, entry(hub=Hub(REPOSITORY, COMMIT, gated=True)))
    assert caught.value.hint
    assert "HF_TOKEN" in caught.value.hint.en


def test_a_commit_or_file_that_is_gone_is_said(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="not there any more"):
        fetch(hub, tmp_path, entry(hub=Hub(REPOSITORY, "f" * 40)))
    hub.files = {"other.gguf": WEIGHTS}
    with pytest.raises(SourceUnavailable, match=r"tiny\.gguf"):
        fetch(hub, tmp_path)


@pytest.mark.usefixtures("hub")
def test_a_dead_hub_is_given_up_within_seconds(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        from_hub(job(tmp_path), endpoint=f"http://127.0.0.1:{port}")
    assert time.monotonic() - begun < 5


@pytest.mark.usefixtures("hub")
def test_a_hub_that_never_answers_is_given_up_within_its_time(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            from_hub(job(tmp_path), endpoint=url, timeout_s=0.3)
        assert time.monotonic() - begun < 5


def test_offline_asks_nobody(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailable, match="switched off"):
        fetch(hub, tmp_path, offline=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceUnavailable, match="HF_HUB_OFFLINE"):
        fetch(hub, tmp_path)
    assert hub.asked == []


def write_cache(root: Path, data: bytes) -> Path:
    """Lay a file into the hub library's cache as that library does."""
    snapshot = root / "models--maker--tiny-GGUF" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "tiny.gguf").write_bytes(data)
    refs = root / "models--maker--tiny-GGUF" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    return snapshot


def test_what_another_program_has_cached_is_used_where_it_stands(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_cache(tmp_path / "cache", WEIGHTS)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    delivery = fetch(hub, tmp_path, offline=True)
    assert delivery.root == snapshot
    assert delivery.files[0].sha256 == digest(WEIGHTS)


def test_a_cached_file_with_other_bytes_is_passed_over(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cache(tmp_path / "cache", b"something else")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    delivery = fetch(hub, tmp_path)
    assert delivery.root is None
    assert delivery.files[0].sha256 == digest(WEIGHTS)
