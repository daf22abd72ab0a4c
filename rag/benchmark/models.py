"""Which rows a benchmark has, and which of them need not be tried on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.benchmark.rows import SERVER, Row, RowSpec
from rag.benchmark.sizes import gguf_precision, kept_precision, sizes_of
from rag.errors import ConfigError, RagError
from rag.words import Text

if TYPE_CHECKING:
    from rag.config import GeneratorSettings
    from rag.machine import MemoryReading
    from rag.models.store import ModelStore

ECHO = "echo"
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "nf4")
"""What the transformers engine makes of a plain checkpoint."""
WORK_BYTES = 512 << 20
"""For the interpreter, its libraries and the buffers of a prompt: torch alone takes .3 GB."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for; empty means: whatever there is."""

    models: tuple[str, ...] = ()
    engine: str = ""
    precisions: tuple[str, ...] = ()


def specs(wanted: Wanted, store: ModelStore, generator: GeneratorSettings) -> list[Row]:
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
    rows = [row for row in rows if not wanted.engine or row.spec.engine == wanted.engine]
    if wanted.precisions:
        chosen = {name.lower() for name in wanted.precisions}
        rows = [row for row in rows if row.spec.precision.lower() in chosen]
    if not rows:
        raise _nothing(wanted)
    return rows


def sized(row: Row, *, narrow: bool) -> Row:
    """Return the row with what its model reads and multiplies, where that can be known."""
    if row.spec.path is None or row.reason is not None:
        return row
    return replace(row, sizes=sizes_of(Path(row.spec.path), row.spec.precision, narrow=narrow))


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
    have, want = f"{room / 1e9:.1f} GB", f"{needed / 1e9:.1f} GB"
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
        for entry in store.entries()
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
        return [Row(RowSpec(said, shown, "", {"model": name}), reason=_reason(error))]
    return [Row(spec) for spec in _of_path(path, shown, name, generator)]


def _of_path(path: Path, shown: str, name: str, generator: GeneratorSettings) -> Sequence[RowSpec]:
    if path.is_file():
        only = {"engine": "llamacpp", "model": name}
        return [RowSpec("llamacpp", shown, gguf_precision(path), only, str(path))]
    kept = kept_precision(path)
    rows = []
    for precision in PRECISIONS if kept is None else (kept,):
        settings: dict[str, Any] = {
            "engine": "transformers",
            "model": name,
            "device": generator.device,
        }
        if kept is None:
            settings["quantization"] = precision
        rows.append(RowSpec("transformers", shown, precision, settings, str(path)))
    return rows


def _reason(error: RagError) -> Text:
    return Text(
        f"{error.message.en} → {error.hint.en}",
        f"{error.message.zh} → {error.hint.zh}",
    )


def _nothing(wanted: Wanted) -> ConfigError:
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
