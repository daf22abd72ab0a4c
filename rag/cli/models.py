"""``rag models``: what there is, what is here, what fits this machine, and which one is used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.context import Context, JsonOption, print_json, print_lines, progress_bar
from rag.cli.open_library import server_json
from rag.errors import ConfigError
from rag.text.messages import Text
from rag.text.sizes import file_size

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.models.catalogue import Entry
    from rag.models.store import ModelStore
    from rag.types.server_address import Address

app = typer.Typer(
    help="The language models: list, download, choose.", no_args_is_help=True, add_completion=False
)

DEFAULT_CONFIG = Path("ragdesk.toml")

Name = Annotated[str, typer.Argument(help="a name from `rag models list`")]
Fitted = Annotated[
    str | None, typer.Argument(help="a name from `rag models list`, a folder or a .gguf file")
]
Gpus = Annotated[
    list[str] | None, typer.Option("--gpu", help="plan for this card of `rag models gpus`")
]
Sizes = Annotated[
    list[float] | None, typer.Option("--vram", help="plan for a card of so many GiB; may repeat")
]
Ram = Annotated[float | None, typer.Option("--ram", help="main memory of that machine in GiB")]
CardOrModel = Annotated[
    str | None, typer.Argument(help="a model or a card; none: every card with the larger models")
]
Chart = Annotated[
    Path | None, typer.Option("--chart", help="draw the speeds into this PNG file (matplotlib)")
]
Own = Annotated[
    str | None, typer.Option("--own", help="compare with this card instead of this machine's")
]


@app.command()
def fit(
    ctx: typer.Context,
    name: Fitted = None,
    *,
    gpu: Gpus = None,
    vram: Sizes = None,
    ram: Ram = None,
    as_json: JsonOption = False,
) -> None:
    """Print how a model would be loaded: precision, window, layers, memory, and the reasons.

    By default the chosen model on this machine, with the memory that is free now.
    """
    from rag.app.container import Container
    from rag.app.model_plans import fitting, plan_for, room_with, subject_named
    from rag.models.tables import plan_table, plan_values

    context: Context = ctx.obj
    container = Container(context.settings)
    wanted = name or container.chosen_generator().named
    room = room_with(container.readings().read(), gpus=gpu or [], sizes=vram or [], ram=ram)
    found = plan_for(context.settings, subject_named(container.model_store(), wanted), room)
    if as_json:
        print_json(plan_values(found, room))
        return
    print_lines([plan_table(found, room, language=context.language)])
    if found.layout.on_cards not in {0, found.subject.shape.layers} or not found.fits:
        names = ", ".join(fitting(context.settings, room, but=found.subject.name)[:2])
        if names:
            typer.echo(context.say(Text(f"These fit: {names}.", f"可以放下的模型：{names}。")))


@app.command()
def gpus(
    ctx: typer.Context,
    name: CardOrModel = None,
    *,
    own: Own = None,
    chart: Chart = None,
    as_json: JsonOption = False,
) -> None:
    """Show what NVIDIA's cards do with the models: precision, window, speed and energy at most."""
    from rag.app.container import Container
    from rag.app.model_plans import outlooks, own_card
    from rag.models.planning.gpu_guide import load_guide
    from rag.models.tables import draw_guide, guide_table, guide_values
    from rag.system import charts

    if chart is not None:
        charts.check(chart)
    context: Context = ctx.obj
    container, guide = Container(context.settings), load_guide()
    mine = guide.get(own) if own else own_card(container.readings().read(), guide)
    rows = outlooks(context.settings, container.model_store(), guide, name)
    if chart is not None:
        draw_guide(chart, rows, mine)
    if as_json:
        print_json(guide_values(guide, rows, mine))
        return
    print_lines([guide_table(guide, rows, mine, language=context.language)])


@app.command()
def key(
    ctx: typer.Context,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="remove it from the keyring")] = False,
) -> None:
    """Keep the key of the server in `generator.url` in the system's keyring."""
    from rag.generation.openai_server.client import VARIABLE, keep_key

    context: Context = ctx.obj
    server = context.settings.generator.server()
    if server is None:
        raise ConfigError(
            Text("No server is set, so there is nothing to keep a key for.", "尚未设置服务器。"),
            hint=Text("Set generator.url first.", "请先设置 generator.url。"),
        )
    keep_key(server, "" if forget else _typed(context, server))
    done = (
        Text(f"The key for {server.shown} is forgotten.", f"已删除 {server.shown} 的密钥。")
        if forget
        else Text(
            f"The key for {server.shown} is in the keyring; {VARIABLE} would win over it.",
            f"{server.shown} 的密钥已存入密钥环；{VARIABLE} 优先于它。",
        )
    )
    typer.echo(context.say(done))


@app.command("list")
def list_models(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the known models: what each is good for, its size and licence, whether it fits."""
    from rag.app.registry import load
    from rag.models.planning.subjects import offer
    from rag.models.tables import model_values, models_table

    context: Context = ctx.obj
    store = _store(context.settings)
    machine = load("readings")().read()
    server = server_json(context.settings)
    rows = [model_values(entry, store, context.settings, machine) for entry in store.catalogue]
    better = offer(context.settings, store, machine)
    if as_json:
        offered = better.name if better else None
        folder = str(store.folder)
        print_json({"folder": folder, "server": server, "offered": offered, "models": rows})
        return
    print_lines(
        [models_table(rows, store.folder, language=context.language, server=server, offered=better)]
    )


@app.command()
def pull(ctx: typer.Context, name: Name, *, as_json: JsonOption = False) -> None:
    """Download a model and check its bytes; goes on where an earlier pull stopped."""
    context: Context = ctx.obj
    store = _store(context.settings)
    entry = store.catalogue.get(name)
    here = store.installed(entry.name)
    if here is None:
        size = file_size(entry.download_bytes)
        where = store.folder / entry.name
        before = Text(
            f"{entry.name}: up to {size}, {entry.licence}, into {where}",
            f"{entry.name}：最多 {size}，许可证 {entry.licence}，保存到 {where}",
        )
        typer.echo(context.say(before), err=True)
        here = _pull_with_bar(store, entry, context)
    if not as_json:
        typer.echo(str(here))
        return
    manifest = store.installation(entry.name)
    print_json(
        {
            "name": entry.name,
            "path": str(here),
            "source": manifest.source if manifest else None,
            "revision": manifest.revision if manifest else None,
        }
    )


@app.command()
def use(ctx: typer.Context, name: Name, *, as_json: JsonOption = False) -> None:
    """Write a model into the settings file: the one that answers, embeds, or reorders."""
    from rag.models.planning.subjects import notes, set_model

    context: Context = ctx.obj
    store = _store(context.settings)
    entry = store.catalogue.get(name)
    section = entry.kind  # each kind has a section of its own name
    path = context.config_path or DEFAULT_CONFIG
    set_model(path, section, entry.name)
    if as_json:
        print_json({"file": str(path), "section": section, "model": entry.name})
        return
    typer.echo(f'{path}: {section}.model = "{entry.name}"')
    for note in notes(entry, store, context.settings):
        typer.echo(context.say(note), err=True)


def _store(settings: Settings) -> ModelStore:
    from rag.models.store import ModelStore

    return ModelStore.of(settings.models)


def _pull_with_bar(store: ModelStore, entry: Entry, context: Context) -> Path:
    from rag.models.download import DownloadCancelled

    def tell(note: Text) -> None:
        typer.echo(context.say(note), err=True)

    with progress_bar(context) as show:
        try:
            return store.pull(entry.name, progress=show, cancelled=lambda: False, notify=tell)
        except KeyboardInterrupt:
            raise DownloadCancelled(
                Text("The download was stopped.", "下载已停止。"),
                hint=Text(
                    "Run the command again; it goes on where it stopped.",
                    "再次运行该命令即可从中断处继续。",
                ),
            ) from None


def _typed(context: Context, server: Address) -> str:
    """Return the key as typed, unseen, or as the first line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    words = Text(f"Key for {server.shown}", f"{server.shown} 的密钥")
    return str(typer.prompt(context.say(words), hide_input=True)).strip()
