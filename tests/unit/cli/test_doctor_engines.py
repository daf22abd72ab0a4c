"""``rag doctor`` says which engine answers, and what was measured."""

from __future__ import annotations

from rag.app.engine_choice import EngineChoice, EngineTime
from rag.cli.doctor import _timed

LLAMACPP = EngineTime("llamacpp", 3, read_s=0.014, write_s=0.04, memory_bytes=2 << 30)


def test_both_engines_are_shown_with_time_and_memory() -> None:
    openvino = EngineTime("openvino", 4, read_s=0.007, write_s=0.054, memory_bytes=3 << 30)
    said = _timed("OpenVINO", EngineChoice((LLAMACPP, openvino))).what
    assert said.en.startswith("engine: OpenVINO; a question of 1,100 tokens")
    assert (
        "llama.cpp 19 s (loads in 3 s, 2.0 GiB); OpenVINO 12 s (loads in 4 s, 3.0 GiB)" in said.en
    )
    assert "OpenVINO 12 秒（加载 4 秒，3.0 GiB）" in said.zh


def test_why_an_engine_is_not_used_is_said() -> None:
    refused = EngineTime("openvino", refused="ended with code 11")
    said = _timed("llama.cpp", EngineChoice((LLAMACPP, refused))).what
    assert "OpenVINO cannot be used: ended with code 11" in said.en
    assert "OpenVINO 不可用" in said.zh
