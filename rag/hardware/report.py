"""What a machine did while it answered: averages, maxima, a timeline, and figures by answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from rag.errors import ConfigError
from rag.text.messages import Text
from rag.types.answers import Answer
from rag.types.hardware import MemoryReading, Sample

FIGURES = ("load", "used_bytes", "process_bytes", "temperature_c", "power_w")
Answered = tuple[float, Answer]
"""When an answer ended (seconds since 1970), and the answer."""


def build(
    samples: Sequence[Sample], answers: Iterable[Answered], reading: MemoryReading
) -> dict[str, Any]:
    """Return the report as JSON; ``reading`` says which machine it is."""
    first, last = (samples[0].at, samples[-1].at) if samples else (0.0, 0.0)
    return {
        "from": _time(first),
        "to": _time(last),
        "seconds": round(last - first, 1),
        "machine": {
            "gpus": [asdict(card) for card in reading.gpus],
            "ram_total_bytes": reading.ram_total_bytes,
            "held": {held.holder: held.bytes for held in reading.held},
        },
        "averages": {name: _of(samples, name, fmean) for name in FIGURES},
        "maxima": {name: _of(samples, name, max) for name in FIGURES},
        "energy_j": energy(samples),
        "throttled_s": dict(Counter(key for sample in samples for key in sample.throttle)),
        "answers": [_answer(at, answer, samples) for at, answer in answers],
        "timeline": [asdict(sample) for sample in samples],
    }


def energy(samples: Sequence[Sample]) -> float | None:
    """Return the joules that the card took; from its counter, else from power over time."""
    told = [sample.energy_j for sample in samples if sample.energy_j is not None]
    if len(told) > 1 and told[-1] >= told[0]:  # the counter begins anew with the driver
        return round(told[-1] - told[0], 1)
    pairs = [
        ((later.at - earlier.at) * earlier.power_w)
        for earlier, later in pairwise(samples)
        if earlier.power_w is not None
    ]
    return round(sum(pairs), 1) if pairs else None


def _answer(at: float, answer: Answer, samples: Sequence[Sample]) -> dict[str, Any]:
    usage = answer.usage
    began = at - usage.total_s
    during = [sample for sample in samples if began - 1 <= sample.at <= at + 1]
    joules = energy(during)
    tokens = usage.completion_tokens
    return {
        "ended": _time(at),
        "model": answer.model,
        "finish": answer.finish,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": tokens,
        "retrieve_s": round(usage.retrieve_s, 4),
        "first_token_s": round(usage.first_token_s, 4),
        "total_s": round(usage.total_s, 4),
        "tokens_per_second": round(usage.tokens_per_second, 2),
        "energy_j": joules,
        "joules_per_token": round(joules / tokens, 2) if joules is not None and tokens else None,
        "most_bytes": max((sample.used_bytes for sample in during), default=None),
        "hottest_c": _of(during, "temperature_c", max),
        "notices": [notice.text.en for notice in answer.notices],
    }


def _of(
    samples: Sequence[Sample], name: str, figure: Callable[[Iterable[float]], float]
) -> float | None:
    found = [getattr(sample, name) for sample in samples]
    told = [value for value in found if value is not None]
    return round(figure(told), 1) if told else None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def write(folder: Path, report: dict[str, Any]) -> list[str]:
    """Write ``report.json`` and, where matplotlib is installed, ``report.png``; return the names.

    Raises:
        ConfigError: the folder cannot be written.
    """
    from rag.hardware import report_chart

    names = ["report.json"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(json.dumps(report, ensure_ascii=False, indent=1), "utf-8")
        if report_chart.chart_possible():
            report_chart.draw_chart(folder / "report.png", report)
            names.append("report.png")
    except OSError as error:
        raise ConfigError(
            Text(f"{folder} cannot be written: {error}.", f"无法写入 {folder}：{error}。"),
            hint=Text("Name another folder.", "请换一个文件夹。"),
        ) from error
    return names
