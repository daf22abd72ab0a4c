"""Draws a plan: each memory with what lies in it, then the reasons."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text as Styled

from rag.models.plan import Plan
from rag.models.plan_words import PARTS, PRECISIONS, gb, place_words
from rag.models.room import Room
from rag.words import Language, Text

_HEADERS = (Text("memory", "存储"), Text("part", "内容"), Text("size", "大小"))


def drawn(plan: Plan, room: Room, *, language: Language) -> RenderableType:
    """Return the plan as a table of bytes, and the reasons below it."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for header in _HEADERS:
        table.add_column(header.say(language))
    for shelf in plan.shelves:
        if not shelf.bytes:
            continue
        place = place_words(shelf).say(language)
        for part, size in shelf.parts:
            table.add_row(place, PARTS[part].say(language), gb(size))
            place = ""
        total = Text(
            f"of {gb(shelf.limit_bytes)} that may be used", f"可用 {gb(shelf.limit_bytes)}"
        )
        table.add_row("", total.say(language), gb(shelf.bytes), style=_colour(fits=shelf.fits))
    title = Styled(f"{plan.model} ({plan.engine})", style="bold")
    reasons = [Styled(f"· {reason.say(language)}") for reason in plan.reasons]
    end = [] if room.cards else [Styled(_NO_CARD.say(language), style="dim")]
    return Group(title, table, *reasons, *end)


_NO_CARD = Text(
    "No NVIDIA card was found; --gpu NAME or --vram GiB plans for one.",
    "没有找到 NVIDIA 显卡；可用 --gpu 名称 或 --vram GiB 按某块显卡规划。",
)


def _colour(*, fits: bool) -> str:
    return "green" if fits else "red"


def as_markdown(plans: Sequence[tuple[str, Plan]]) -> str:
    """Return one row for each named machine: what is chosen there, and why."""
    lines = [
        "| cards | precision | window | layers on cards | embedder | held on cards | why |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, plan in plans:
        layout = plan.layout
        held = " + ".join(gb(shelf.bytes) for shelf in plan.shelves if shelf.name) or "–"
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
