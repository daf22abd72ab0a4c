"""Models, plans and the guide to cards as people and scripts see them: tables, JSON, a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text as Styled

from rag.models.planning.plan import PARTS, PRECISIONS, place_words
from rag.models.planning.subjects import (
    default_generator,
    fits,
    needs_bytes,
    needs_gpu,
    offer_words,
)
from rag.models.shape import kv_bytes_per_token
from rag.text.messages import Language, Text
from rag.text.sizes import file_size, memory_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rag.config import Settings
    from rag.models.catalogue import Entry
    from rag.models.planning.gpu_guide import Gpu, Guide, Outlook
    from rag.models.planning.plan import Plan, Room
    from rag.models.store import ModelStore
    from rag.types.hardware import MemoryReading


def _empty_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)


# -- the list of models, at 80 columns --------------------------------------------------------

KINDS = {
    "generator": Text("Answering", "回答"),
    "embedder": Text("Finding passages (embedding)", "检索段落（嵌入）"),
    "reranker": Text("Reordering passages", "重排段落"),
}
COLUMNS = {
    Text("model", "模型"): 42,
    Text("languages", "语言"): 10,
    Text("size", "大小"): 8,
    Text("", ""): 11,
}
"""Their widths in letters."""
USED, CHOSEN = Text("in use", "使用中"), Text("chosen", "已选用")
HERE = Text("installed", "已安装")
NEVER_RUN = Text("Never run by this project.", "本项目未曾运行过。")
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
    if entry.kind == "generator" and settings.generator.server() is not None:
        chosen = ""  # the server answers
    if chosen == "auto":
        chosen = default_generator(machine, lambda name: store.installed(name) is not None)
    sentence = {"en": entry.good_for.en, "zh": entry.good_for.zh}
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
        "no_card": needs_gpu(entry) and machine.vram_total_bytes is None,
        "fits": fits(entry, machine),
        "in_use": entry.name.lower() == chosen.lower(),
        "run_here": entry.run_here,
        "good_for": sentence,
        "description": sentence,  # what it was called first
    }


def models_table(
    rows: Sequence[dict[str, Any]],
    folder: Path,
    *,
    language: Language,
    server: dict[str, Any] | None = None,
    offered: Entry | None = None,
) -> RenderableType:
    """Return the models by kind; below each name its licence, its need and what it is good for.

    A ``server`` answers in place of them all, and stands below them; so does the model that
    would answer better and is ``offered``.
    """
    drawn = _empty_table()
    for header, width in COLUMNS.items():
        drawn.add_column(header.say(language), width=width, overflow="fold")
    for kind, title in KINDS.items():
        drawn.add_row(Styled(title.say(language), style="bold underline"))
        drawn.add_row()
        for row in (row for row in rows if row["kind"] == kind):
            drawn.add_row(*_cells(row, language))
            drawn.add_row()
    where = Text(f"Folder: {folder}", f"文件夹：{folder}").say(language)
    lines = [Styled(where, style="dim", overflow="fold")]
    if server is not None:
        lines.append(Styled(_answering(server).say(language), style="green", overflow="fold"))
    if offered is not None:
        lines.append(Styled(offer_words(offered).say(language), style="green"))
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
    name.append(row["good_for"][language], style="not bold dim")
    if not row["run_here"]:
        name.append(f"\n{NEVER_RUN.say(language)}", style="not bold dim italic")
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


# -- one model on one machine ----------------------------------------------------------------


def plan_table(plan: Plan, room: Room, *, language: Language) -> RenderableType:
    """Return the plan as a table of bytes, and the reasons below it."""
    table = _empty_table()
    for header in (Text("memory", "存储"), Text("part", "内容"), Text("size", "大小")):
        table.add_column(header.say(language))
    for shelf in plan.memory_uses:
        if not shelf.bytes:
            continue
        place = place_words(shelf).say(language)
        for part, size in shelf.parts:
            table.add_row(place, PARTS[part].say(language), memory_size(size))
            place = ""
        limit, colour = memory_size(shelf.limit_bytes), "green" if shelf.fits else "red"
        total = Text(f"of {limit} that may be used", f"可用 {limit}")
        table.add_row("", total.say(language), memory_size(shelf.bytes), style=colour)
    title = Styled(f"{plan.subject.name} ({plan.subject.engine})", style="bold")
    reasons = [Styled(f"· {reason.say(language)}") for reason in plan.reasons]
    end = [] if room.cards else [Styled(_NO_CARD.say(language), style="dim")]
    return Group(title, table, *reasons, *end)


_NO_CARD = Text(
    "No NVIDIA card was found; --gpu NAME or --vram GiB plans for one.",
    "没有找到 NVIDIA 显卡；可用 --gpu 名称 或 --vram GiB 按某块显卡规划。",
)


def plan_values(found: Plan, room: Room) -> dict[str, Any]:
    """Return a plan as the JSON shows it."""
    layout = found.layout
    return {
        "model": found.subject.name,
        "engine": found.subject.engine,
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


# -- all cards ------------------------------------------------------------------------------

_CARD = Text("card", "显卡")
_MODEL = Text("model", "模型")
_SIZES = (Text("GiB", "GiB"), Text("GB/s", "GB/s"), Text("W", "W"), Text("formats", "格式"))
_RESULT = (
    Text("precision", "精度"),
    Text("window", "上下文"),
    Text("tokens/s ≤", "token/秒 ≤"),
    Text("Wh / 1,000", "Wh / 1,000"),
)
_YOURS = Text("of yours", "对比本机")
_PART, _NOT = Text("in part", "部分"), Text("no", "否")
_NOTE = Text(
    "Speed: the most that the memory's bandwidth allows, every weight being read once for each"
    " token; real engines reach a part of it. Energy: at that speed and full power. Computed, not"
    " measured; each card idle, 32 GiB of main memory. Sources: rag/models/planning/gpus.toml.",
    "速度：显存带宽允许的上限（每个 token 需读取一次全部权重），实际引擎只能达到其中一部分。"
    "能耗：按该速度和满功率计算。均为计算值，未经实测；假设显卡空闲、内存 32 GiB。"
    "数据来源：rag/models/planning/gpus.toml。",
)
MOST_ADVICE = 3
WORTH = 1.5  # times the speed
_COLOURS = {"none": "#1f5fae", "int8": "#7a6fb0", "nf4": "#2a9d8f", None: "#6b7785"}
_WIDE, _ROW = 8.0, 0.2  # inches


def guide_table(
    guide: Guide, rows: Sequence[Sequence[Outlook]], mine: Gpu | None, *, language: Language
) -> RenderableType:
    """Return the table, what a better card would bring, and how to read it."""
    note, first = Styled(_NOTE.say(language), style="dim"), rows[0][0]
    if len(rows) == 1:
        title = Styled(_card_line(guide, first.gpu), style="bold")
        return Group(title, _of_card(rows[0], language), note)
    if len(rows[0]) > 1:
        return Group(_of_all(guide, rows, mine, language), note)
    column = [row[0] for row in rows]
    own = next((outlook for outlook in column if outlook.gpu == mine), None)
    advice = [f"· {text.say(language)}" for text in (better(column, own) if own else ())]
    return Group(
        Styled(first.plan.subject.name, style="bold"),
        _of_model(column, own, language),
        *(Styled(line, style="green") for line in advice),
        note,
    )


def _card_line(guide: Guide, gpu: Gpu) -> str:
    formats = ", ".join(guide.formats_of(gpu)) or "FP32"
    size = f"{gpu.memory_gib:g} GiB, {gpu.bandwidth_gbs:g} GB/s, {gpu.power_w:g} W, {formats}"
    return f"{gpu.name}: {size}"


def _table(headers: Sequence[Text], language: Language) -> Table:
    table = _empty_table()
    for number, header in enumerate(headers):
        table.add_column(header.say(language), justify="left" if number == 0 else "right")
    return table


def _of_card(row: Sequence[Outlook], language: Language) -> Table:
    table = _table((_MODEL, *_RESULT), language)
    for outlook in row:
        table.add_row(outlook.plan.subject.name, *_result(outlook, language))
    return table


def _of_model(column: Sequence[Outlook], own: Outlook | None, language: Language) -> Table:
    table = _table((_CARD, _SIZES[0], *_RESULT, *([_YOURS] if own else [])), language)
    for outlook in column:
        cells = [_short(outlook.gpu), f"{outlook.gpu.memory_gib:g}", *_result(outlook, language)]
        if own:
            cells.append(_ratio(outlook, own))
        table.add_row(*cells, style="green" if own is outlook else "")
    return table


def _of_all(
    guide: Guide, rows: Sequence[Sequence[Outlook]], mine: Gpu | None, language: Language
) -> Table:
    models = [Text(outlook.plan.subject.name, outlook.plan.subject.name) for outlook in rows[0]]
    table = _table((_CARD, *_SIZES, *models), language)
    for row in rows:
        gpu = row[0].gpu
        sizes = (f"{gpu.memory_gib:g}", f"{gpu.bandwidth_gbs:g}", f"{gpu.power_w:g}")
        cells = (_in_brief(outlook, language) for outlook in row)
        formats = " ".join(guide.formats_of(gpu)) or "FP32"
        table.add_row(_short(gpu), *sizes, formats, *cells, style="green" if gpu == mine else "")
    return table


def _short(gpu: Gpu) -> str:
    return gpu.name.removeprefix("GeForce ").removesuffix(" Generation")


def _result(outlook: Outlook, language: Language) -> tuple[str, str, str, str]:
    plan = outlook.plan
    if not plan.fits or not plan.layout.on_cards:
        return _NOT.say(language), "", "", ""
    precision = PRECISIONS[plan.layout.precision] if plan.layout.precision else Text("GGUF", "GGUF")
    window = f"{plan.layout.context_tokens:,}"
    if not outlook.whole:
        layers = f"{plan.layout.on_cards}/{plan.subject.shape.layers}"
        return f"{_PART.say(language)} ({layers})", window, "", ""
    speed, energy = outlook.plan.tokens_per_second, outlook.wh_per_1000_tokens
    return (
        precision.say(language),
        window,
        f"{speed:.0f}" if speed else "",
        f"{energy:.2f}" if energy else "",
    )


def _in_brief(outlook: Outlook, language: Language) -> str:
    precision, _, speed, _ = _result(outlook, language)
    return f"{precision.partition(' (4')[0].partition('（4')[0]} {speed}".strip()


def _ratio(outlook: Outlook, own: Outlook) -> str:
    ours, theirs = own.plan.tokens_per_second, outlook.plan.tokens_per_second
    return f"{theirs / ours:.1f} ×" if ours and theirs else ""


def better(column: Sequence[Outlook], own: Outlook) -> list[Text]:
    """Return what cards with the least power would bring that own does not have, best first.

    Worth a word are: all of a model on the card, a higher precision, a longer window, and at
    least half as much speed again.
    """
    found: dict[str, tuple[Outlook, Text]] = {}
    for outlook in sorted(column, key=lambda each: (each.gpu.power_w, -each.gpu.memory_gib)):
        for kind, text in _gains(outlook, own):
            found.setdefault(kind, (outlook, text))
    words = [
        Text(f"{outlook.gpu.name}: {text.en}.", f"{outlook.gpu.name}：{text.zh}。")
        for outlook, text in found.values()
    ]
    nothing = Text("No card of the guide brings more.", "指南中没有更好的显卡。")
    return list(dict.fromkeys(words))[:MOST_ADVICE] or [nothing]


def _gains(outlook: Outlook, own: Outlook) -> list[tuple[str, Text]]:
    if not outlook.whole:
        return []
    if not own.whole:
        return [("whole", Text("all layers on the card", "全部层都在显卡上"))]
    gains, mine, theirs = [], own.plan.layout, outlook.plan.layout
    if mine.precision == "nf4" and theirs.precision == "none":
        gains.append(("bits", Text("16 bits instead of 4", "16 位代替 4 位")))
    if theirs.context_tokens > mine.context_tokens or theirs.kv_bits > mine.kv_bits:
        window = f"{theirs.context_tokens:,}"
        text = Text(f"a window of {window} tokens", f"上下文 {window} 个 token")
        gains.append(("window", text))
    ours, speed = own.plan.tokens_per_second, outlook.plan.tokens_per_second
    same = mine.precision == theirs.precision
    if same and ours and speed and speed >= WORTH * ours:
        times = f"{speed / ours:.1f}"
        gains.append(("speed", Text(f"up to {times} times the speed", f"速度最多 {times} 倍")))
    return gains


def guide_values(
    guide: Guide, rows: Sequence[Sequence[Outlook]], mine: Gpu | None
) -> dict[str, Any]:
    """Return the outlooks as the JSON shows them."""
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
        "model": plan.subject.name,
        "fits": outlook.whole,
        "precision": plan.layout.precision,
        "context_tokens": plan.layout.context_tokens,
        "longest_context": plan.longest_context,
        "kv_bits": plan.layout.kv_bits,
        "layers_on_gpu": plan.layout.on_cards,
        "layers": plan.subject.shape.layers,
        "tokens_per_second_limit": outlook.plan.tokens_per_second,
        "wh_per_1000_tokens": outlook.wh_per_1000_tokens,
    }


def draw_guide(file: Path, rows: Sequence[Sequence[Outlook]], mine: Gpu | None) -> None:
    """Write a PNG: a panel a model, a bar for each card that holds all of it; or one card's."""
    from rag.system import charts

    panels = _panels(rows)
    figure, axes = charts.panels([len(bars) + 2 for _, bars in panels], width=_WIDE, row=_ROW)
    for each, (title, bars) in zip(axes, panels, strict=False):
        _draw_panel(each, title, bars, mine)
        charts.as_rows(each, len(bars), fontsize=6)
    figure.suptitle("tokens/s that memory bandwidth allows at most (computed)", fontsize=9)
    charts.save(figure, file)


def _panels(rows: Sequence[Sequence[Outlook]]) -> list[tuple[str, list[tuple[str, Outlook]]]]:
    """Return titles with their bars, fastest first; what does not fit whole has no bar."""
    if len(rows) == 1:
        bars = [
            (outlook.plan.subject.name, outlook)
            for outlook in rows[0]
            if outlook.plan.tokens_per_second
        ]
        return [(rows[0][0].gpu.name, _sorted(bars))]
    panels = []
    for column in zip(*rows, strict=True):
        bars = [(outlook.gpu.name, outlook) for outlook in column if outlook.plan.tokens_per_second]
        if bars:
            panels.append((column[0].plan.subject.name, _sorted(bars)))
    return panels


def _sorted(bars: list[tuple[str, Outlook]]) -> list[tuple[str, Outlook]]:
    return sorted(bars, key=lambda bar: -(bar[1].plan.tokens_per_second or 0))


def _draw_panel(
    axes: Axes, title: str, bars: Sequence[tuple[str, Outlook]], mine: Gpu | None
) -> None:
    for row, (_, outlook) in enumerate(bars):
        speed = outlook.plan.tokens_per_second or 0
        precision = outlook.plan.layout.precision
        axes.barh(row, speed, height=0.7, color=_COLOURS[precision])
        words = PRECISIONS[precision].en if precision else "GGUF"
        axes.text(speed, row, f" {speed:.0f}  {words}", va="center", fontsize=6)
    names = [f"{name} ◀" if mine and outlook.gpu == mine else name for name, outlook in bars]
    axes.set_yticks(range(len(bars)), names, fontsize=6)
    axes.margins(x=0.15)
    axes.set_title(title, loc="left", fontsize=8)
