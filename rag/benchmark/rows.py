"""What a benchmark of language models measured: rows, limits of the machine, shares of them.

A row is one model in one precision through one engine. A limit is what the machine's memory
and its arithmetic allow: a token of an answer has to read all weights once and multiplies
each of them with one number; a prompt multiplies them with many numbers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rag.text.messages import Text

Device = Literal["cpu", "cuda"]
SERVER = "url"
"""The engine that only asks: what it runs on is not seen from here."""
WIDE: Mapping[str, str] = {"fp32": "fp32", "fp16": "fp16", "bf16": "bf16"}
"""Precisions that are multiplied as they are; all others in the fastest of these."""

NARROW = 1.5
"""16 bits multiply this much faster than 32 where there are units for them."""


@dataclass(frozen=True, slots=True)
class RowSpec:
    """What a row measures. ``path`` is what the engine opens; ``None`` where it opens nothing."""

    engine: str
    model: str
    precision: str  # fp32 | fp16 | bf16 | int8 | nf4, a name of GGUF's, "" where unknown
    settings: Mapping[str, Any]  # of the section ``generator``
    path: str | None = None

    @property
    def label(self) -> str:
        """The row's name on the screen and in the chart."""
        return f"{self.model} {self.precision}".strip()


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
    """One answer, timed."""

    prompt_tokens: int
    first_token_s: float
    new_tokens: int
    decoded: int  # tokens after the first piece
    decode_s: float  # from the first piece to the last
    follow_up_s: float | None = None  # first token of another question on the same passages

    @property
    def decode_tokens_per_s(self) -> float | None:
        """Speed of the answer; ``None`` where it was one piece."""
        return self.decoded / self.decode_s if self.decoded and self.decode_s > 0 else None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Short answers against the known ones: shares, 0 to 1."""

    questions: int
    contains: float
    exact: float
    f1: float


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

    def best(self, before: MachineLimits | None) -> MachineLimits:
        """Return the higher of two measurements: a limit is what nothing else disturbed."""
        if before is None:
            return self
        return MachineLimits(
            self.device,
            max(before.copy_bytes_per_s, self.copy_bytes_per_s),
            max(before.read_bytes_per_s, self.read_bytes_per_s),
            {name: max(speed, before.flops.get(name, 0.0)) for name, speed in self.flops.items()},
        )

    @property
    def bytes_per_s(self) -> float:
        """The faster of both: a copy also has to write, an answer only reads."""
        return max(self.copy_bytes_per_s, self.read_bytes_per_s)

    def decode(self, sizes: Sizes, *, context: float) -> float:
        """Return the most tokens a second, with ``context`` tokens already read."""
        return self.bytes_per_s / (sizes.read_per_token + sizes.kv_bytes_per_token * context)

    def prefill(self, sizes: Sizes, precision: str) -> float | None:
        """Return the most tokens of a prompt a second; attention itself is left out."""
        wide = WIDE.get(precision)
        speed = self.flops.get(wide) if wide else max(self.flops.values(), default=None)
        return speed / (2 * sizes.multiplied) if speed and sizes.multiplied else None


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a spec. ``reason`` says why there are no readings, or not all of them."""

    spec: RowSpec
    readings: tuple[TimedAnswer, ...] = ()
    reason: Text | None = None
    sizes: Sizes | None = None
    device: str = "cpu"
    load_s: float | None = None
    peak_bytes: int | None = None  # of main memory, by the whole process
    held_bytes: int | None = None  # at the end
    device_bytes: int | None = None  # on the card
    free_bytes: int | None = None  # before it began, where the model lives
    accuracy: Accuracy | None = None

    @property
    def ran(self) -> bool:
        """Whether anything was measured."""
        return bool(self.readings)

    def figure(self, name: str) -> float | None:
        """Return the median of a figure of the readings."""
        return _median(_values(self, name))

    def spread(self, name: str) -> float | None:
        """Return (most - least) / median of a figure; ``None`` with fewer than two readings."""
        values, middle = _values(self, name), self.figure(name)
        return (max(values) - min(values)) / middle if middle and len(values) > 1 else None

    @property
    def prefill_tokens_per_s(self) -> float | None:
        """Tokens of the prompt by the time to the first token, that token included."""
        return _median([r.prompt_tokens / r.first_token_s for r in self.readings])

    @property
    def max_context(self) -> int | None:
        """The longest context, by arithmetic: what its keys and values leave of free memory."""
        taken = self.device_bytes if self.device_bytes is not None else self.peak_bytes
        if self.sizes is None or taken is None or self.free_bytes is None or not self.ran:
            return None
        longest = max(r.prompt_tokens + r.new_tokens for r in self.readings)
        if not self.sizes.kv_bytes_per_token:
            return self.sizes.window
        more = (self.free_bytes - taken) // self.sizes.kv_bytes_per_token
        return max(0, min(self.sizes.window, longest + more))


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """All rows, and the machine they were measured on."""

    machine: Mapping[str, Any]
    limits: Mapping[str, MachineLimits]  # by device
    rows: tuple[Row, ...]
    interrupted: bool = False

    def json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "machine": {
                **self.machine,
                "limits": {name: _limits_json(found) for name, found in self.limits.items()},
            },
            "rows": [row_json(row, self.limits.get(row.device)) for row in self.rows],
            "interrupted": self.interrupted,
        }


def row_json(row: Row, limits: MachineLimits | None) -> dict[str, Any]:
    """Return a row with its figures and shares; ``None`` is what could not be measured."""
    decode = row.figure("decode_tokens_per_s")
    allowed = allowed_prefill = None
    if limits is not None and row.sizes is not None and row.ran:
        context = _median([r.prompt_tokens + r.new_tokens / 2 for r in row.readings]) or 0.0
        allowed = limits.decode(row.sizes, context=context)
        allowed_prefill = limits.prefill(row.sizes, row.spec.precision)
    return {
        "engine": row.spec.engine,
        "model": row.spec.model,
        "precision": row.spec.precision,
        "device": row.device,
        "prompt_tokens": row.figure("prompt_tokens"),
        "new_tokens": row.figure("new_tokens"),
        "first_token_s": _rounded(row.figure("first_token_s"), 6),
        "follow_up_s": _rounded(row.figure("follow_up_s"), 6),
        "prefill_tokens_per_s": _rounded(row.prefill_tokens_per_s, 2),
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
        "prefill_share_of_limit": _share(row.prefill_tokens_per_s, allowed_prefill),
        "spread": {
            name: _rounded(row.spread(name), 3) for name in ("decode_tokens_per_s", "first_token_s")
        },
        "repetitions": len(row.readings),
        "accuracy": _accuracy_json(row.accuracy),
        "reason": {"en": row.reason.en, "zh": row.reason.zh} if row.reason else None,
    }


def accuracy_of(scores: Sequence[Mapping[str, float]]) -> Accuracy | None:
    """Return the means of scored answers; ``None`` without any."""
    if not scores:
        return None
    means = {
        name: sum(score[name] for score in scores) / len(scores)
        for name in ("contains", "exact", "f1")
    }
    return Accuracy(len(scores), **means)


def _accuracy_json(accuracy: Accuracy | None) -> dict[str, Any] | None:
    if accuracy is None:
        return None
    return {
        "n": accuracy.questions,
        "contains": round(accuracy.contains, 4),
        "exact": round(accuracy.exact, 4),
        "f1": round(accuracy.f1, 4),
    }


def _limits_json(limits: MachineLimits) -> dict[str, Any]:
    return {
        "copy_bytes_per_s": round(limits.copy_bytes_per_s),
        "read_bytes_per_s": round(limits.read_bytes_per_s),
        "flops": {name: round(speed) for name, speed in limits.flops.items()},
    }


def _values(row: Row, name: str) -> list[float]:
    found = (getattr(reading, name) for reading in row.readings)
    return [value for value in found if value is not None]


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return median(known) if known else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _share(value: float | None, limit: float | None) -> float | None:
    return round(value / limit, 4) if value is not None and limit else None
