"""Values as words: what all rooms share."""

from __future__ import annotations

from rag.text.messages import Language
from rag.text.sizes import file_size
from rag.types.answers import Passage
from rag.types.progress import Progress
from ui.render import share
from ui.words import say

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
