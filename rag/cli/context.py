"""What every command needs: the settings, the language, and how to talk to a person."""

from __future__ import annotations

import json
import locale
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.system.environment import renaming_note
from rag.text.messages import Language, Text
from rag.text.sizes import file_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rag.config import Settings
    from rag.types.progress import Progress

STAGES: dict[str, Text] = {
    "scan": Text("looking at the folder", "查看文件夹"),
    "read": Text("reading", "读取"),
    "ocr": Text("recognising text", "文字识别"),
    "embed": Text("embedding", "计算向量"),
    "write": Text("indexed", "已索引"),
    "compose": Text("writing", "正在撰写"),
    "check": Text("checking", "检查"),
    "download": Text("downloading", "下载"),
    "verify": Text("verifying", "校验"),
    "load": Text("loading", "加载"),
    "bench": Text("measuring", "测量"),
    "condense": Text("shortening the notes", "精简笔记"),
}
GAPS = 3  # exit code: done, but something cannot be searched
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@dataclass(frozen=True, slots=True)
class Context:
    """Carried by typer to every command."""

    settings: Settings
    language: Language
    config_path: Path | None

    def say(self, text: Text) -> str:
        """Return ``text`` in the person's language."""
        return text.say(self.language)


def system_language() -> Language:
    """Return the language of the person's system."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    code = named or locale.getlocale()[0] or ""
    return "zh" if code.lower().startswith(("zh", "chinese")) else "en"


def tell_renamed(language: Language) -> None:
    """Say on stderr which variables are set under names that will stop working."""
    from rag.config import setting_keys

    if note := renaming_note(os.environ, setting_keys()):
        typer.echo(note.say(language), err=True)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def print_lines(lines: Iterable[tuple[str, str | None] | RenderableType]) -> None:
    """Print words in their colours, and what rich draws."""
    for line in lines:
        if isinstance(line, tuple):
            typer.secho(line[0], fg=line[1])
        else:
            from rich.console import Console

            Console().print(line)


@contextmanager
def progress_bar(context: Context) -> Iterator[Callable[[Progress], None]]:
    """Show progress on stderr; the function it gives takes every new state.

    Nothing is shown, nor loaded to show it, before there is more to tell than a look at the
    folder.
    """
    with ExitStack() as opened:
        shown: list[Callable[[Progress], None]] = []

        def show(progress: Progress) -> None:
            if progress.stage == "scan" and not shown:
                return
            if not shown:
                shown.append(opened.enter_context(_drawn_bar(context)))
            shown[0](progress)

        yield show


@contextmanager
def _drawn_bar(context: Context) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[stage]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[item]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, stage="", count="", item="")
        yield lambda progress: bar.update(task, **describe(progress, context.language))


def describe(progress: Progress, language: Language) -> dict[str, Any]:
    """Return what a progress bar shows: stage, share, counts with units, item."""
    stage = STAGES.get(progress.stage)
    if progress.unit == "bytes":
        count = file_size(progress.done)
        if progress.total:
            count += f" / {file_size(progress.total)}"
        if progress.per_second:
            count += f", {file_size(progress.per_second)}/s"
    elif progress.total:
        count = f"{progress.done}/{progress.total}"
        if progress.per_second:
            count += f", {progress.per_second:.1f} " + ("pages/s" if language == "en" else "页/秒")
        if progress.minutes_left is not None:
            left = progress.minutes_left
            count += f", {left} min left" if language == "en" else f"，约剩 {left} 分钟"
    else:
        count = str(progress.done) if progress.done else ""
    return {
        "total": progress.total,
        "completed": progress.done,
        "stage": stage.say(language) if stage else progress.stage,
        "count": count,
        "item": progress.item,
    }
