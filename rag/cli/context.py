"""What every command needs: the settings, the language, progress, and how to talk to a person."""

from __future__ import annotations

import json
import locale
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
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
    from rag.storage.ledger import Ledger
    from rag.types.answers import Answer, AnswerMessage, Coverage, Event, Offer, ReadingProgress
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

    def ledger(self, *, read_only: bool = False) -> closing[Ledger]:
        """Open the library's ledger for a ``with``; chats may be added while the app is open.

        Raises:
            StoreError: there is none yet (only when reading), or it cannot be opened.
        """
        from rag.app.container import Container

        return closing(Container(self.settings).ledger(read_only=read_only))

    def tell(self, text: Text, *, err: bool = False, **style: Any) -> None:
        """Print ``text`` in the person's language, with ``style`` as click has it."""
        words = self.say(text)
        typer.echo(typer.style(words, **style) if style else words, err=err)


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


_NAMED = 5  # documents named before an answer; the rest are counted
_MINUTE = 60


def shown_progress(context: Context, events: Iterator[Event]) -> Iterator[Event]:
    """Pass events on, and show on stderr how much the model has read and what it does without."""
    from rag.types.answers import AnswerMessage, Delta, ReadingProgress
    from rag.types.progress import Progress

    begun = False
    with ExitStack() as stack:
        report = stack.enter_context(progress_bar(context))
        for event in events:
            if isinstance(event, ReadingProgress):
                if not begun:
                    _announce(context, event)
                begun = True
                report(_progress(context, event))
                continue
            if isinstance(event, Delta) and event.prompt_read is not None:
                report(Progress("read", round(100 * event.prompt_read), 100, "%"))
                continue
            if isinstance(event, AnswerMessage):
                print_notice(context, event)
            if isinstance(event, Delta):
                stack.close()  # the text begins: the bar makes room
            yield event


def print_notice(context: Context, notice: AnswerMessage) -> None:
    """Say what the machine makes different; the text begins on a new line after it."""
    before = "\n" if notice.anew else ""
    typer.secho(f"{before}· {context.say(notice.text)}", fg=typer.colors.YELLOW, err=True)


def print_coverage(context: Context, answer: Answer) -> None:
    """Say how much was read, or what reading everything would take."""
    if answer.coverage is not None:
        context.tell(_read(answer.coverage), dim=True, err=True)
    if answer.offer is not None:
        context.tell(_offered(answer.offer), err=True)


def duration(seconds: float) -> Text:
    """Return a time that was estimated, in whole minutes.

    >>> duration(20).en, duration(290).zh
    ('less than a minute', '约 5 分钟')
    """
    minutes = round(seconds / _MINUTE)
    if minutes < 1:
        return Text("less than a minute", "不到 1 分钟")
    return Text(f"about {minutes} min", f"约 {minutes} 分钟")


def _progress(context: Context, reading: ReadingProgress) -> Progress:
    from rag.types.progress import Progress

    coverage, left = reading.coverage, reading.seconds_left
    if reading.step != "read":
        return Progress(reading.step)
    item = context.say(duration(left)) if left is not None else ""
    return Progress("read", coverage.read, coverage.of, "passages", item)


def _announce(context: Context, reading: ReadingProgress) -> None:
    coverage = reading.coverage
    names = ", ".join(coverage.documents[:_NAMED])
    more = len(coverage.documents) - _NAMED
    words = Text(
        f"Reading all {coverage.of:,} passages on {coverage.pages:,} pages of {names}"
        + (f" and {more} more" if more > 0 else ""),
        f"通读 {names}" + (f" 等 {len(coverage.documents)} 份文档" if more > 0 else "")
        + f"，共 {coverage.pages:,} 页 {coverage.of:,} 段",
    )  # fmt: skip
    time = duration(reading.seconds_left) if reading.seconds_left is not None else None
    tail = f": {context.say(time)}" if time else ""
    typer.secho(context.say(words) + tail, dim=True, err=True)


def _read(coverage: Coverage) -> Text:
    left = coverage.left_out
    return Text(
        f"Read {coverage.read:,} of {coverage.of:,} passages"
        + (f"; {left:,} other documents were not read" if left else ""),
        f"已读 {coverage.of:,} 段中的 {coverage.read:,} 段"
        + (f"；另有 {left:,} 份文档未读" if left else ""),
    )


def _offered(offer: Offer) -> Text:
    time = duration(offer.seconds) if offer.seconds is not None else None
    return Text(
        f"→ This was answered from the best passages. `rag ask --whole` reads all "
        f"{offer.passages:,} passages on {offer.pages:,} pages" + (f": {time.en}" if time else ""),
        f"→ 以上仅根据最相关的段落回答。`rag ask --whole` 会通读全部 {offer.pages:,} 页"
        f"共 {offer.passages:,} 段" + (f"：{time.zh}" if time else ""),
    )
