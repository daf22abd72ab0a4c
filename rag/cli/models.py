"""``rag models``: what there is, what is here, what fits this machine, and which one is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import Context, environment, print_json, progress_bar, readable_bytes
from rag.cli.models_fit import fit
from rag.cli.models_gpus import gpus
from rag.cli.server import key, server_json
from rag.errors import ConfigError
from rag.variables import variable_of
from rag.words import Text

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.machine import MemoryReading
    from rag.models.catalogue import Entry
    from rag.models.store import ModelStore

app = typer.Typer(
    help="The language models: list, download, choose.", no_args_is_help=True, add_completion=False
)

app.command()(fit)
app.command()(gpus)
app.command("key")(key)

DEFAULT_CONFIG = Path("ragdesk.toml")

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Name = Annotated[str, typer.Argument(help="a name from `rag models list`")]


@app.command("list")
def list_models(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List the known models: kind, languages, size, licence, and whether they fit and are here."""
    from rag.engines import load

    context: Context = ctx.obj
    store = _store(context.settings)
    machine: MemoryReading = load("readings")().read()
    server = server_json(context.settings)
    rows = [_row(entry, store, context.settings, machine) for entry in store.entries()]
    if as_json:
        print_json({"folder": str(store.folder), "server": server, "models": rows})
        return
    from rich.console import Console

    from rag.models.listing import table

    Console().print(table(rows, store.folder, language=context.language, server=server))


@app.command()
def pull(ctx: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Download a model and check its bytes; goes on where an earlier pull stopped."""
    context: Context = ctx.obj
    store = _store(context.settings)
    entry = store.catalogue.get(name)
    here = store.installed(entry.name)
    if here is None:
        size = readable_bytes(entry.download_bytes)
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
def use(ctx: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Write a model into the settings file: the one that answers, embeds, or reorders."""
    context: Context = ctx.obj
    store = _store(context.settings)
    entry = store.catalogue.get(name)
    section = entry.kind  # each kind has a section of its own name
    path = context.config_path or DEFAULT_CONFIG
    _set_model(path, section, entry.name)
    if as_json:
        print_json({"file": str(path), "section": section, "model": entry.name})
        return
    typer.echo(f'{path}: {section}.model = "{entry.name}"')
    for note in _notes(entry, store, section, context.settings):
        typer.echo(context.say(note), err=True)


def _store(settings: Settings) -> ModelStore:
    from rag.models.store import ModelStore

    return ModelStore.of(settings.models)


def _row(
    entry: Entry, store: ModelStore, settings: Settings, machine: MemoryReading
) -> dict[str, Any]:
    """Return one model as the JSON shows it; the table draws the same values."""
    from rag.models.choice import default_generator, fits, needs_bytes, needs_gpu

    here = store.installation(entry.name)
    chosen = {
        "generator": settings.generator.model,
        "embedder": settings.embedder.model,
        "reranker": settings.reranker.model,
    }[entry.kind]
    ram, vram = machine.ram_total_bytes, machine.vram_total_bytes
    if entry.kind == "generator" and settings.generator.server() is not None:
        chosen = ""  # the server answers
    if chosen == "auto":
        free = None if vram is None else vram - (machine.vram_used_bytes or 0)
        chosen = default_generator(free_vram_bytes=free, total_ram_bytes=ram)
    return {
        "name": entry.name,
        "kind": entry.kind,
        "engine": entry.engine,
        "languages": list(entry.languages),
        "licence": entry.licence,
        "bytes": entry.bytes,
        "download_bytes": entry.download_bytes,
        "context_tokens": entry.context_tokens,
        "gated": entry.gated,
        "installed": here is not None,
        "path": str(here.path(store.folder / entry.name)) if here else None,
        "source": here.source if here else None,
        "revision": here.revision if here else None,
        "needs_bytes": needs_bytes(entry),
        "needs": "vram" if needs_gpu(entry) else "ram",
        "no_card": needs_gpu(entry) and vram is None,
        "fits": fits(entry, ram_bytes=ram, vram_bytes=vram),
        "in_use": entry.name.lower() == chosen.lower(),
        "description": {"en": entry.description.en, "zh": entry.description.zh},
    }


def _pull_with_bar(store: ModelStore, entry: Entry, context: Context) -> Path:
    from rag.models.job import DownloadCancelled

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


def _set_model(path: Path, section: str, name: str) -> None:
    """Change one key of the settings file; every other line stays as it is.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_text("utf-8") if path.is_file() else "")
        if section not in document:
            document.add(section, tomlkit.table())
        document[section]["model"] = name  # type: ignore[index]  # a table, or the next line says
        draft = path.with_name(f"{path.name}.tmp")
        draft.write_text(tomlkit.dumps(document), "utf-8")
        draft.replace(path)
    except (OSError, UnicodeDecodeError, TOMLKitError, TypeError) as error:
        raise ConfigError(
            Text(f"{path} cannot be changed: {error}.", f"无法修改 {path}：{error}。"),
            hint=Text(
                f'Set it by hand: [{section}] model = "{name}"',
                f'请手动设置：[{section}] model = "{name}"',
            ),
        ) from error


def _notes(entry: Entry, store: ModelStore, section: str, settings: Settings) -> list[Text]:
    """Return what a person should know after the choice."""
    notes = []
    size = readable_bytes(entry.download_bytes)
    key = f"{section}.model"
    if environment(key) is not None:
        variable = variable_of(key)
        notes.append(
            Text(
                f"But {variable} is set in the environment, and it wins.",
                f"注意：环境变量 {variable} 已设置，优先于设置文件。",
            )
        )
    if section == "generator" and settings.generator.url:
        notes.append(
            Text(
                "But generator.url is set: the server there answers, and is asked for this name.",
                "注意：generator.url 已设置，回答的是该服务器，会向它请求这个名称。",
            )
        )
    if store.installed(entry.name) is None:
        notes.append(
            Text(
                f"It is not on this computer yet: `rag models pull {entry.name}` fetches it"
                f" ({size}), or the next start does.",
                f"本机还没有该模型：运行 `rag models pull {entry.name}` 下载"
                f"（{size}），或在下次启动时自动下载。",
            )
        )
    return [*notes, *_meaning(entry, settings)]


def _meaning(entry: Entry, settings: Settings) -> list[Text]:
    """Return what choosing a model of this kind means for the library."""
    if entry.kind == "embedder":
        return [
            Text(
                "Run `rag rebuild`: until then the index that there is goes on being used.",
                "请运行 `rag rebuild`；在此之前继续使用现有索引。",
            )
        ]
    if entry.kind == "reranker":
        passages = settings.reranker.passages
        return [
            Text(
                f"It reads {passages} passages for each question (without a graphics card that "
                'takes time); reranker.model = "" switches it off.',
                f"每个问题它会读 {passages} 个段落（没有显卡时较慢）；"
                "把 reranker.model 设为空即可关闭。",
            )
        ]
    return []
