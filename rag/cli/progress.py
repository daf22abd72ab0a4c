"""How far reading is, as ``rag ask`` shows it: a bar, what is read, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from rag.cli.context import Context, progress_bar
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.types.answers import Answer, AnswerMessage, Coverage, Event, Offer, ReadingProgress
    from rag.types.progress import Progress


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
        typer.secho(context.say(_read(answer.coverage)), dim=True, err=True)
    if answer.offer is not None:
        typer.secho(context.say(_offered(answer.offer)), err=True)


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
