"""What stands on the page before any value: scripts, styles, the icon, fixed parts."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.staticfiles import StaticFiles

from rag.text.messages import LANGUAGES
from ui.views.common import icon
from ui.words import WORDS


def _tool(do: str, words: str, drawing: str) -> str:
    return (
        f'<button type="button" class="tool {do}" data-do="{do}" data-word-title="{words}">'
        f"{icon(drawing)}</button>"
    )


BRAND = '<div class="brand"><i class="logo"></i>RAG Desk</div>'

LIBRARY = (
    '<div class="room-line"><h2 data-word="documents"></h2><span id="totals"></span></div>'
    '<div id="sync"></div><div id="notes" role="status"></div>'
    '<input id="find" type="search" autocomplete="off" spellcheck="false" hidden '
    'data-word-placeholder="find_document">'
    '<div id="library-list" role="group" data-word-title="pick_title"></div>'
    '<div id="library-more"></div>'
    '<section id="chats" hidden><div class="room-line"><h2 data-word="chats"></h2></div>'
    '<div id="chat-list"></div></section>'
)

TOP = (
    f'<div class="top">{_tool("open-library", "documents", "menu")}'
    '<h1 id="title" data-word="new_chat"></h1>'
    '<button type="button" id="scope" class="chip" data-do="all-documents">'
    f"<span></span>{icon('close')}</button>"
    '<button type="button" id="mode" class="chip" data-do="mode" data-word="mode_auto"></button>'
    f'<button type="button" class="chip open-evidence" data-do="open-evidence">{icon("page")}'
    '<span data-word="evidence"></span></button></div>'
)

EVIDENCE = (
    '<header class="room-head"><h2 data-word="evidence"></h2><span id="evidence-summary"></span>'
    f"{_tool('close-evidence', 'close', 'close')}</header>"
    '<div id="evidence-list"></div>'
    '<p id="evidence-none" data-word="evidence_none"></p>'
    '<section id="viewer" hidden><div id="viewer-scroll"><div id="viewer-page"></div></div>'
    f'<nav id="viewer-bar">{_tool("prev", "prev", "left")}<span id="viewer-where"></span>'
    f'{_tool("next", "next", "right")}<span class="gap"></span>'
    f"{_tool('zoom-out', 'zoom_out', 'minus')}{_tool('zoom-fit', 'zoom_fit', 'fit')}"
    f"{_tool('zoom-in', 'zoom_in', 'plus')}</nav></section>"
)

STRIP = (
    '<div class="strip"><div id="strip-readings"></div>'
    '<button type="button" class="language" data-do="language" data-word="language_short" '
    'data-word-title="language"></button>'
    f"{_tool('machine', 'machine', 'machine')}{_tool('theme', 'theme', 'theme')}</div>"
    '<aside id="machine" data-word-title="machine" hidden>'
    '<header><h2 data-word="machine"></h2>'
    f"{_tool('close-machine', 'machine_close', 'close')}</header>"
    '<div id="machine-body"></div><div class="m-foot"><span id="machine-said" role="status"></span>'
    '<button type="button" data-do="machine-report" data-word="machine_report"></button>'
    "</div></aside>"
    '<div id="banner" role="alert" hidden></div><div id="drop" hidden><b></b></div>'
)


ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    *("words.js", "state.js", "evidence.js", "library.js"),
    *("forget.js", "chat.js", "ahead.js", "reading.js", "why.js", "chats.js", "machine.js"),
)
STYLES = (
    "style.css",
    "rooms.css",
    "library.css",
    "chat.css",
    "why.css",
    "evidence.css",
    "chats.css",
    "machine.css",
)


def assets() -> StaticFiles:
    """Return what serves scripts, styles and the icon."""
    return StaticFiles(directory=ASSETS)


def skeleton_html() -> str:
    """Return the empty rooms; they vanish as soon as the real ones are on the page."""
    words = json.dumps({name: WORDS["opening"].say(name) for name in LANGUAGES})
    return (
        '<div class="opening"><aside></aside><main><i class="logo"></i><p role="status"></p></main>'
        "<section></section><footer></footer></div>"
        f'<script>document.querySelector(".opening p").textContent = {words}'
        "[document.documentElement.dataset.language];</script>"
    )


def head_html(language: str, *, scripts: bool = True) -> str:
    """Return the tags for the top of the page.

    ``language`` is ``auto``, ``en`` or ``zh``. Without ``scripts`` only theme and language are
    set.
    """
    stamp = max(int(file.stat().st_mtime) for file in ASSETS.iterdir())
    settings = json.dumps({"language": language})
    styles = "".join(
        f'<link rel="stylesheet" href="/desk/assets/{name}?{stamp}">' for name in STYLES
    )
    sources = [
        "/desk/words.js" if name == "words.js" else f"/desk/assets/{name}" for name in SCRIPTS
    ]
    rest = "".join(f'<script defer src="{source}?{stamp}"></script>' for source in sources)
    return (
        '<link rel="icon" href="/desk/assets/icon.svg" type="image/svg+xml">'
        f"<script>window.ragdeskSettings = {settings};</script>"
        f'<script src="/desk/assets/first.js?{stamp}"></script>{styles}{rest if scripts else ""}'
    )
