"""NVIDIA's cards and what each of them would do with a model: a guide, not a gate.

The numbers of the cards are in ``gpus.toml``, each with its public source. What fits is computed
by the planner as for any machine; how fast and at what price follows from bandwidth and power.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter

from rag.errors import ConfigError
from rag.models.planning.plan import Card, Helpers, Plan, Room, Subject, Wishes
from rag.models.planning.planner import plan
from rag.text.messages import Text
from rag.text.sizes import GIB

_BUILT_IN = Path(__file__).with_name("gpus.toml")
_STRICT = ConfigDict(extra="forbid")
GUIDE_RAM_BYTES = 32 * GIB
"""Main memory beside a card that is only looked at."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card as its maker sells it."""

    name: str
    series: str
    architecture: str
    compute: float  # compute capability
    memory_gib: float
    bandwidth_gbs: float  # 1,000,000,000 bytes a second
    power_w: float  # of the whole board
    source: str

    def card(self) -> Card:
        """Return its memory, idle."""
        return Card.of_size(self.memory_gib, name=self.name, bandwidth=self.bandwidth_gbs * 1e9)


@dataclass(frozen=True, slots=True)
class Formats:
    """From which compute capability on a card calculates with a format."""

    __pydantic_config__ = _STRICT

    source: str
    bf16: float
    fp8: float
    fp16_slow: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """All cards, oldest series first."""

    gpus: tuple[Gpu, ...]
    formats: Formats

    def formats_of(self, gpu: Gpu) -> tuple[str, ...]:
        """Return the formats of 16 and 8 bits that a card calculates with at full speed."""
        found = [] if gpu.compute in self.formats.fp16_slow else ["FP16"]
        found += ["BF16"] if gpu.compute >= self.formats.bf16 else []
        return (*found, "FP8") if gpu.compute >= self.formats.fp8 else tuple(found)

    def find(self, name: str, *, total_bytes: int | None = None) -> Gpu | None:
        """Return the card that a person or a driver calls so.

        Of cards that share a name and differ in memory, the one of ``total_bytes`` or of the
        size that the name gives, else the one with the most.
        """
        found = [gpu for gpu in self.gpus if _plain(gpu.name) == _plain(name)]
        wanted = _without_size(name)
        found = found or [gpu for gpu in self.gpus if _without_size(gpu.name) == wanted]
        if not found:
            return None
        told = re.search(r"\b(\d+) ?GB", name, re.IGNORECASE)
        gib = total_bytes / GIB if total_bytes else float(told[1]) if told else float("inf")
        if gib == float("inf"):
            return max(found, key=lambda gpu: gpu.memory_gib)
        return min(found, key=lambda gpu: abs(gpu.memory_gib - gib))

    def get(self, name: str) -> Gpu:
        """Return the card called ``name``.

        Raises:
            ConfigError: there is none; the hint names those that look like it.
        """
        if found := self.find(name):
            return found
        names = {_plain(gpu.name): gpu.name for gpu in self.gpus}
        near = ", ".join(names[key] for key in get_close_matches(_plain(name), names, n=3))
        raise ConfigError(
            Text(f"The guide knows no card called {name}.", f"指南中没有名为 {name} 的显卡。"),
            hint=Text(
                f"Name another{f' ({near}?)' if near else ''}: `rag models gpus` lists all; or"
                " plan for a size with --vram GiB.",
                f"请换一个名称{f'（{near}？）' if near else ''}：`rag models gpus` 列出全部；"
                "也可用 --vram GiB 按显存大小规划。",
            ),
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one card would do with one model."""

    gpu: Gpu
    plan: Plan

    @property
    def whole(self) -> bool:
        """Whether all of the model fits on the card."""
        return self.plan.fits and self.plan.layout.on_cards == self.plan.subject.shape.layers

    @property
    def wh_per_1000_tokens(self) -> float | None:
        """Energy of 1,000 tokens at that speed and full power, in watt-hours."""
        speed = self.plan.tokens_per_second
        return None if not speed else self.gpu.power_w * 1000 / speed / 3600


@cache
def load_guide() -> Guide:
    """Read the guide."""
    data = tomllib.loads(_BUILT_IN.read_text("utf-8"))
    gpus = TypeAdapter(tuple[Gpu, ...], config=_STRICT).validate_python(data["gpu"])
    return Guide(gpus, TypeAdapter(Formats).validate_python(data["precision"]))


def outlook(gpu: Gpu, subject: Subject, helpers: Helpers, wishes: Wishes | None = None) -> Outlook:
    """Return what a card, alone and idle, would do with a model."""
    room = Room(GUIDE_RAM_BYTES, GUIDE_RAM_BYTES, (gpu.card(),))
    return Outlook(gpu, plan(subject, room, helpers=helpers, wishes=wishes))


def with_bandwidth(room: Room) -> Room:
    """Return the room with the bandwidth of those cards that the guide knows."""
    guide = load_guide()
    cards = [(card, guide.find(card.name, total_bytes=card.total_bytes)) for card in room.cards]
    known = (replace(card, bandwidth=gpu.bandwidth_gbs * 1e9) if gpu else card
             for card, gpu in cards)  # fmt: skip
    return replace(room, cards=tuple(known))


def _plain(name: str) -> str:
    """Return a name without maker, brand, case and gaps.

    >>> _plain("NVIDIA GeForce RTX 4060 Ti 16 GB")
    'rtx4060ti16gb'
    """
    words = re.sub(r"nvidia|geforce|tesla", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "", words)


def _without_size(name: str) -> str:
    """Return a plain name without memory, bus and the word "Generation".

    >>> _without_size("NVIDIA A100 80GB PCIe"), _without_size("A100 PCIe 40 GB")
    ('a100', 'a100')
    """
    return _plain(re.sub(r"(?i)\b(\d+ ?GB|PCIe|SXM\d?|HBM\w*|Generation)\b", " ", name))
