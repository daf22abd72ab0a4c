"""Values into HTML: the templates of the screen, in which everything that is filled in is escaped.

A value that a template names and nobody gave is an error, not an empty place.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.ext import Extension

from rag.text.messages import LANGUAGES, Language
from rag.text.sizes import gib, memory_size
from ui.words import say, share

_BREAK = re.compile(r"(?<=[>}])\s*\n\s*|\s*\n\s*(?=[<{])")
_SAY = {language: partial(say, language=language) for language in LANGUAGES}


class LineBreaks(Extension):
    """Lets templates be written in lines: a break beside a tag or a block leaves no space.

    Between words that are drawn side by side a space would be seen. The break becomes a
    comment, so that errors name the right line; a template's own comments are one line each.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002  # Jinja's names
        """Return the template without white space that only its reader needs."""
        return _BREAK.sub(lambda found: f"{{#{chr(10) * found[0].count(chr(10))}#}}", source)


def render(template: str, language: Language, **values: object) -> str:
    """Return ``ui/templates/{template}.html`` filled with ``values``.

    In a template ``say(key, ...)`` gives words in ``language``.
    """
    made = _TEMPLATES.get_template(f"{template}.html")
    return made.render(values, say=_SAY[language], language=language)


def compact_json(value: object) -> str:
    """Return ``value`` as JSON for an attribute that a script reads."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # each is compiled once: a live answer is drawn anew with every token
        extensions=[LineBreaks],
    )
    made.filters |= {"json": compact_json, "share": share, "gib": gib, "memory_size": memory_size}
    return made


_TEMPLATES = _templates()
