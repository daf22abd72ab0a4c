"""Below the list of documents: what was forgotten, and the index before the last rebuild.

Both are closed until they are asked for, and not there at all where there is nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from rag.ingestion.passwords import LOCKED
from rag.text.messages import Language, Text
from rag.text.reasons import reason_text
from rag.types.documents import PAGE_STATES, SEARCHABLE, DocumentStatus
from rag.types.server_address import leaving
from ui.views.common import bar_html, icon, progress_words, stage_words, word
from ui.words import say

if TYPE_CHECKING:
    from rag.app.app import AppState
    from rag.ingestion.uploads import Added
    from rag.storage.vectors.manager import PreviousIndex
    from rag.types.server_address import Address


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


def kept_html(kept: PreviousIndex | None, language: Language) -> str:
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


LONG, TAIL = 24, 9  # characters
GROWING = "growing"  # the reason of a file that is still being copied
SHOWN = 300  # rows drawn at once; the rest is found by name


@dataclass(frozen=True, slots=True)
class DocumentList:
    """The list as shown: the rows that match, and the totals of everything."""

    html: str
    documents: int
    searchable: int
    pages: int


def library(
    documents: Sequence[DocumentStatus], *, find: str = "", language: Language
) -> DocumentList:
    """Return the rows of the documents whose name or path holds ``find``."""
    wanted = find.strip().casefold()
    documents = [d for d in documents if not d.forgotten]
    matching = [d for d in documents if not wanted or wanted in _names(d).casefold()]
    rows = "".join(_row(document, language) for document in matching[:SHOWN])
    if not documents:
        rows = f'<p class="none empty">{word("library_empty", language)}</p>'
    elif not matching:
        rows = f'<p class="none">{word("library_no_match", language)}</p>'
    elif len(matching) > SHOWN:
        more = say("library_more", language, count=f"{len(matching) - SHOWN:,}")
        rows += f'<p class="none">{escape(more)}</p>'
    return DocumentList(
        rows,
        len(documents),
        sum(document.searchable_pages for document in documents),
        sum(document.total_pages for document in documents),
    )


def totals_words(shown: DocumentList, language: Language) -> tuple[str, str]:
    """Return the totals as a short text and as a sentence."""
    values = {"done": f"{shown.searchable:,}", "total": f"{shown.pages:,}"}
    return (
        say("pages_searchable", language, **values),
        say("pages_searchable_title", language, **values),
    )


def name_of(document: DocumentStatus) -> str:
    """Return the file's name; a document without a path is named by its title."""
    return document.paths[0].rpartition("/")[2] if document.paths else document.title


def _name_html(name: str) -> str:
    """Return the name so that a long one loses its middle: volumes differ at their end."""
    if len(name) <= LONG:
        return f"<b>{escape(name)}</b>"
    return f"<b>{escape(name[:-TAIL])}</b><b class='tail'>{escape(name[-TAIL:])}</b>"


def _names(document: DocumentStatus) -> str:
    return "\n".join((*document.paths, document.title))


def _row(document: DocumentStatus, language: Language) -> str:
    failed = document.state == "failed"
    lacking = document.searchable_pages < document.total_pages
    state = "failed" if failed else "partial" if lacking else "ready"
    waiting = document.reason == GROWING
    count = (
        say("state_waiting" if waiting else "state_failed", language)
        if failed
        else f"{document.searchable_pages:,}/{document.total_pages:,}"
    )
    name = escape(name_of(document))
    hover = escape("\n".join((*document.paths, _pages_words(document, language))).strip())
    pick = (
        f'<button type="button" class="pick" role="checkbox" aria-checked="false" '
        f'title="{hover}"{" disabled" if failed else ""}><i class="box"></i>'
        f"{_name_html(name_of(document))}</button>"
    )
    why = _why(document, language)
    reason = escape(reason_text(document.reason, language))
    if why:
        label = word("why", language)
        count_html = (
            f'<button type="button" class="why" aria-expanded="{"true" if failed else "false"}" '
            f'title="{label} {reason}" data-do="why">{escape(count)}</button>'
        )
    else:
        count_html = f"<small>{escape(count)}</small>"
    return (
        f'<div class="row {state}" data-id="{escape(document.id)}" '
        f'data-pages="{document.total_pages}" data-name="{name}" '
        f'data-path="{escape(document.paths[0] if document.paths else "")}">{pick}{count_html}{why}'
        f"{_unlock_html(document, language)}{_forget_html(document, language)}</div>"
    )


def _forget_html(document: DocumentStatus, language: Language) -> str:
    """Return the button that takes a document out; what has no content yet has none."""
    if not document.id:
        return ""
    label = word("forget", language, name=name_of(document))
    return (
        f'<button type="button" class="tool forget" data-do="forget" aria-label="{label}" '
        f'title="{word("forget_title", language)}">{icon("close")}</button>'
    )


def _unlock_html(document: DocumentStatus, language: Language) -> str:
    """Return the field for a document that needs a password."""
    if document.reason not in LOCKED:
        return ""
    label = word("password", language)
    return (
        '<form class="unlock" autocomplete="off"><input type="password" name="password" required '
        f'maxlength="500" autocomplete="off" aria-label="{label}" placeholder="{label}">'
        f'<button type="submit">{word("unlock", language)}</button>'
        f'<label><input type="checkbox" name="remember">{word("remember", language)}</label>'
        '<output role="alert"></output></form>'
    )


def _why(document: DocumentStatus, language: Language) -> str:
    """Return what became of the pages and why; failed documents show it at once."""
    parts = []
    if document.reason:
        parts.append(reason_text(document.reason, language))
    if document.state != "failed" and document.searchable_pages < document.total_pages:
        parts.append(_pages_words(document, language))
    if document.alike:
        parts.append(say("alike", language, names=", ".join(document.alike)))
    if not parts:
        return ""
    hidden = "" if document.state == "failed" else " hidden"
    return f'<p class="reason"{hidden}>{"<br>".join(map(escape, parts))}</p>'


def _pages_words(document: DocumentStatus, language: Language) -> str:
    states = [s for s in PAGE_STATES if document.pages.get(s) and (s != "text" or _mixed(document))]
    words = [say(f"left_{state}", language, count=document.pages[state]) for state in states]
    also = document.paths[1:]
    if also:
        words.append(say("also_at", language, paths=", ".join(also)))
    return " ".join(words)


def _mixed(document: DocumentStatus) -> bool:
    return any(count and state not in SEARCHABLE for state, count in document.pages.items())


def sync_html(state: AppState, language: Language) -> str:
    """Return what a running sync does and how far it is; what failed says why."""
    failed = "".join(_warning(failure, language) for failure in state.failures)
    progress = state.sync_progress
    if progress is None:
        warning = _warning(state.sync_note, language) if state.sync_note else ""
        return failed + warning + _stale_html(state, language)
    item = f'<span class="item">{escape(progress.item)}</span>' if progress.item else ""
    return (
        f'{failed}<div class="sync" role="status">'
        f"<b>{escape(stage_words(progress, language))}</b>{item}"
        f'<span class="amount">{escape(progress_words(progress, language))}</span>'
        f"{bar_html(progress)}</div>"
    )


def _warning(words: Text, language: Language) -> str:
    return f'<p class="warn" role="alert">{escape(words.say(language))}</p>'


def _stale_html(state: AppState, language: Language) -> str:
    """Return what a rebuild would mend, what it costs, and the button that begins it."""
    if state.stale is None:
        return ""
    return (
        f'<p class="stale" role="status">{escape(state.stale.say(language))} '
        f'<button type="button" class="link" data-do="rebuild" '
        f'title="{word("rebuild_title", language)}">'
        f"{word('rebuild', language)}</button></p>"
    )


def added_html(added: Sequence[Added], language: Language) -> str:
    """Return what became of each file that was dropped."""
    if not added:
        return ""
    items = "".join(_added_item(one, language) for one in added)
    close = word("dismiss", language)
    return (
        f'<div class="added" role="status"><ul>{items}</ul>'
        '<button type="button" class="tool" data-do="dismiss" '
        f'aria-label="{close}" title="{close}">{icon("close")}</button></div>'
    )


def _added_item(one: Added, language: Language) -> str:
    kind = "no" if one.path is None else "yes"
    words = one.note.say(language) if one.note else say("added", language, name=one.name)
    return f'<li class="{kind}">{escape(words)}</li>'


def landing_html(folder: Path, language: Language, server: Address | None = None) -> str:
    """Return where dropped files go, and what of them goes to the server that answers."""
    name = f'<b title="{escape(str(folder.absolute()))}">{escape(folder.name or str(folder))}</b>'
    away = leaving(server) if server else None
    words = say("where_files_go" if away else "where_files_land", language)
    before, _, after = words.partition("{folder}")
    after = after.replace("{leaving}", away.say(language) if away else "")
    return f"<p>{escape(before)}{name}{escape(after)}</p>"
