"""Values as words, in both languages: every word of the screen stands in ``words.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

from rag.text.messages import LANGUAGES, Language, Text
from rag.text.sizes import file_size
from rag.types.answers import Passage, Usage
from rag.types.progress import Progress

WORDS = {
    key: Text(en, zh)
    for key, (en, zh) in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text("utf-8")
    ).items()
}
_SLOW = 10  # below ten a second, one digit more is worth showing
_UNITS = frozenset({"pages", "passages", "documents", "questions"})


def say(key: str, language: Language, **values: object) -> str:
    """Return the words for ``key`` in ``language``, braces filled with ``values``.

    With ``count=1`` the words for one are taken where there are such.

    >>> say("passages", "en", count=3), say("passages", "en", count=1)
    ('3 passages', '1 passage')
    """
    one = f"{key}_one" if values.get("count") == 1 else key
    words = WORDS.get(one, WORDS[key]).say(language)
    return words.format(**values) if values else words


def for_page() -> dict[str, dict[str, str]]:
    """Return every word by language, for the page's own script."""
    return {
        language: {key: text.say(language) for key, text in WORDS.items()} for language in LANGUAGES
    }


def share(progress: Progress) -> float | None:
    """Return how much is done, 0 to 1; ``None`` while the total is unknown."""
    return min(1.0, progress.done / progress.total) if progress.total else None


def progress_words(progress: Progress | None, language: Language) -> str:
    """Return how far it is.

    >>> progress_words(Progress("read", 37, 120, "pages", per_second=14.2), "en")
    '37 / 120 pages · 14 pages/s'
    >>> progress_words(Progress("download", 312_000_000, 1_117_000_000, "bytes"), "en")
    '312 MB / 1.12 GB · 28 %'
    """
    if not progress or not (progress.done or progress.total):
        return ""
    total, part = progress.total, share(progress)
    if progress.unit == "bytes":
        amount = file_size(progress.done) + (f" / {file_size(total)}" if total else "")
        percent = f"{part * 100:.0f} %" if part is not None else ""
        speed = f"{file_size(progress.per_second)}/s" if progress.per_second else ""
        return " · ".join(filter(None, (amount, percent, speed)))
    unit = say(f"unit_{progress.unit}", language) if progress.unit in _UNITS else progress.unit
    amount = f"{progress.done:,}" + (f" / {total:,}" if total else "")
    rate = _rate(progress.per_second)
    speed = say("per_second", language, value=rate, unit=unit) if progress.per_second else ""
    left = progress.minutes_left
    rest = say("minutes_left", language, value=left) if left else ""
    return " · ".join(filter(None, (f"{amount} {unit}".rstrip(), speed, rest)))


def stage_words(progress: Progress | None, language: Language) -> str:
    """Return what is being done; an unknown stage is named as it is."""
    if not progress:
        return ""
    key = f"stage_{progress.stage}"
    return say(key, language) if key in WORDS else progress.stage


def first_token(usage: Usage, language: Language) -> str:
    """Return how long the first token took."""
    return say("first_token", language, seconds=f"{usage.first_token_s:.1f}")


def speed(usage: Usage, language: Language) -> str:
    """Return tokens per second.

    >>> speed(Usage(completion_tokens=30, total_s=4.0), "en")
    '7.5 tokens/s'
    """
    return say("speed", language, value=_rate(usage.tokens_per_second))


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= _SLOW else f"{value:.1f}"


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
