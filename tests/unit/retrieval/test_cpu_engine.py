"""Int8 or torch on this CPU: the processor decides, and the setting before it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.app.container import Container
from rag.config import load_settings
from rag.retrieval.embedding import bert_shape
from rag.retrieval.embedding.bert_shape import int8_is_fast


@pytest.mark.parametrize(
    ("machine", "flags", "fast"),
    [
        ("x86_64", "fpu avx2", True),
        ("x86_64", "avx2 avx512_vnni avx512_bf16", False),
        ("x86_64", "avx2 avx512_vnni", True),
        ("AMD64", "avx2", True),
        ("x86_64", "avx512_bf16 amx_tile amx_bf16 amx_int8", False),
        ("x86_64", "avx2 amx_bf16_of_another_kind", True),
        ("aarch64", "asimddp i8mm bf16", False),
        ("arm64", "", False),
    ],
)
def test_int8_is_for_x86_without_units_that_torch_uses_better(
    machine: str, flags: str, fast: bool, tmp_path: Path
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"model name\t: A CPU\nflags\t\t: {flags}\n" * 2, "utf-8")
    assert int8_is_fast(machine=machine, cpuinfo=told) is fast


def test_a_system_that_does_not_tell_its_units_has_none_of_a_server(tmp_path: Path) -> None:
    assert int8_is_fast(machine="AMD64", cpuinfo=tmp_path / "nothing")
    assert not int8_is_fast(machine="arm64", cpuinfo=tmp_path / "nothing")


@pytest.fixture
def embedder_of(
    models_folder: Path,
    model_path: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Return a function that says which engine a container takes on such a machine."""
    model_path("all-MiniLM-L6-v2")

    def kind(*, engine: str, machine: str, flags: str) -> str:
        (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n", "utf-8")
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(bert_shape, "_CPUINFO", tmp_path / "cpuinfo")
        settings = load_settings(
            None,
            {
                "RAGDESK_MODELS__FOLDER": str(models_folder),
                "RAGDESK_EMBEDDER__DEVICE": "cpu",
                "RAGDESK_EMBEDDER__ENGINE": engine,
            },
        )
        return type(Container(settings).embedder("all-MiniLM-L6-v2")).__name__

    return kind


@pytest.mark.model
@pytest.mark.parametrize(
    ("engine", "machine", "flags", "kind"),
    [
        ("auto", "x86_64", "avx2 avx512_vnni", "OnnxEmbedder"),
        ("auto", "x86_64", "avx2 avx512_bf16", "BertEmbedder"),
        ("auto", "x86_64", "avx512_bf16 amx_bf16", "BertEmbedder"),
        ("auto", "arm64", "", "BertEmbedder"),
        ("torch", "x86_64", "avx2", "BertEmbedder"),
        ("onnx", "arm64", "", "OnnxEmbedder"),
    ],
)
def test_the_processor_decides_and_the_setting_before_it(
    engine: str, machine: str, flags: str, kind: str, embedder_of: Callable[..., str]
) -> None:
    assert embedder_of(engine=engine, machine=machine, flags=flags) == kind
