"""The left room: the documents, what is done with them, what was forgotten, the kept index.

Both are closed until they are asked for, and not there at all where there is nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.ingestion.passwords import LOCKED
from rag.text.messages import Language
from rag.text.reasons import reason_text
from rag.types.documents import PAGE_STATES, SEARCHABLE, DocumentStatus
from rag.types.server_address import leaving
from ui.render import render
from ui.words import progress_words, say, stage_words

if TYPE_CHECKING:
    from rag.app.app import AppState
    from rag.ingestion.uploads import Added
    from rag.storage.vectors.manager import PreviousIndex
    from rag.types.server_address import Address

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
    rows = [_row(document, language) for document in matching[:SHOWN]]
    more = len(matching) - len(rows)
    return DocumentList(
        render("library", language, rows=rows, more=more, documents=len(documents)),
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


def forgotten_html(documents: Sequence[DocumentStatus], language: Language) -> str:
    """Return the forgotten files, each with a button that lets it in again."""
    paths = [document.paths[0] for document in documents if document.forgotten]
    return render("forgotten", language, files=[(path, _file_name(path)) for path in paths])


def kept_html(kept: PreviousIndex | None, language: Language) -> str:
    """Return how the kept index was made, and the button that has it answer again."""
    if kept is None:
        return ""
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.made_at))
    size = say("kept_size", language, tokens=kept.tokens) if kept.tokens else ""
    return render("kept", language, kept=kept, made=made, size=size)


def sync_html(state: AppState, language: Language) -> str:
    """Return what a running sync does and how far it is; what failed says why."""
    stage = stage_words(state.sync_progress, language)
    amount = progress_words(state.sync_progress, language)
    return render("sync", language, state=state, stage=stage, amount=amount)


def added_html(added: Sequence[Added], language: Language) -> str:
    """Return what became of each file that was dropped."""
    return render("added", language, added=added)


def landing_html(folder: Path, language: Language, server: Address | None = None) -> str:
    """Return where dropped files go, and what of them goes to the server that answers."""
    away = leaving(server) if server else None
    words = say("where_files_go" if away else "where_files_land", language)
    before, _, after = words.partition("{folder}")
    after = after.replace("{leaving}", away.say(language) if away else "")
    return render("landing", language, folder=folder, before=before, after=after)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _names(document: DocumentStatus) -> str:
    return "\n".join((*document.paths, document.title))


def _row(document: DocumentStatus, language: Language) -> dict[str, object]:
    name = _file_name(document.paths[0]) if document.paths else document.title
    cut = len(name) - TAIL if len(name) > LONG else len(name)  # volumes differ at their end
    failed = document.state == "failed"
    lacking = document.searchable_pages < document.total_pages
    count = f"{document.searchable_pages:,}/{document.total_pages:,}"
    if failed:
        count = say("state_waiting" if document.reason == GROWING else "state_failed", language)
    return {
        "document": document,
        "state": "failed" if failed else "partial" if lacking else "ready",
        "name": name,
        "name_start": name[:cut],
        "name_end": name[cut:],
        "hover": "\n".join((*document.paths, _pages_words(document, language))).strip(),
        "count": count,
        "reason": reason_text(document.reason, language),
        "why": _why(document, language),
        "locked": document.reason in LOCKED,
    }


def _why(document: DocumentStatus, language: Language) -> list[str]:
    """Return what became of the pages and why."""
    parts = []
    if document.reason:
        parts.append(reason_text(document.reason, language))
    if document.state != "failed" and document.searchable_pages < document.total_pages:
        parts.append(_pages_words(document, language))
    if document.alike:
        parts.append(say("alike", language, names=", ".join(document.alike)))
    return parts


def _pages_words(document: DocumentStatus, language: Language) -> str:
    states = [s for s in PAGE_STATES if document.pages.get(s) and (s != "text" or _mixed(document))]
    words = [say(f"left_{state}", language, count=document.pages[state]) for state in states]
    also = document.paths[1:]
    if also:
        words.append(say("also_at", language, paths=", ".join(also)))
    return " ".join(words)


def _mixed(document: DocumentStatus) -> bool:
    return any(count and state not in SEARCHABLE for state, count in document.pages.items())
