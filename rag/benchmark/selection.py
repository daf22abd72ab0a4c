"""Which rows a benchmark has, what each has to read and multiply, and which cannot run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.benchmark.rows import SERVER, Row, RowSpec, Sizes
from rag.errors import ConfigError, ModelError, RagError
from rag.models.shape import (
    config_of,
    header_of,
    kv_bytes_per_token,
    shape_of_config,
    shape_of_gguf,
    weights_of,
    weights_of_file,
)
from rag.text.messages import Text
from rag.text.sizes import memory_size
from rag.types.gguf import Gguf

if TYPE_CHECKING:
    from rag.config import GeneratorSettings
    from rag.models.store import ModelStore
    from rag.types.hardware import MemoryReading

ECHO = "echo"
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "nf4")
"""What the transformers engine makes of a plain checkpoint."""
WORK_BYTES = 512 << 20
"""For the interpreter, its libraries and the buffers of a prompt: torch alone takes .3 GB."""
_GGUF_KINDS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 30: "IQ4_XS", 32: "BF16",
}  # fmt: skip
"""llama.cpp's names of what a file's ``general.file_type`` says."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for; no models, engine or precisions mean: whatever there is."""

    models: tuple[str, ...] = ()
    engine: str = ""
    precisions: tuple[str, ...] = ()
    repetitions: int = 3  # answers timed in each row
    new_tokens: int = 64
    quality: int = 12  # short questions
    questions: Path | None = None  # a folder of sets to take them from
    quick: bool = False


def specs(wanted: Options, store: ModelStore, generator: GeneratorSettings) -> list[Row]:
    """Return a row for each model, engine and precision; ``reason`` is set where it cannot run.

    Raises:
        ConfigError: nothing is left to measure.
    """
    rows: list[Row] = []
    if wanted.engine == ECHO or ECHO in wanted.models:
        rows.append(Row(RowSpec(ECHO, ECHO, "", {"engine": ECHO, "model": ECHO})))
    if (server := generator.asked_server()) is not None and not wanted.models:
        name = server.shown if generator.model == "auto" else generator.model
        rows.append(Row(RowSpec(SERVER, name, "", {"engine": SERVER})))
    for name in wanted.models or _installed(store):
        if name != ECHO:
            rows += _of_model(name, store, generator, engine=wanted.engine)
    chosen = {name.lower() for name in wanted.precisions}
    rows = [
        row
        for row in rows
        if wanted.engine in {"", row.spec.engine}
        and (not chosen or row.spec.precision.lower() in chosen)
    ]
    if not rows:
        raise _nothing(wanted)
    return rows


def sized(row: Row, *, narrow: bool) -> Row:
    """Return the row with what its model reads and multiplies, where that can be known.

    ``narrow`` says that the machine computes in 16 bits where it may choose: then what int8
    and NF4 leave as it is takes two bytes a number, else four.
    """
    if row.spec.path is None or row.reason is not None:
        return row
    path = Path(row.spec.path)
    try:
        if path.is_file():
            return replace(row, sizes=_of_gguf(header_of(path), path))
        return replace(row, sizes=_of_folder(path, row.spec.precision, narrow=narrow))
    except ModelError:
        return row


def fitted(row: Row, machine: MemoryReading, *, context_tokens: int) -> Row:
    """Return the row with the free memory, and with a reason if that is not enough.

    Where there is a card, what it has no room for may live beside it: engines split weights.
    """
    room = free = machine.ram_total_bytes - machine.ram_used_bytes
    if machine.vram_total_bytes is not None and row.spec.settings.get("device") != "cpu":
        free = machine.vram_total_bytes - (machine.vram_used_bytes or 0)
        room += free
    row = replace(row, free_bytes=free)
    if row.sizes is None:
        return row
    tokens = min(context_tokens, row.sizes.window)
    needed = row.sizes.weights_bytes + tokens * row.sizes.kv_bytes_per_token + WORK_BYTES
    if needed <= room:
        return row
    have, want = memory_size(room), memory_size(needed)
    return replace(
        row,
        reason=Text(
            f"does not fit: it needs about {want}, {have} are free",
            f"内存不足：约需 {want}，可用 {have}",
        ),
    )


def _installed(store: ModelStore) -> list[str]:
    return [
        entry.name
        for entry in store.catalogue
        if entry.kind == "generator" and store.installation(entry.name) is not None
    ]


def _of_model(
    name: str, store: ModelStore, generator: GeneratorSettings, *, engine: str
) -> list[Row]:
    entry = store.catalogue.find(name)
    shown = entry.name if entry else Path(name).name
    try:
        path = store.resolve(name)
    except RagError as error:
        said = entry.engine if entry else engine
        return [Row(RowSpec(said, shown, "", {"model": name}), reason=reason_of(error))]
    return [Row(spec) for spec in _of_path(path, shown, name, generator)]


def _of_path(path: Path, shown: str, name: str, generator: GeneratorSettings) -> Sequence[RowSpec]:
    if path.is_file():
        only = {"engine": "llamacpp", "model": name}
        return [RowSpec("llamacpp", shown, _gguf_precision(path), only, str(path))]
    settings: dict[str, Any] = {"engine": "transformers", "model": name, "device": generator.device}
    kept = _kept_precision(path)
    if kept is not None:
        return [RowSpec("transformers", shown, kept, settings, str(path))]
    return [
        RowSpec("transformers", shown, made, {**settings, "quantization": made}, str(path))
        for made in PRECISIONS
    ]


def reason_of(error: RagError) -> Text:
    """Return an error with its remedy in one line."""
    return Text(
        f"{error.message.en} → {error.hint.en}",
        f"{error.message.zh} → {error.hint.zh}",
    )


def _nothing(wanted: Options) -> ConfigError:
    if wanted.models or wanted.engine or wanted.precisions:
        return ConfigError(
            Text(
                "No installed model has this engine and precision.",
                "没有已安装的模型符合这个引擎和精度。",
            ),
            hint=Text(
                "Leave --engine or --precision out, or name another model with --model.",
                "请去掉 --engine 或 --precision，或用 --model 指定其他模型。",
            ),
        )
    return ConfigError(
        Text("No language model is installed.", "尚未安装语言模型。"),
        hint=Text(
            "Run `rag models pull` with a name from `rag models list`, or name a folder or a "
            ".gguf file with --model.",
            "请用 `rag models list` 中的名称运行 `rag models pull`，或用 --model 指定文件夹或 "
            ".gguf 文件。",
        ),
    )


def _gguf_precision(path: Path) -> str:
    """Return llama.cpp's name of a file's precision; "" where the file does not say."""
    try:
        kind = header_of(path).values.get("general.file_type")
    except ModelError:
        return ""
    return _GGUF_KINDS.get(kind, "") if isinstance(kind, int) else ""


def _kept_precision(folder: Path) -> str | None:
    """Return the precision a checkpoint is already in (gptq, awq); ``None`` if it is plain."""
    try:
        kept = config_of(folder).get("quantization_config")
    except ModelError:
        return None
    return str(kept.get("quant_method", "quantized")) if isinstance(kept, dict) else None


def _of_gguf(header: Gguf, path: Path) -> Sizes:
    shape = shape_of_gguf(header, name=path.name)
    table = next((t.bytes for t in header.tensors if t.name == "token_embd.weight"), 0)
    return Sizes(
        weights_bytes=weights_of_file(header.file_bytes, shape).total,
        read_per_token=sum(t.bytes for t in header.tensors) - (0 if shape.tied else table),
        multiplied=shape.layers * shape.linear,
        kv_bytes_per_token=kv_bytes_per_token(shape),
        window=shape.window,
    )


def _of_folder(folder: Path, precision: str, *, narrow: bool) -> Sizes:
    shape = shape_of_config(config_of(folder), name=folder.name)
    wide = 4 if precision == "fp32" or (precision in {"int8", "nf4"} and not narrow) else 2
    if _kept_precision(folder) is not None:
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
