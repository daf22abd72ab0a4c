"""Below an answer: why a sentence that stands in a document is not in it.

Closed until it is asked for. The page sends the sentence; what became of it is drawn here.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rag.text.messages import Language
from ui.screen import Turn
from ui.views.common import attribute, icon, word

if TYPE_CHECKING:
    from rag.answering.explain.values import Explanation, SentencePlace, Step


_SIGNS = {True: "✓", False: "✗", None: "·"}
_CLASSES = {True: "passed", False: "lost", None: "told"}
MAX_SENTENCE = 2000  # characters


def why_form_html(turn: Turn, language: Language) -> str:
    """Return the fold with the field for the sentence.

    Nothing where there is no answer, nor where documents were read whole: nothing was searched.
    """
    answer = turn.answer
    if answer is None or answer.finish == "cancelled" or answer.coverage is not None:
        return ""
    label = word("why_sentence", language)
    return (
        f'<details class="why" data-documents="{attribute(turn.documents)}">'
        f'<summary title="{word("why_title", language)}">{icon("chevron")}'
        f"<span>{word('why', language)}</span></summary>"
        f'<form autocomplete="off"><textarea name="sentence" rows="2" required dir="auto" '
        f'maxlength="{MAX_SENTENCE}" placeholder="{label}" aria-label="{label}"></textarea>'
        f'<button type="submit">{word("why_ask", language)}</button></form>'
        '<div class="found" role="status" aria-live="polite"></div></details>'
    )


def why_html(found: Explanation, language: Language) -> str:
    """Return what became of the sentence, what to do, and every stage on request."""
    outcome = found.outcome
    steps = "".join(_step_html(step, language) for step in found.steps)
    return (
        f"<p><b>{escape(outcome.what.say(language))}</b></p>"
        f"<p>→ {escape(outcome.remedy.say(language))}</p>"
        f"{_place_html(found.place, language) if found.place else ''}"
        f"<details><summary>{icon('chevron')}<span>{word('why_steps', language)}</span></summary>"
        f"<ol>{steps}</ol></details>"
    )


def _place_html(place: SentencePlace, language: Language) -> str:
    key = "why_place" if place.found else "why_nearest"
    where = word(key, language, document=place.document, page=place.page)
    return f'<p class="place">{where} <q dir="auto">{escape(" ".join(place.quote.split()))}</q></p>'


def _step_html(step: Step, language: Language) -> str:
    sign = f'<i aria-hidden="true">{_SIGNS[step.passed]}</i>'
    return f'<li class="{_CLASSES[step.passed]}">{sign}{escape(step.what.say(language))}</li>'
