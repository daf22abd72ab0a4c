"""Which models our own engines can read, and which of the two embeds them on this CPU.

Neither torch nor onnxruntime is asked: the engine that is not used must not be loaded.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"
_X86 = frozenset({"x86_64", "amd64"})
_TORCH_IS_AT_LEAST_LEVEL = frozenset({"amx_bf16", "avx512_bf16"})
"""With AMX int8 takes about 1.4 times as long as torch in bfloat16. With AVX-512 BF16 both are
level, and torch's vectors are closer to those of float32."""
_CPUINFO = Path("/proc/cpuinfo")


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
        config = _object(_read(folder / "config.json"))
        pooling = _object(_read(folder / "1_Pooling" / "config.json"))
        modules = _read(folder / "modules.json")
        kinds = {
            str(_object(module).get("type", "unknown")).rpartition(".")[2]
            for module in (modules if isinstance(modules, list) else [None])
        }
        wanted = (
            config.get("model_type") == "bert",
            config.get("hidden_act") == "gelu",
            config.get("position_embedding_type", "absolute") == "absolute",
            pooling.get("pooling_mode_mean_tokens") is True
            or pooling.get("pooling_mode") == "mean",
            kinds <= {"Transformer", "Pooling", "Normalize"},
            (folder / WEIGHTS).is_file(),
        )
        if not all(wanted):
            return None
        own = _object(_read(folder / "sentence_bert_config.json")).get("max_seq_length")
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


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _object(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def int8_is_fast(*, machine: str = "", cpuinfo: Path | None = None) -> bool:
    """Say whether int8 is faster than torch: on x86 CPUs that do not compute in bfloat16.

    A rule and no race: docs/decisions.md, "Embedding engines on a CPU, counted again".
    Elsewhere than on x86 it was never measured, so torch stays. Systems without ``cpuinfo`` do
    not tell of such units; int8 works there as well.
    """
    if (machine or platform.machine()).lower() not in _X86:
        return False
    try:
        told = (cpuinfo or _CPUINFO).read_text("utf-8")
    except OSError:
        return True
    return _TORCH_IS_AT_LEAST_LEVEL.isdisjoint(told.split())
