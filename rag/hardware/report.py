"""What a machine did while it answered: averages, maxima, a timeline, figures by answer; drawn.

matplotlib is needed only for the drawing, so it is no dependency of the app.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rag.errors import ConfigError
from rag.text.messages import Text
from rag.text.sizes import GIB
from rag.types.answers import Answer
from rag.types.hardware import MemoryReading, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = ("load", "used_bytes", "process_bytes", "temperature_c", "power_w")
Answered = tuple[float, Answer]
"""When an answer ended (seconds since 1970), and the answer."""
_INK, _SOFT = "#1d2126", "#6b7785"
_LOAD, _USED, _OWN, _HEAT, _POWER = "#1f5fae", "#0b6e5f", "#7fb8ad", "#b3372f", "#96600f"


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
    names = ["report.json"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(json.dumps(report, ensure_ascii=False, indent=1), "utf-8")
        if find_spec("matplotlib") is not None:
            _draw(folder / "report.png", report)
            names.append("report.png")
    except OSError as error:
        raise ConfigError(
            Text(f"{folder} cannot be written: {error}.", f"无法写入 {folder}：{error}。"),
            hint=Text("Name another folder.", "请换一个文件夹。"),
        ) from error
    return names


def _draw(file: Path, report: dict[str, Any]) -> None:
    """Write a PNG of four rows."""
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), layout="constrained", facecolor="white")
    rows: Any = figure.subplots(4, 1, sharex=True)
    line = report["timeline"]
    at = [datetime.fromtimestamp(sample["at"]).astimezone() for sample in line]
    _load(rows[0], at, line)
    _memory(rows[1], at, line)
    _heat(rows[2], at, line)
    _answers(rows[3], report["answers"])
    for axes in rows:
        _plain(axes, grid=True)
    if at:  # else the axis has no time
        zone = at[0].tzinfo
        rows[-1].xaxis.set_major_formatter(DateFormatter("%H:%M:%S", tz=zone))  # type: ignore[no-untyped-call]
    figure.suptitle(_title(report), fontsize=10, color=_INK)
    figure.savefig(file, dpi=130, format="png")


def _load(axes: Axes, at: Sequence[Any], line: Sequence[dict[str, Any]]) -> None:
    card = any(sample["card"] for sample in line)
    axes.plot(at, [sample["load"] for sample in line], color=_LOAD, linewidth=1.2)
    axes.set_ylim(0, 102)
    axes.set_title(f"{'GPU' if card else 'CPU'} load, %", loc="left", fontsize=8)


def _memory(axes: Axes, at: Sequence[Any], line: Sequence[dict[str, Any]]) -> None:
    card = any(sample["card"] for sample in line)
    used = [sample["used_bytes"] / GIB for sample in line]
    axes.fill_between(at, used, color=_USED, alpha=0.25, linewidth=0)
    axes.plot(at, used, color=_USED, linewidth=1.2, label="in use, all programs")
    own = [sample["process_bytes"] / GIB for sample in line]
    where = "in this program's RAM" if card else "in use by this program"
    axes.plot(at, own, color=_OWN, linewidth=1.2, label=where)
    total = max((sample["total_bytes"] for sample in line), default=0) / GIB
    axes.axhline(total, color=_SOFT, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, max(1.0, total * 1.25))  # room for the names above the total
    kind = "Graphics memory" if card else "Memory"
    axes.set_title(f"{kind}, GiB (of {total:.1f})", loc="left", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", ncols=2)


def _heat(axes: Axes, at: Sequence[Any], line: Sequence[dict[str, Any]]) -> None:
    axes.set_title("Temperature, °C, and power, W", loc="left", fontsize=8)
    degrees = [sample["temperature_c"] for sample in line]
    watts = [sample["power_w"] for sample in line]
    if not any(value is not None for value in (*degrees, *watts)):
        _nothing(axes, "no graphics card: nothing here tells its temperature or power")
        return
    axes.plot(at, degrees, color=_HEAT, linewidth=1.2)
    axes.tick_params(axis="y", colors=_HEAT)
    _second(axes, at, watts, linewidth=1.2)


def _answers(axes: Axes, answers: Sequence[dict[str, Any]]) -> None:
    axes.set_title("Answers: tokens/s (bars) and first token, s (dots)", loc="left", fontsize=8)
    if not answers:
        _nothing(axes, "no answer was kept in this time")
        return
    at: Any = [datetime.fromisoformat(answer["ended"]).astimezone() for answer in answers]
    speeds = [answer["tokens_per_second"] for answer in answers]
    axes.vlines(at, 0, speeds, color=_LOAD, linewidth=4)
    axes.tick_params(axis="y", colors=_LOAD)
    axes.set_ylim(bottom=0)
    first = [answer["first_token_s"] for answer in answers]
    _second(axes, at, first, marker="o", linestyle="none", markersize=5)


def _nothing(axes: Axes, words: str) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=_SOFT, fontsize=8)


def _second(axes: Axes, at: Any, values: Sequence[Any], **style: Any) -> None:
    """Draw values against a second scale from 0 up, on the right."""
    other = axes.twinx()
    other.plot(at, values, color=_POWER, **style)
    other.tick_params(axis="y", colors=_POWER)
    other.set_ylim(bottom=0)
    _plain(other, grid=False)


def _plain(axes: Any, *, grid: bool) -> None:
    axes.tick_params(labelsize=7)
    axes.set_axisbelow(True)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    if grid:
        axes.grid(axis="y", color="#e3e7eb", linewidth=0.6)


def _title(report: dict[str, Any]) -> str:
    cards = ", ".join(card["name"] or "?" for card in report["machine"]["gpus"])
    joules = report["energy_j"]
    parts = [
        cards or "no NVIDIA GPU",
        f"{report['from']} to {report['to']}",
        f"{len(report['answers'])} answers",
        "" if joules is None else f"{joules / 3600:.1f} Wh",
    ]
    return "  ·  ".join(filter(None, parts))
