"""What stands on the page before any value: scripts, styles, the icon, fixed parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from starlette.staticfiles import StaticFiles

from rag.text.messages import LANGUAGES
from ui.render import render
from ui.words import WORDS

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    *("words.js", "assets/state.js", "assets/evidence.js", "assets/library.js"),
    *("assets/forget.js", "assets/chat.js", "assets/ahead.js", "assets/reading.js"),
    *("assets/why.js", "assets/chats.js", "assets/machine.js"),
)
STYLES = (
    *("style.css", "rooms.css", "library.css", "chat.css", "why.css", "evidence.css"),
    *("chats.css", "machine.css"),
)


def assets() -> StaticFiles:
    """Return what serves scripts, styles and the icon."""
    return StaticFiles(directory=ASSETS)


def frame_html(room: Literal["brand", "library", "top", "evidence", "strip"]) -> str:
    """Return the fixed parts of a room; a script puts words and values into them."""
    return render(f"page/{room}", "en")


def skeleton_html() -> str:
    """Return the empty rooms."""
    return render("page/skeleton", "en", words=_opening_words())


def head_html(language: str) -> str:
    """Return the tags for the top of the page; ``language`` is ``auto``, ``en`` or ``zh``."""
    return render("page/head", "en", scripts=SCRIPTS, **_head(language))


def opening_html(language: str) -> str:
    """Return the page that waits for the real one: theme, language and empty rooms."""
    return render("page/opening", "en", scripts=(), words=_opening_words(), **_head(language))


def _head(language: str) -> dict[str, object]:
    stamp = max(int(file.stat().st_mtime) for file in ASSETS.iterdir())
    return {"settings": {"language": language}, "styles": STYLES, "stamp": stamp}


def _opening_words() -> dict[str, str]:
    return {name: WORDS["opening"].say(name) for name in LANGUAGES}
