"""The rows of ``rag bench``: which there are, what each has to read, and what was measured.

A row is one model in one precision through one engine. A limit is what the machine's memory
and its arithmetic allow: a token of an answer has to read all weights once and multiplies
each of them with one number; a prompt multiplies them with many numbers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rag.errors import ConfigError, ModelError, RagError
from rag.models.shape import (
    Precision,
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

if TYPE_CHECKING:
    from rag.config import GeneratorSettings
    from rag.models.store import ModelStore
    from rag.types.hardware import MemoryReading

ECHO = "echo"
SERVER = "url"
"""The engine that only asks: what it runs on is not seen from here."""
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "nf4")
"""What the transformers engine makes of a plain checkpoint."""
_MADE: Mapping[str, Precision] = {"int8": "int8", "nf4": "nf4"}
"""Precisions whose weights take fewer bytes than numbers as they are."""
WIDE = ("fp32", "fp16", "bf16")
"""Precisions that are multiplied as they are; all others in the fastest of these."""
NARROW = 1.5
"""16 bits multiply this much faster than 32 where there are units for them."""
WORK_BYTES = 512 << 20
"""For the interpreter, its libraries and the buffers of a prompt: torch alone takes .3 GB."""


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


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model has to read and to multiply, by its file's own description."""

    weights_bytes: int
    read_per_token: int  # bytes of weights that one token of an answer reads
    multiplied: int  # weights that each token of a prompt is multiplied with
    kv_bytes_per_token: int
    window: int  # tokens it was trained to read


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """One answer, timed. Seconds are those since the question was put."""

    first_token_s: float  # first piece with a token
    new_tokens: int
    decoded: int  # tokens after the first piece
    decode_s: float  # from the first piece to the last
    prompt_tokens: int = 0
    follow_up_s: float | None = None  # first token of another question on the same passages

    @property
    def decode_tokens_per_s(self) -> float | None:
        """Speed of the answer; ``None`` where it was one piece."""
        return self.decoded / self.decode_s if self.decoded and self.decode_s > 0 else None

    @property
    def prefill_tokens_per_s(self) -> float:
        """Tokens of the prompt by the time to the first token, that token included."""
        return self.prompt_tokens / self.first_token_s

    @property
    def context(self) -> float:
        """Tokens that were already read when half of the answer was written."""
        return self.prompt_tokens + self.new_tokens / 2


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """What one device can do, measured: bytes a second, and multiply-adds twice, a second."""

    device: str
    copy_bytes_per_s: float
    read_bytes_per_s: float
    flops: Mapping[str, float]  # by precision

    @property
    def narrow(self) -> bool:
        """Whether 16 bits are what this device multiplies best.

        >>> MachineLimits("cpu", 0, 0, {"fp32": 2e11, "bf16": 1e12}).narrow
        True
        """
        return self.flops.get("bf16", 0.0) > NARROW * self.flops.get("fp32", float("inf"))

    def best(self, other: MachineLimits) -> MachineLimits:
        """Return the higher of two measurements: a limit is what nothing else disturbed."""
        return MachineLimits(
            self.device,
            max(self.copy_bytes_per_s, other.copy_bytes_per_s),
            max(self.read_bytes_per_s, other.read_bytes_per_s),
            {name: max(speed, other.flops.get(name, 0.0)) for name, speed in self.flops.items()},
        )

    def decode(self, sizes: Sizes, *, context: float) -> float:
        """Return the most tokens a second, with ``context`` tokens already read.

        Of both speeds the faster counts: a copy also has to write, an answer only reads.
        """
        bytes_per_s = max(self.copy_bytes_per_s, self.read_bytes_per_s)
        return bytes_per_s / (sizes.read_per_token + sizes.kv_bytes_per_token * context)

    def prefill(self, sizes: Sizes, precision: str) -> float | None:
        """Return the most tokens of a prompt a second; attention itself is left out."""
        fastest = max(self.flops.values(), default=None)
        speed = self.flops.get(precision) if precision in WIDE else fastest
        return speed / (2 * sizes.multiplied) if speed and sizes.multiplied else None

    def json(self) -> dict[str, Any]:
        """Return what ``--json`` says of the device."""
        return {
            "copy_bytes_per_s": round(self.copy_bytes_per_s),
            "read_bytes_per_s": round(self.read_bytes_per_s),
            "flops": {name: round(speed) for name, speed in self.flops.items()},
        }


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured, and what came of it.

    ``reason`` says why there are no readings, or not all of them.
    """

    engine: str
    model: str
    precision: str = ""  # fp32 | fp16 | bf16 | int8 | nf4, a name of GGUF's, "" where unknown
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the section ``generator``
    path: Path | None = None  # what the engine opens, if anything
    readings: tuple[TimedAnswer, ...] = ()
    reason: Text | None = None
    sizes: Sizes | None = None
    device: str = "cpu"
    load_s: float | None = None
    peak_bytes: int | None = None  # of main memory, by the whole process
    held_bytes: int | None = None  # at the end
    device_bytes: int | None = None  # on the card
    free_bytes: int | None = None  # before it began, where the model lives
    accuracy: Mapping[str, float] | None = None  # see ``accuracy_of``

    @property
    def label(self) -> str:
        """The row's name on the screen."""
        return f"{self.model} {self.precision}".strip()

    def figure(self, name: str) -> float | None:
        """Return the median of a figure of the readings."""
        values = self._values(name)
        return median(values) if values else None

    def spread(self, name: str) -> float | None:
        """Return (most - least) / median of a figure; ``None`` with fewer than two readings."""
        values, middle = self._values(name), self.figure(name)
        return (max(values) - min(values)) / middle if middle and len(values) > 1 else None

    def _values(self, name: str) -> list[float]:
        found = (getattr(reading, name) for reading in self.readings)
        return [value for value in found if value is not None]

    @property
    def max_context(self) -> int | None:
        """The longest context, by arithmetic: what its keys and values leave of free memory."""
        taken = self.device_bytes if self.device_bytes is not None else self.peak_bytes
        if self.sizes is None or taken is None or self.free_bytes is None or not self.readings:
            return None
        longest = max(r.prompt_tokens + r.new_tokens for r in self.readings)
        if not self.sizes.kv_bytes_per_token:
            return self.sizes.window
        more = (self.free_bytes - taken) // self.sizes.kv_bytes_per_token
        return max(0, min(self.sizes.window, longest + more))


# ---- which rows there are -----------------------------------------------------------------


def specs(wanted: Options, store: ModelStore, generator: GeneratorSettings) -> list[Row]:
    """Return a row for each model, engine and precision; ``reason`` is set where it cannot run.

    Raises:
        ConfigError: nothing is left to measure.
    """
    rows: list[Row] = []
    if wanted.engine == ECHO or ECHO in wanted.models:
        rows.append(Row(ECHO, ECHO, settings={"engine": ECHO, "model": ECHO}))
    if (server := generator.asked_server()) is not None and not wanted.models:
        name = server.shown if generator.model == "auto" else generator.model
        rows.append(Row(SERVER, name, settings={"engine": SERVER}))
    for name in wanted.models or _installed(store):
        if name != ECHO:
            rows += _of_model(name, store, generator, engine=wanted.engine)
    chosen = {name.lower() for name in wanted.precisions}
    rows = [
        row
        for row in rows
        if wanted.engine in {"", row.engine} and (not chosen or row.precision.lower() in chosen)
    ]
    if not rows:
        raise _nothing(wanted)
    return rows


def sized(row: Row, *, narrow: bool) -> Row:
    """Return the row with what its model reads and multiplies, where that can be known.

    ``narrow`` says that the machine computes in 16 bits where it may choose: then what int8
    and NF4 leave as it is takes two bytes a number, else four.
    """
    if row.path is None:
        return row
    try:
        return replace(row, sizes=_sizes_of(row.path, row.precision, narrow=narrow))
    except ModelError:
        return row


def fitted(row: Row, machine: MemoryReading, *, context_tokens: int) -> Row:
    """Return the row with the free memory, and with a reason if that is not enough.

    Where there is a card, what it has no room for may live beside it: engines split weights.
    """
    room = free = machine.ram_total_bytes - machine.ram_used_bytes
    if machine.vram_total_bytes is not None and row.settings.get("device") != "cpu":
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
        return [Row(said, shown, settings={"model": name}, reason=reason_of(error))]
    if path.is_file():
        only = {"engine": "llamacpp", "model": name}
        return [Row("llamacpp", shown, _gguf_precision(path), only, path)]
    settings: dict[str, Any] = {"engine": "transformers", "model": name, "device": generator.device}
    kept = _kept_precision(path)
    if kept is not None:
        return [Row("transformers", shown, kept, settings, path)]
    return [
        Row("transformers", shown, made, {**settings, "quantization": made}, path)
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
    from gguf.constants import LlamaFileType

    try:
        kind = LlamaFileType(header_of(path).values["general.file_type"])
    except (ModelError, KeyError, ValueError):
        return ""
    return str(kind.name).removeprefix("MOSTLY_").removeprefix("ALL_")


def _kept_precision(folder: Path) -> str | None:
    """Return the precision a checkpoint is already in (gptq, awq); ``None`` if it is plain."""
    try:
        kept = config_of(folder).get("quantization_config")
    except ModelError:
        return None
    return str(kept.get("quant_method", "quantized")) if isinstance(kept, dict) else None


def _sizes_of(path: Path, precision: str, *, narrow: bool) -> Sizes:
    wide = 4 if precision == "fp32" or (precision in {"int8", "nf4"} and not narrow) else 2
    if path.is_file():
        header = header_of(path)
        shape = shape_of_gguf(header, name=path.name)
        weights = weights_of_file(header.file_bytes, shape)
        table = next((t.bytes for t in header.tensors if t.name == "token_embd.weight"), 0)
        read = sum(t.bytes for t in header.tensors) - (0 if shape.tied else table)
        kept = kv_bytes_per_token(shape)
    else:
        shape = shape_of_config(config_of(path), name=path.name)
        if _kept_precision(path) is not None:
            total = sum(file.stat().st_size for file in path.glob("*.safetensors"))
            weights = weights_of_file(total, shape)
        else:
            weights = weights_of(shape, _MADE.get(precision, "none"), wide=wide)
        read, kept = weights.read_per_token, shape.kv_per_token * wide
    return Sizes(weights.total, read, shape.layers * shape.linear, kept, shape.window)


# ---- what came of them --------------------------------------------------------------------


def run_json(
    machine: Mapping[str, Any],
    limits: Mapping[str, MachineLimits],
    rows: Sequence[Row],
    *,
    interrupted: bool = False,
) -> dict[str, Any]:
    """Return what ``--json`` prints of a run; ``limits`` are those of each device."""
    of_devices = {name: found.json() for name, found in limits.items()}
    return {
        "machine": {**machine, "limits": of_devices},
        "rows": [row_json(row, limits.get(row.device)) for row in rows],
        "interrupted": interrupted,
    }


def row_json(row: Row, limits: MachineLimits | None) -> dict[str, Any]:
    """Return a row with its figures and shares; ``None`` is what could not be measured."""
    decode = row.figure("decode_tokens_per_s")
    allowed = allowed_prefill = None
    prefill = row.figure("prefill_tokens_per_s")
    if limits is not None and row.sizes is not None and row.readings:
        allowed = limits.decode(row.sizes, context=row.figure("context") or 0.0)
        allowed_prefill = limits.prefill(row.sizes, row.precision)
    return {
        "engine": row.engine,
        "model": row.model,
        "precision": row.precision,
        "device": row.device,
        "prompt_tokens": row.figure("prompt_tokens"),
        "new_tokens": row.figure("new_tokens"),
        "first_token_s": _rounded(row.figure("first_token_s"), 6),
        "follow_up_s": _rounded(row.figure("follow_up_s"), 6),
        "prefill_tokens_per_s": _rounded(prefill, 2),
        "decode_tokens_per_s": _rounded(decode, 2),
        "ms_per_token": _rounded(1000 / decode if decode else None, 2),
        "load_s": _rounded(row.load_s, 2),
        "peak_bytes": row.peak_bytes,
        "held_bytes": row.held_bytes,
        "device_bytes": row.device_bytes,
        "weights_bytes": row.sizes.weights_bytes if row.sizes else None,
        "kv_bytes_per_token": row.sizes.kv_bytes_per_token if row.sizes else None,
        "max_context": row.max_context,
        "limit_tokens_per_s": _rounded(allowed, 2),
        "share_of_limit": _share(decode, allowed),
        "prefill_limit_tokens_per_s": _rounded(allowed_prefill, 2),
        "prefill_share_of_limit": _share(prefill, allowed_prefill),
        "spread": {
            name: _rounded(row.spread(name), 3) for name in ("decode_tokens_per_s", "first_token_s")
        },
        "repetitions": len(row.readings),
        "accuracy": row.accuracy,
        "reason": asdict(row.reason) if row.reason else None,
    }


def accuracy_of(scores: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    """Return how many short answers were scored and the means of it; ``None`` without any."""
    if not scores:
        return None
    means = {
        name: round(sum(score[name] for score in scores) / len(scores), 4)
        for name in ("contains", "exact", "f1")
    }
    return {"n": len(scores), **means}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _share(value: float | None, limit: float | None) -> float | None:
    return round(value / limit, 4) if value is not None and limit else None
