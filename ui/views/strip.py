"""The strip as HTML: what the machine is doing, in one line of honest numbers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rag.text.messages import Language
from rag.text.sizes import gib, memory_size
from rag.types.answers import Usage
from rag.types.hardware import MemoryReading
from rag.types.server_address import leaving
from ui.views.chat import speed
from ui.views.common import progress_words, share, word
from ui.words import say

if TYPE_CHECKING:
    from rag.app.app import AppState
    from rag.app.questions import Forecast
    from rag.types.server_address import Address


def state_word(state: AppState, language: Language) -> tuple[str, str]:
    """Return the state as ``(kind, word)``; the kind is one of the dot's colours."""
    progress = state.model_progress
    if state.model_state in {"downloading", "loading", "none"}:
        part = share(progress) if progress else None
        percent = f" {part * 100:.0f} %" if part is not None else ""
        checked = progress is not None and progress.stage == "verify"  # it counts from 0 again
        key = "stage_verify" if checked else f"word_{state.model_state}"
        return "busy", say(key, language) + percent
    if state.model_state == "failed":
        return "bad", say("word_failed", language)
    if state.sync_progress:
        return "busy", say("word_indexing", language)
    return "good", say("word_ahead" if state.reading_ahead else "word_ready", language)


def strip_html(state: AppState, language: Language) -> str:
    """Return the strip's readings, left to right."""
    kind, word = state_word(state, language)
    progress = progress_words(state.model_progress, language) if state.model_progress else ""
    note = state.model_note.say(language) if state.model_note else ""
    hover = escape(" ".join(filter(None, (progress, note))))
    shown = f'<span class="note">{escape(note)}</span>' if kind == "bad" and note else ""
    memory = state.memory
    readings = _gpu(memory, language) if memory.vram_total_bytes else _no_gpu(memory, language)
    if state.server is not None:
        readings += _server(state.server, language)
    return (
        f'<span class="word {kind}" title="{hover}"><i class="dot"></i>'
        f'<b data-idle="{escape(word)}">{escape(word)}</b></span>'
        f"{shown}{readings}{_last(state.last_usage, language)}{_next(state.forecast, language)}"
        f'<span class="model" title="{escape(state.model_name)}">{escape(state.model_name)}</span>'
    )


def _server(server: Address, language: Language) -> str:
    """Return where the model runs; what leaves this machine is said, and stands out."""
    away = leaving(server)
    memory = say("server_memory", language)
    title = escape(f"{away.say(language)} {memory}" if away else memory)
    words = word("server_there" if away else "server_here", language, server=server.shown)
    kind = "away" if away else "quiet"
    return (
        f'<span class="reading {kind}" title="{title}">{words}</span>'
        f'<span class="reading quiet" title="{title}">{word("share_unknown", language)}</span>'
    )


def _gpu(memory: MemoryReading, language: Language) -> str:
    total = memory.vram_total_bytes or 0
    used = min(memory.vram_used_bytes or 0, total)
    model = min(memory.vram_model_bytes or 0, used)
    title = say("vram_title", language, model=gib(model), other=gib(used - model), total=gib(total))
    name = escape(memory.gpu_name or "")
    return (
        f'<span class="reading" title="{name}">{word("vram", language)} '
        f"<b>{gib(used)}</b> / {gib(total)} GiB</span>"
        f"{_meter(model / total, (used - model) / total, title)}"
        f'<span class="reading share">{word("model_share", language, value=gib(model))}</span>'
        f"{_value(memory.temperature_c, '°C', 'temperature', language)}"
        f"{_value(memory.power_w, 'W', 'power', language)}"
        f"{_load(memory.gpu_percent, 'gpu_load', language)}"
    )


def _no_gpu(memory: MemoryReading, language: Language) -> str:
    total = max(memory.ram_total_bytes, 1)
    used = min(memory.ram_used_bytes, total)
    process = min(memory.process_bytes, used)
    title = say(
        "ram_title", language, process=gib(process), other=gib(used - process), total=gib(total)
    )
    return (
        f'<span class="reading quiet">{word("no_gpu", language)}</span>'
        f'<span class="reading">{word("memory", language)} '
        f"<b>{gib(used)}</b> / {gib(total)} GiB</span>"
        f"{_meter(process / total, (used - process) / total, title)}"
        '<span class="reading share">'
        f"{word('process_share', language, value=gib(process))}</span>"
        f"{_load(memory.cpu_percent, 'cpu_load', language)}"
    )


def _meter(ours: float, others: float, title: str) -> str:
    words = escape(title)
    return (
        f'<span class="meter" role="img" title="{words}" aria-label="{words}">'
        f'<i class="ours" style="width:{ours * 100:.1f}%"></i>'
        f'<i class="others" style="width:{others * 100:.1f}%"></i></span>'
    )


def _value(value: float | None, unit: str, title: str, language: Language) -> str:
    if value is None:
        return ""
    words = word(title, language)
    return f'<span class="reading" title="{words}"><b>{value:.0f}</b> {unit}</span>'


def _load(value: float | None, key: str, language: Language) -> str:
    if value is None:
        return ""
    words = word("load", language)
    return (
        f'<span class="reading" title="{words}">{word(key, language, value=f"{value:.0f}")}</span>'
    )


def _last(usage: Usage | None, language: Language) -> str:
    if not usage or not usage.completion_tokens:
        return ""
    words = " · ".join(
        (
            say("speed", language, value=speed(usage)),
            say("first_token", language, seconds=f"{usage.first_token_s:.1f}"),
        )
    )
    title = word("last_answer", language)
    return f'<span class="reading last" title="{title}">{escape(words)}</span>'


def _next(forecast: Forecast | None, language: Language) -> str:
    """Return what the next question costs; it stands out only where there is no room for it."""
    if forecast is None:
        return ""
    words = say("next_question", language, tokens=f"{round(forecast.tokens, -2):,}")
    if forecast.bytes:
        words += f", +{memory_size(forecast.bytes)}"
    key = "next_fits" if forecast.fits else "next_does_not_fit"
    title = say("next_title", language, fits=say(key, language), window=f"{forecast.window:,}")
    kind = "quiet" if forecast.fits else "away"
    return f'<span class="reading {kind} next" title="{escape(title)}">{escape(words)}</span>'
