"""The list of models: as values, and drawn so that it can be read at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text as Styled

from rag.models.planning.subjects import default_generator, fits, needs_bytes, needs_gpu
from rag.text.messages import Language, Text
from rag.text.sizes import file_size, memory_size

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.models.catalogue import Entry
    from rag.models.store import ModelStore
    from rag.types.hardware import MemoryReading

KINDS = {
    "generator": Text("Answering", "回答"),
    "embedder": Text("Finding passages (embedding)", "检索段落（嵌入）"),
    "reranker": Text("Reordering passages", "重排段落"),
}
HEADERS = (Text("model", "模型"), Text("languages", "语言"), Text("size", "大小"), Text("", ""))
WIDTHS = (42, 10, 8, 11)
USED, CHOSEN, HERE = (
    Text("in use", "使用中"),
    Text("chosen", "已选用"),
    Text("installed", "已安装"),
)
NO_CARD, TOO_BIG = Text("no NVIDIA card", "无 NVIDIA 显卡"), Text("too big", "内存不足")


def model_values(
    entry: Entry, store: ModelStore, settings: Settings, machine: MemoryReading
) -> dict[str, Any]:
    """Return one model as ``rag models list --json`` shows it; the table draws the same."""
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


def table(
    rows: Sequence[dict[str, Any]],
    folder: Path,
    *,
    language: Language,
    server: dict[str, Any] | None = None,
) -> RenderableType:
    """Return the models by kind; below each name its licence, need and description.

    A ``server`` answers in place of them all, and stands below them.
    """
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for header, width in zip(HEADERS, WIDTHS, strict=True):
        drawn.add_column(header.say(language), width=width, overflow="fold")
    for kind, title in KINDS.items():
        drawn.add_row(Styled(title.say(language), style="bold underline"))
        drawn.add_row()
        for row in rows:
            if row["kind"] == kind:
                drawn.add_row(*_cells(row, language))
                drawn.add_row()
    where = Text(f"Folder: {folder}", f"文件夹：{folder}").say(language)
    lines = [Styled(where, style="dim", overflow="fold")]
    if server is not None:
        lines.append(Styled(_answering(server).say(language), style="green", overflow="fold"))
    return Group(drawn, *lines)


def _answering(server: dict[str, Any]) -> Text:
    named = server["model"] != "auto"
    model = Text(server["model"], server["model"]) if named else Text("its first model", "首个模型")
    return Text(
        f"In use for answers: {model.en} of the server at {server['url']}; memory unknown.",
        f"当前回答使用：{server['url']} 服务器的{model.zh}；内存占用未知。",
    )


def _cells(row: dict[str, Any], language: Language) -> tuple[Styled, str, str, Styled]:
    name = Styled(row["name"], style="bold")
    name.append(f"\n{_needs(row).say(language)}\n", style="not bold")
    name.append(row["description"][language], style="not bold dim")
    languages = ", ".join("50+" if code == "multilingual" else code for code in row["languages"])
    state, style = _state(row)
    said = Styled(state.say(language) if state else "", style=style)
    return name, languages, file_size(row["bytes"]), said


def _state(row: dict[str, Any]) -> tuple[Text | None, str]:
    """Return the one word that matters most, and its colour."""
    if not row["fits"]:
        return (NO_CARD if row["no_card"] else TOO_BIG), "yellow"
    if row["installed"]:
        return (USED if row["in_use"] else HERE), "green"
    return (CHOSEN if row["in_use"] else None), ""


def _needs(row: dict[str, Any]) -> Text:
    """Return licence and need in one line; why a model does not fit is part of it."""
    need = memory_size(row["needs_bytes"])
    memory = (
        Text(f"NVIDIA card with {need}", f" NVIDIA 显卡，显存 {need}")
        if row["needs"] == "vram"
        else Text(f"{need} of memory", f"内存 {need}")
    )
    gated = (
        Text("; ask the publisher first", "；需先获得发布者授权") if row["gated"] else Text("", "")
    )
    return Text(
        f"{row['licence']}; needs {memory.en}{gated.en}",
        f"{row['licence']}；需要{memory.zh}{gated.zh}",
    )
