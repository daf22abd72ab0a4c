"""Which model folders the int8 engine can read, and what their sizes are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"
_UNKNOWN: list[dict[str, Any]] = [{"type": "unknown"}]


@dataclass(frozen=True, slots=True)
class BertShape:
    """A BERT encoder with mean pooling, as MiniLM and the smaller E5 models are."""

    hidden: int
    layers: int
    heads: int
    epsilon: float
    max_tokens: int  # of the position table and of the model's own settings

    @classmethod
    def of(cls, folder: Path) -> BertShape | None:
        """Return the shape of the model in ``folder``; ``None`` if it is of another kind."""
        config = _read(folder / "config.json")
        pooling = _read(folder / "1_Pooling" / "config.json")
        modules = {str(module.get("type", "")).rpartition(".")[2] for module in _modules(folder)}
        wanted = (
            config.get("model_type") == "bert",
            config.get("hidden_act") == "gelu",
            config.get("position_embedding_type", "absolute") == "absolute",
            pooling.get("pooling_mode_mean_tokens") is True
            or pooling.get("pooling_mode") == "mean",
            modules <= {"Transformer", "Pooling", "Normalize"},
            (folder / WEIGHTS).is_file(),
        )
        if not all(wanted):
            return None
        own = _read(folder / "sentence_bert_config.json").get("max_seq_length")
        try:
            positions = int(config["max_position_embeddings"])
            return cls(
                hidden=int(config["hidden_size"]),
                layers=int(config["num_hidden_layers"]),
                heads=int(config["num_attention_heads"]),
                epsilon=float(config["layer_norm_eps"]),
                max_tokens=min(positions, int(own or positions)),
            )
        except (LookupError, TypeError, ValueError):  # the engine that reads any kind tells why
            return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _modules(folder: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / "modules.json").read_text("utf-8"))
    except (OSError, ValueError):
        return _UNKNOWN
    whole = isinstance(found, list) and all(isinstance(module, dict) for module in found)
    return found if whole else _UNKNOWN
