"""What a row of the benchmark reads and multiplies: the model's own description, no weights."""

from __future__ import annotations

from pathlib import Path

from rag.benchmark.rows import Sizes
from rag.errors import ModelError
from rag.gguf import Gguf
from rag.models.footprint import kv_bytes_per_token, weights_of, weights_of_file
from rag.models.shape import Shape, config_of, header_of, shape_of_config, shape_of_gguf

_GGUF_KINDS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 30: "IQ4_XS", 32: "BF16",
}  # fmt: skip
"""llama.cpp's names of what a file's ``general.file_type`` says."""


def sizes_of(path: Path, precision: str, *, narrow: bool) -> Sizes | None:
    """Return a model's sizes; ``None`` where its description is not understood.

    ``narrow`` says that the machine computes in 16 bits where it may choose: then what int8
    and NF4 leave as it is takes two bytes a number, else four.
    """
    try:
        if path.is_file():
            return _of_gguf(header_of(path), path)
        return _of_folder(path, precision, narrow=narrow)
    except ModelError:
        return None


def gguf_precision(path: Path) -> str:
    """Return llama.cpp's name of a file's precision; "" where the file does not say."""
    try:
        kind = header_of(path).values.get("general.file_type")
    except ModelError:
        return ""
    return _GGUF_KINDS.get(kind, "") if isinstance(kind, int) else ""


def kept_precision(folder: Path) -> str | None:
    """Return the precision a checkpoint is already in (gptq, awq); ``None`` if it is plain."""
    try:
        kept = config_of(folder).get("quantization_config")
    except ModelError:
        return None
    return str(kept.get("quant_method", "quantized")) if isinstance(kept, dict) else None


def _of_gguf(header: Gguf, path: Path) -> Sizes:
    shape = shape_of_gguf(header, name=path.name)
    weights = weights_of_file(header.file_bytes, shape)
    table = next((t.bytes for t in header.tensors if t.name == "token_embd.weight"), 0)
    read = sum(t.bytes for t in header.tensors) - (0 if shape.tied else table)
    return Sizes(
        weights_bytes=weights.total,
        read_per_token=read,
        multiplied=shape.layers * shape.linear,
        kv_bytes_per_token=kv_bytes_per_token(shape),
        window=shape.window,
    )


def _of_folder(folder: Path, precision: str, *, narrow: bool) -> Sizes:
    shape: Shape = shape_of_config(config_of(folder), name=folder.name)
    wide = 4 if precision == "fp32" or (precision in {"int8", "nf4"} and not narrow) else 2
    if kept_precision(folder) is not None:
        total = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        weights = weights_of_file(total, shape)
    elif precision in {"int8", "nf4"}:
        weights = weights_of(shape, "int8" if precision == "int8" else "nf4", wide=wide)
    else:
        weights = weights_of(shape, "none", wide=wide)
    return Sizes(
        weights_bytes=weights.total,
        read_per_token=weights.read_per_token,
        multiplied=shape.layers * shape.linear,
        kv_bytes_per_token=shape.kv_per_token * wide,
        window=shape.window,
    )
