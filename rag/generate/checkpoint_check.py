"""Says why a transformers folder cannot be loaded. The library's own words help developers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import CONFIG_MAPPING

from rag.words import Text

AGAIN = Text(
    "Delete it and download it again, with `rag models pull` if it is in the list.",
    "请删除后重新下载；列表中的模型可用 `rag models pull` 下载。",
)
_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
_NO_FAST_ATTENTION = "attention implementation"


def why_not_loaded(path: Path, error: Exception) -> tuple[Text, Text]:
    """Return why a folder could not be loaded, and a remedy."""
    config = _json(path / "config.json")
    if not isinstance(config, dict) or "model_type" not in config:
        return _damaged("config.json")
    kind = str(config["model_type"])
    if kind not in CONFIG_MAPPING or _NO_FAST_ATTENTION in str(error):
        return _unsupported(kind)
    if isinstance(error, SafetensorError):
        why = Text("a file of weights is damaged or incomplete.", "权重文件已损坏或不完整。")
        return why, AGAIN
    present = [name for name in _TOKENIZERS if (path / name).is_file()]
    if path.is_dir() and not present:
        return Text("its tokenizer.json is missing.", "缺少 tokenizer.json。"), AGAIN
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (path / name).is_file() and _json(path / name) is None:
            return _damaged(name)
    detail = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    return Text(detail, detail), AGAIN


def _json(path: Path) -> Any:
    """Return what a file holds; ``None`` if it is missing or no JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _damaged(name: str) -> tuple[Text, Text]:
    return Text(f"its {name} is missing or damaged.", f"它的 {name} 缺失或已损坏。"), AGAIN


def _unsupported(kind: str) -> tuple[Text, Text]:
    return (
        Text(
            f"models of the kind '{kind}' are not supported with the installed transformers.",
            f"已安装的 transformers 不支持“{kind}”类模型。",
        ),
        Text(
            "Choose another model from `rag models list`, a GGUF file of this one, or run"
            " `pip install --upgrade transformers`.",
            "请从 `rag models list` 中选择其他模型，或改用该模型的 GGUF 文件，"
            "或运行 `pip install --upgrade transformers`。",
        ),
    )
