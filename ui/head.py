"""Scripts, styles and the icon: where they are, and the tags that load them."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.staticfiles import StaticFiles

from rag.text.messages import LANGUAGES
from ui.words import WORDS

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
