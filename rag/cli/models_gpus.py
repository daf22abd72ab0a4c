"""``rag models gpus``: which card does what with which model, and what a better one would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import Context, print_json

if TYPE_CHECKING:
    from rag.factory import Factory
    from rag.models.gpu_guide import Gpu, Guide, Outlook
    from rag.models.layout import Subject

Named = Annotated[
    str | None, typer.Argument(help="a model or a card; none: every card with the larger models")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Chart = Annotated[
    Path | None, typer.Option("--chart", help="draw the speeds into this PNG file (matplotlib)")
]
Own = Annotated[
    str | None, typer.Option("--own", help="compare with this card instead of this machine's")
]


def gpus(
    ctx: typer.Context,
    name: Named = None,
    *,
    own: Own = None,
    chart: Chart = None,
    as_json: AsJson = False,
) -> None:
    """Show what NVIDIA's cards do with the models: precision, window, speed and energy at most."""
    from rag.factory import Factory
    from rag.models.gpu_guide import load_guide
    from rag.planning import subject_named

    if chart is not None:
        from rag.charts import check

        check(chart)
    context: Context = ctx.obj
    factory, guide = Factory(context.settings), load_guide()
    mine = guide.get(own) if own else own_card(factory, guide)
    cards: Sequence[Gpu] = guide.gpus
    if name is None:
        subjects = _larger(factory)
    elif card := _card_named(factory, guide, name):
        cards, subjects = [card], _all(factory)
    else:
        subjects = [subject_named(factory.model_store(), name)]
    rows = [[_outlook(factory, gpu, subject) for subject in subjects] for gpu in cards]
    if chart is not None:
        from rag.cli.gpus_chart import draw

        draw(chart, rows, mine)
    if as_json:
        print_json(_values(guide, rows, mine))
        return
    from rich.console import Console

    from rag.models.gpu_report import drawn

    Console().print(drawn(guide, rows, mine, language=context.language))


def own_card(factory: Factory, guide: Guide) -> Gpu | None:
    """Return this machine's first card, if it has one that the guide knows."""
    read = factory.readings().read()
    if read.gpu_name is None:
        return None
    return guide.find(read.gpu_name, total_bytes=read.vram_total_bytes)


def _card_named(factory: Factory, guide: Guide, name: str) -> Gpu | None:
    """Return a card unless a model or a path is called so.

    Raises:
        ConfigError: it looks like a card's name, and there is none.
    """
    if factory.model_store().catalogue.find(name) or Path(name).expanduser().exists():
        return None
    if name.lower().startswith(("rtx", "gtx", "geforce", "nvidia", "tesla")):
        return guide.get(name)
    return guide.find(name)


def _all(factory: Factory) -> list[Subject]:
    from rag.models.subjects import subject_of_entry

    entries = [e for e in factory.model_store().entries() if e.kind == "generator"]
    return [subject_of_entry(entry) for entry in entries]


def _larger(factory: Factory) -> list[Subject]:
    """Return the models for which the card matters: those that a processor is too slow for."""
    return [subject for subject in _all(factory) if subject.engine == "transformers"]


def _outlook(factory: Factory, gpu: Gpu, subject: Subject) -> Outlook:
    from rag.models.gpu_guide import outlook
    from rag.planning import helpers, wishes

    settings = factory.settings
    return outlook(gpu, subject, helpers(settings), wishes(settings))


def _values(guide: Guide, rows: list[list[Outlook]], mine: Gpu | None) -> dict[str, Any]:
    return {
        "own": mine.name if mine else None,
        "gpus": [
            {
                **asdict(row[0].gpu),
                "formats": guide.formats_of(row[0].gpu),
                "models": [_of(outlook) for outlook in row],
            }
            for row in rows
        ],
    }


def _of(outlook: Outlook) -> dict[str, Any]:
    plan = outlook.plan
    return {
        "model": plan.model,
        "fits": outlook.whole,
        "precision": plan.layout.precision,
        "context_tokens": plan.layout.context_tokens,
        "longest_context": plan.longest_context,
        "kv_bits": plan.layout.kv_bits,
        "layers_on_gpu": plan.layers_on_cards,
        "layers": plan.subject.shape.layers,
        "tokens_per_second_limit": outlook.tokens_per_second,
        "wh_per_1000_tokens": outlook.wh_per_1000_tokens,
    }
