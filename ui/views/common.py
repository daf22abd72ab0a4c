"""Values as words and HTML: what all rooms share. Everything that is not ours is escaped."""

from __future__ import annotations

import json
from html import escape

from rag.text.messages import Language
from rag.text.sizes import file_size
from rag.types.answers import Passage
from rag.types.progress import Progress
from ui.words import say

ICONS = {
    "copy": "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
    "send": "M8 13V3M3.5 7.5 8 3l4.5 4.5",
    "close": "M4 4l8 8M12 4l-8 8",
    "chevron": "M6 4l4 4-4 4",
    "left": "M10 3 5 8l5 5",
    "right": "M6 3l5 5-5 5",
    "plus": "M8 3v10M3 8h10",
    "minus": "M3 8h10",
    "fit": "M2.5 5V2.5H5M11 2.5h2.5V5M13.5 11v2.5H11M5 13.5H2.5V11",
    "theme": "M8 2.5a5.5 5.5 0 1 0 0 11ZM8 2.5a5.5 5.5 0 0 1 0 11",
    "menu": "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
    "machine": "M1.5 8.5h3l2-5.5 3 10 2-4.5h3",
    "page": "M4 1.5h5.5L13 5v9.5H4ZM9.5 1.5V5H13",
}


def icon(name: str) -> str:
    """Return a 16-pixel line drawing that takes the colour of the text around it."""
    return f'<svg class="i" viewBox="0 0 16 16" aria-hidden="true"><path d="{ICONS[name]}"/></svg>'


def word(key: str, language: Language, **values: object) -> str:
    """Return the words for ``key``, escaped: a value filled in may come from a document."""
    return escape(say(key, language, **values), quote=True)


def attribute(value: object) -> str:
    """Return ``value`` as JSON inside a quoted attribute."""
    return escape(json.dumps(value, ensure_ascii=False, separators=(",", ":")), quote=True)


def share(progress: Progress) -> float | None:
    """Return how much is done, 0 to 1; ``None`` while the total is unknown."""
    return min(1.0, progress.done / progress.total) if progress.total else None


def bar_html(progress: Progress) -> str:
    """Return a bar; without a total it shows that something happens, not how much."""
    part = share(progress)
    if part is None:
        return '<div class="bar unknown"><i></i></div>'
    return f'<div class="bar"><i style="width:{part * 100:.1f}%"></i></div>'


SLOW = 10  # below ten a second, one digit more is worth showing
KNOWN_UNITS = frozenset({"pages", "passages", "documents", "questions"})
KNOWN_STAGES = frozenset(
    {"scan", "read", "ocr", "embed", "write", "check", "download", "verify", "load"}
)


def progress_words(progress: Progress, language: Language) -> str:
    """Return how far it is.

    >>> progress_words(Progress("read", 37, 120, "pages", per_second=14.2), "en")
    '37 / 120 pages · 14 pages/s'
    >>> progress_words(Progress("download", 312_000_000, 1_117_000_000, "bytes"), "en")
    '312 MB / 1.12 GB · 28 %'
    """
    if not (progress.done or progress.total):
        return ""
    total, part = progress.total, share(progress)
    if progress.unit == "bytes":
        amount = file_size(progress.done) + (f" / {file_size(total)}" if total else "")
        percent = f"{part * 100:.0f} %" if part is not None else ""
        speed = f"{file_size(progress.per_second)}/s" if progress.per_second else ""
        return " · ".join(filter(None, (amount, percent, speed)))
    unit = say(f"unit_{progress.unit}", language) if progress.unit in KNOWN_UNITS else progress.unit
    amount = f"{progress.done:,}" + (f" / {total:,}" if total else "")
    rate = (
        f"{progress.per_second:.0f}"
        if progress.per_second >= SLOW
        else f"{progress.per_second:.1f}"
    )
    speed = say("per_second", language, value=rate, unit=unit) if progress.per_second else ""
    left = progress.minutes_left
    rest = say("minutes_left", language, value=left) if left else ""
    return " · ".join(filter(None, (f"{amount} {unit}".rstrip(), speed, rest)))


def stage_words(progress: Progress, language: Language) -> str:
    """Return what is being done; an unknown stage is named as it is."""
    known = progress.stage in KNOWN_STAGES
    return say(f"stage_{progress.stage}", language) if known else progress.stage


def page_words(passage: Passage, language: Language) -> str:
    """Return the page as printed, and the physical one where that differs.

    The printed label alone would lead astray in a viewer, the physical number alone on paper.
    """
    chunk = passage.chunk
    physical = (
        say("pdf_page", language, number=chunk.first_page)
        if chunk.first_page == chunk.last_page
        else say("pdf_pages", language, first=chunk.first_page, last=chunk.last_page)
    )
    if not passage.label or passage.label == str(chunk.first_page):
        return physical
    return f"{say('page_label', language, label=passage.label)} · {physical}"
