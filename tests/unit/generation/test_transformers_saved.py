"""4-bit weights are made once: the next load reads them, and a spoilt copy is made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rag.generation.transformers import loading as transformers_loading
from rag.generation.transformers.loading import Loaded, load_model
from rag.generation.transformers.weights import MANIFEST, digests
from rag.types.hardware import Placement
from tests.tiny_models import llama_folder

IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_folder(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def source(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "Tiny-Chat"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that weights were read from."""
    folders: list[str] = []
    load = transformers_loading._weights

    def noted(folder: Path, **options: object) -> object:
        folders.append(folder.name.partition("-nf4-")[0] + ("*" if "-nf4-" in folder.name else ""))
        return load(folder, **options)

    monkeypatch.setattr(transformers_loading, "_weights", noted)
    return folders


def load(source: Path, quantization: str = "nf4") -> Loaded:
    plan = Placement("nf4", 512, saved_in=source.parent / "prepared")
    return load_model(source, quantization=quantization, device="cpu", placement=plan)  # type: ignore[arg-type]


def copies(source: Path) -> list[Path]:
    folder = source.parent / "prepared"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def logits(loaded: Loaded) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = loaded.model(input_ids=IDS).logits
    return found


def test_the_second_load_reads_the_copy_and_says_the_same(source: Path, read: list[str]) -> None:
    first, second = load(source), load(source)
    assert read == ["Tiny-Chat", "Tiny-Chat*"]
    assert torch.equal(logits(first), logits(second))
    assert second.model.model.layers[0].mlp.up_proj.weight.dtype is torch.uint8
    (copy,) = copies(source)
    made_of = json.loads((copy / MANIFEST).read_text("utf-8"))["made_of"]
    assert made_of["source"] == "Tiny-Chat"
    assert set(made_of["versions"]) == {"transformers", "bitsandbytes"}
    weights = "model.safetensors"
    assert (copy / weights).stat().st_size < 0.6 * (source / weights).stat().st_size


def flip_a_bit(copy: Path) -> None:
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)


def cut_short(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])


def lose_the_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()


def lose_the_manifest(copy: Path) -> None:
    (copy / MANIFEST).unlink()


def garble_the_manifest(copy: Path) -> None:
    (copy / MANIFEST).write_text("[]")


@pytest.mark.parametrize(
    "spoil", [flip_a_bit, cut_short, lose_the_weights, lose_the_manifest, garble_the_manifest]
)
def test_a_damaged_copy_is_set_aside_and_made_again(
    spoil: Callable[[Path], None], source: Path, read: list[str]
) -> None:
    expected = logits(load(source))
    spoil(copies(source)[0])
    assert torch.equal(logits(load(source)), expected)
    assert torch.equal(logits(load(source)), expected)
    assert read == ["Tiny-Chat", "Tiny-Chat", "Tiny-Chat*"]
    assert [copy.suffix for copy in copies(source)] == ["", ".damaged"]


def test_a_copy_that_the_library_cannot_read_is_set_aside_too(
    source: Path, read: list[str]
) -> None:
    expected = logits(load(source))
    (copy,) = copies(source)
    (copy / "config.json").write_text('{"model_type": "perceptron-1958"}')
    manifest = json.loads((copy / MANIFEST).read_text("utf-8"))
    manifest["files"] = digests(copy)
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert torch.equal(logits(load(source)), expected)
    assert read == ["Tiny-Chat", "Tiny-Chat*", "Tiny-Chat"]


def test_other_weights_under_the_same_name_are_quantized_anew(
    source: Path, read: list[str]
) -> None:
    load(source)
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes())  # another time of change
    load(source)
    assert read == ["Tiny-Chat", "Tiny-Chat"]
    assert len(copies(source)) == 1


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_only_four_bit_weights_are_kept(quantization: str, source: Path) -> None:
    load(source, quantization)
    assert copies(source) == []


def test_a_disk_without_room_keeps_nothing_and_the_model_works(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(source)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    assert logits(load(source)).shape[1] == IDS.shape[1]
    assert copies(source) == []


def test_a_folder_that_cannot_be_written_keeps_nothing_and_the_model_works(source: Path) -> None:
    (source.parent / "prepared").write_text("a file, where a folder should be")
    assert logits(load(source)).shape[1] == IDS.shape[1]
