"""``rag gpu``: what the machine does now, and what it did."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import Context, JsonOption, print_json
from rag.text.messages import Text
from rag.text.sizes import memory_size

if TYPE_CHECKING:
    from rag.types.hardware import GpuReading, MemoryReading

HOLDERS = {
    "weights": Text("weights", "权重"),
    "kv": Text("keys and values", "键值缓存"),
    "embedder": Text("embedder", "向量模型"),
    "reranker": Text("reranker", "重排模型"),
    "cache": Text("kept by the allocator", "分配器缓存"),
    "context": Text("driver", "驱动"),
    "others": Text("others", "其他"),
}


def gpu(
    ctx: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="a line a second until Ctrl+C")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="write report.json and report.png into this folder"),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=1, max=3600, help="to measure for a report while the app is not open"),
    ] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Read memory, load, heat and power; or write a report of the last hour."""
    context: Context = ctx.obj
    if report is not None:
        _report(context, report.absolute(), seconds, as_json=as_json)
        return
    from rag.app.container import Container

    readings = Container(context.settings).readings()
    readings.read()  # the processor's load is that since the reading before
    try:
        while True:
            time.sleep(1.0)
            _print(context, readings.read(), as_json=as_json)
            if not watch:
                return
    except KeyboardInterrupt:
        return


def _print(context: Context, reading: MemoryReading, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(reading))
        return
    for line in lines(context, reading):
        typer.echo(line)


def lines(context: Context, reading: MemoryReading) -> list[str]:
    """Return a line for the computer and one for each card."""
    load = "" if reading.cpu_percent is None else f"{reading.cpu_percent:.0f} %  "
    ram = f"{memory_size(reading.ram_used_bytes)} / {memory_size(reading.ram_total_bytes)}"
    first = f"CPU  {load}RAM {ram}"
    if not reading.gpus:
        return [f"{first}  {context.say(Text('no NVIDIA GPU', '没有 NVIDIA 显卡'))}"]
    held = ", ".join(
        f"{context.say(HOLDERS[one.holder])} {memory_size(one.bytes)}" for one in reading.held
    )
    cards = [_card(context, card) for card in reading.gpus]
    return [first, *cards, *([f"     {held}"] if held else [])]


def _card(context: Context, card: GpuReading) -> str:
    from rag.hardware.thermal import throttle_text

    parts = [f"GPU {card.index}  {card.name or '?'}"]
    if card.percent is not None:
        parts.append(f"{card.percent:.0f} %")
    if card.used_bytes is not None and card.total_bytes is not None:
        parts.append(f"{memory_size(card.used_bytes)} / {memory_size(card.total_bytes)}")
    if card.temperature_c is not None:
        limit = "" if card.slowdown_c is None else f" / {card.slowdown_c:.0f}"
        parts.append(f"{card.temperature_c:.0f}{limit} °C")
    if card.power_w is not None:
        limit = "" if card.power_limit_w is None else f" / {card.power_limit_w:.0f}"
        parts.append(f"{card.power_w:.0f}{limit} W")
    if card.clock_mhz is not None:
        parts.append(f"{card.clock_mhz} MHz")
    if card.fan_percent is not None:
        parts.append(f"{context.say(Text('fan', '风扇'))} {card.fan_percent:.0f} %")
    parts += [context.say(throttle_text(key)) for key in card.throttle]
    return "  ".join(parts)


def _report(context: Context, folder: Path, seconds: float, *, as_json: bool) -> None:
    from rag.cli.sync import owned

    def work(*_: object) -> dict[str, Any]:
        return _measured(context, folder, seconds)

    made = owned(context, "report", {"path": str(folder)}, work)
    if as_json:
        print_json(made)
        return
    for name in made["files"]:
        typer.echo(str(folder / name))
    if "report.png" not in made["files"]:
        words = Text(
            '→ The chart needs matplotlib: `pip install "ragdesk[chart]"`.',
            '→ 绘图需要 matplotlib：`pip install "ragdesk[chart]"`。',
        )
        typer.secho(context.say(words), err=True)


def _measured(context: Context, folder: Path, seconds: float) -> dict[str, Any]:
    """Watch for a while; the app, which has the last hour, is not open."""
    from rag.app.container import Container
    from rag.app.machine_monitor import MachineMonitor
    from rag.storage.chats import Chats

    container = Container(context.settings)
    ledger = container.ledger()
    try:
        watch = MachineMonitor(container.readings(), answers=Chats(ledger).since)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            watch.look()
            time.sleep(1.0)
        watch.look()
        return watch.report(folder)
    finally:
        ledger.close()
