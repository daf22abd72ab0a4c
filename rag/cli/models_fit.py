"""``rag models fit``: how a model would be loaded here, or on another machine, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import Context, print_json
from rag.errors import ConfigError
from rag.words import Text

if TYPE_CHECKING:
    from rag.factory import Factory
    from rag.models.plan import Plan
    from rag.models.room import Card, Room

Named = Annotated[
    str | None, typer.Argument(help="a name from `rag models list`, a folder or a .gguf file")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Gpus = Annotated[
    list[str] | None, typer.Option("--gpu", help="plan for this card of `rag models gpus`")
]
Sizes = Annotated[
    list[float] | None, typer.Option("--vram", help="plan for a card of so many GiB; may repeat")
]
Ram = Annotated[float | None, typer.Option("--ram", help="main memory of that machine in GiB")]


def fit(
    ctx: typer.Context,
    name: Named = None,
    *,
    gpu: Gpus = None,
    vram: Sizes = None,
    ram: Ram = None,
    as_json: AsJson = False,
) -> None:
    """Print how a model would be loaded: precision, window, layers, memory, and the reasons.

    By default the chosen model on this machine, with the memory that is free now.
    """
    from rag.factory import Factory
    from rag.planning import chosen_name, fitting, plan_for, subject_named

    context: Context = ctx.obj
    settings = context.settings
    factory = Factory(settings)
    wanted = name or chosen_name(factory)
    room = _room(factory, gpu or [], vram or [], ram)
    found = plan_for(settings, subject_named(factory.model_store(), wanted), room)
    if as_json:
        print_json(as_values(found, room))
        return
    from rich.console import Console

    from rag.models.plan_table import drawn

    Console().print(drawn(found, room, language=context.language))
    if found.layers_on_cards not in {0, found.subject.shape.layers} or not found.fits:
        names = ", ".join(fitting(settings, room, but=found.model)[:2])
        if names:
            typer.echo(context.say(Text(f"These fit: {names}.", f"可以放下的模型：{names}。")))


def _room(factory: Factory, gpus: list[str], sizes: list[float], ram: float | None) -> Room:
    """Return the memory to plan with: named cards, or this machine's as it is now."""
    from rag.models.gpu_guide import load_guide
    from rag.models.room import GIB, Card, Room
    from rag.planning import free_room

    if any(size <= 0 for size in [*sizes, *([ram] if ram is not None else [])]):
        raise ConfigError(
            Text("A memory is larger than 0 GiB.", "内存或显存必须大于 0 GiB。"),
            hint=Text("For example: --vram 24", "例如：--vram 24"),
        )
    here = free_room(factory)
    cards: tuple[Card, ...] = here.cards
    if gpus or sizes:
        named = [load_guide().get(gpu).card() for gpu in gpus]
        cards = (*named, *(Card.of_size(size) for size in sizes))
    if ram is None:
        return Room(here.ram_total_bytes, here.ram_free_bytes, cards)
    return Room(round(ram * GIB), round(ram * GIB), cards)


def as_values(found: Plan, room: Room) -> dict[str, Any]:
    """Return a plan as the JSON shows it."""
    from rag.models.footprint import kv_bytes_per_token

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
            for shelf in found.shelves
        ],
        "gpus": [asdict(card) for card in room.cards],
        "reasons": [{"en": reason.en, "zh": reason.zh} for reason in found.reasons],
    }
