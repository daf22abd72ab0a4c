"""Below the list of documents: what was forgotten, and the index before the last rebuild.

Both are closed until they are asked for, and not there at all where there is nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from rag.text.messages import Language
from rag.types.documents import DocumentStatus
from ui.views import icon, word
from ui.words import say

if TYPE_CHECKING:
    from rag.storage.vectors.manager import KeptIndex


def forgotten_html(documents: Sequence[DocumentStatus], language: Language) -> str:
    """Return the forgotten files, each with a button that lets it in again."""
    forgotten = [document for document in documents if document.forgotten]
    if not forgotten:
        return ""
    rows = "".join(_forgotten_row(document.paths[0], language) for document in forgotten)
    title = word("forgotten_title", language)
    return _fold(
        "forgotten",
        f"{word('forgotten', language)} <small>{len(forgotten):,}</small>",
        f"<p>{title}</p><ul>{rows}</ul>",
    )


def _forgotten_row(path: str, language: Language) -> str:
    name = path.rpartition("/")[2]
    return (
        f'<li data-path="{escape(path)}" data-name="{escape(name)}">'
        f'<span title="{escape(path)}">{escape(name)}</span>'
        f'<button type="button" class="link" data-do="let-in" '
        f'aria-label="{word("let_in_name", language, name=name)}">'
        f"{word('let_in', language)}</button></li>"
    )


def kept_html(kept: KeptIndex | None, language: Language) -> str:
    """Return how the kept index was made, and the button that has it answer again."""
    if kept is None:
        return ""
    size = say("kept_size", language, tokens=kept.tokens) if kept.tokens else ""
    made = word(
        "kept_made",
        language,
        embedder=kept.embedder,
        date=time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.made_at)),
        passages=f"{kept.passages:,}",
        size=size,
    )
    change = word("kept_forth" if kept.newer else "kept_back", language)
    return _fold(
        "kept",
        word("kept_after" if kept.newer else "kept_before", language),
        f'<p>{made}</p><button type="button" class="link" data-do="change-index" '
        f'aria-expanded="false">{change}</button>'
        f'<div class="sure" role="group" hidden><p>{word("kept_sure", language)}</p>'
        f'<button type="button" data-do="change-index-now">{word("kept_yes", language)}</button>'
        f'<button type="button" data-do="change-index-not">{word("cancel", language)}</button>'
        "</div>",
    )


def _fold(key: str, summary: str, inside: str) -> str:
    return (
        f'<details data-fold="{key}"><summary>{icon("chevron")}<span>{summary}</span></summary>'
        f"{inside}</details>"
    )
