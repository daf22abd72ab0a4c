"""A plan for people, for scripts and for the README: what lies in each memory, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text as Styled

from rag.models.planning.messages import PARTS, PRECISIONS, place_words
from rag.models.planning.plan import Plan
from rag.models.planning.room import Room
from rag.models.shape import kv_bytes_per_token
from rag.text.messages import Language, Text
from rag.text.sizes import memory_size

_HEADERS = (Text("memory", "存储"), Text("part", "内容"), Text("size", "大小"))


def drawn(plan: Plan, room: Room, *, language: Language) -> RenderableType:
    """Return the plan as a table of bytes, and the reasons below it."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for header in _HEADERS:
        table.add_column(header.say(language))
    for shelf in plan.memory_uses:
        if not shelf.bytes:
            continue
        place = place_words(shelf).say(language)
        for part, size in shelf.parts:
            table.add_row(place, PARTS[part].say(language), memory_size(size))
            place = ""
        total = Text(
            f"of {memory_size(shelf.limit_bytes)} that may be used",
            f"可用 {memory_size(shelf.limit_bytes)}",
        )
        table.add_row(
            "",
            total.say(language),
            memory_size(shelf.bytes),
            style="green" if shelf.fits else "red",
        )
    title = Styled(f"{plan.model} ({plan.engine})", style="bold")
    reasons = [Styled(f"· {reason.say(language)}") for reason in plan.reasons]
    end = [] if room.cards else [Styled(_NO_CARD.say(language), style="dim")]
    return Group(title, table, *reasons, *end)


_NO_CARD = Text(
    "No NVIDIA card was found; --gpu NAME or --vram GiB plans for one.",
    "没有找到 NVIDIA 显卡；可用 --gpu 名称 或 --vram GiB 按某块显卡规划。",
)


def as_values(found: Plan, room: Room) -> dict[str, Any]:
    """Return a plan as the JSON shows it."""
    layout = found.layout
    return {
        "model": found.model,
        "engine": found.engine,
        "fits": found.fits,
        "precision": layout.precision,
        "context_tokens": layout.context_tokens,
        "longest_context": found.longest_context,
        "kv_bits": layout.kv_bits,
        "kv_bytes_per_token": kv_bytes_per_token(found.subject.shape, bits=layout.kv_bits),
        "layers": found.subject.shape.layers,
        "layers_on_gpus": list(layout.layers),
        "embedder_on_gpu": layout.helpers_card,
        "tokens_per_second_limit": found.tokens_per_second,
        "memories": [
            {
                "name": shelf.name or "ram",
                "free_bytes": shelf.free_bytes,
                "limit_bytes": shelf.limit_bytes,
                "needed_bytes": shelf.bytes,
                "parts": dict(shelf.parts),
            }
            for shelf in found.memory_uses
        ],
        "gpus": [asdict(card) for card in room.cards],
        "reasons": [{"en": reason.en, "zh": reason.zh} for reason in found.reasons],
    }


def as_markdown(plans: Sequence[tuple[str, Plan]]) -> str:
    """Return one row for each named machine: what is chosen there, and why."""
    lines = [
        "| cards | precision | window | layers on cards | embedder | held on cards | why |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, plan in plans:
        layout = plan.layout
        held = (
            " + ".join(memory_size(shelf.bytes) for shelf in plan.memory_uses if shelf.name) or "–"
        )
        beside = "–" if layout.helpers_card is None else f"card {layout.helpers_card + 1}"
        cells = (
            name,
            PRECISIONS[layout.precision].en if plan.fits else "does not fit",
            f"{layout.context_tokens:,}",
            f"{plan.layers_on_cards} of {plan.subject.shape.layers}",
            "processor" if beside == "–" else beside,
            held,
            _why(plan),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _why(plan: Plan) -> str:
    """Return the reasons without those that the other columns give."""
    said = [reason.en for reason in plan.reasons]
    return " ".join(text for text in said if " = " not in text and not text.endswith(": yes."))
