"""Reading whole documents as HTML: how far it is, what was read, what is offered."""

from __future__ import annotations

from html import escape

from rag.text.messages import Language
from rag.types.answers import Coverage, Offer, ReadingProgress
from rag.types.progress import Progress
from ui.views.common import bar_html, word
from ui.words import say

_NAMED = 3  # documents named in a line; the rest are counted
_MINUTE = 60


def reading_html(reading: ReadingProgress, share: float, language: Language) -> str:
    """Return what is being read and how far that is; ``share`` is of the last prompt."""
    coverage = reading.coverage
    if reading.step != "read":
        words = word(f"reading_{reading.step}", language)
        if not share:
            return words + _documents_html(coverage, language)
        done = Progress("read", round(100 * share), 100)
        return f'{words}<span class="amount">{done.done} %</span>{bar_html(done)}'
    words = word("reading_whole", language, done=f"{coverage.read:,}", total=f"{coverage.of:,}")
    left = reading.seconds_left
    time = f'<span class="amount">{_time(left, language)}</span>' if left else ""
    return (
        f"{words}{time}{bar_html(Progress('read', coverage.read, coverage.of))}"
        f"{_documents_html(coverage, language)}"
    )


def coverage_html(coverage: Coverage, language: Language) -> str:
    """Return, below an answer, how much of what was read."""
    words = word("coverage", language, done=f"{coverage.read:,}", total=f"{coverage.of:,}")
    return f'<p class="coverage">{words}{_documents_html(coverage, language)}</p>'


def offer_html(offer: Offer, question: str, language: Language) -> str:
    """Return what reading everything would take, and the button that asks for it."""
    words = word(
        "offer", language, passages=f"{offer.passages:,}", pages=f"{offer.pages:,}"
    )  # fmt: skip
    time = f" · {_time(offer.seconds, language)}" if offer.seconds is not None else ""
    return (
        f'<p class="offer">{words}{time} <button type="button" class="link" data-do="read-all" '
        f'data-question="{escape(question)}">{word("offer_yes", language)}</button></p>'
    )


def _documents_html(coverage: Coverage, language: Language) -> str:
    names = ", ".join(coverage.documents[:_NAMED])
    if len(coverage.documents) > _NAMED:
        names = say("and_more", language, names=names, count=len(coverage.documents) - _NAMED)
    left = (
        f" · {say('not_read', language, count=coverage.left_out)}" if coverage.left_out else ""
    )  # fmt: skip
    return f'<span class="read-from">{escape(names + left)}</span>'


def _time(seconds: float, language: Language) -> str:
    minutes = round(seconds / _MINUTE)
    key = "time_minutes" if minutes else "time_short"
    return word(key, language, value=minutes)
