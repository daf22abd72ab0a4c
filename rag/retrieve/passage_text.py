"""What of a passage is embedded, and what is searched by its words.

Neither text is shown to anybody: the passage itself stays a slice of its document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from rag.retrieve.analyser import CJK
from rag.types.documents import Chunk

# A line break between two Chinese characters (or beside full-width punctuation) is an
# artefact of the page's width; kept, it becomes a token between the two and cuts the pair
# of characters that the lexical index would have made.
_WIDE = rf"{CJK}\u3001-\u303f\uff01-\uff65\u201c\u201d\u2018\u2019\u2014\u2026"
_BROKEN_LINE = re.compile(rf"(?<=[{_WIDE}])[ \t\u3000]*\n[ \t\u3000]*(?=[{_WIDE}])")
_TITLE_END = "\n"


def join_broken_lines(text: str) -> str:
    r"""Return ``text`` without the line breaks that stand inside Chinese sentences.

    >>> join_broken_lines("显存带\n宽很高\nHigh bandwidth")
    '显存带宽很高\nHigh bandwidth'
    """
    return _BROKEN_LINE.sub("", text)


def embedding_text(chunk: Chunk, *, limit: int, count: Callable[[str], int]) -> str:
    """Return the text to embed: the passage, after as much of what names it as there is room.

    ``limit`` is what the model takes and ``count`` counts as the model does, both in tokens
    with prefix and special tokens included. The passage itself is never cut. First the
    heading loses its outermost steps, because the innermost say most about the passage, then
    the header of its table goes.
    """
    body = join_broken_lines(chunk.text).strip()
    if chunk.context:
        table = f"{chunk.context}\n{body}"
        if count(table) <= limit:
            body = table
    steps = [step for step in chunk.heading.split(" › ") if step.strip()]
    while steps:
        text = f"{' › '.join(steps)}{_TITLE_END}{body}"
        if count(text) <= limit:
            return text
        steps.pop(0)
    return body


def lexical_text(chunk: Chunk) -> str:
    """Return the text whose words are indexed: heading, header of the table, passage."""
    parts = (chunk.heading, chunk.context, join_broken_lines(chunk.text))
    return _TITLE_END.join(part for part in parts if part)


def text_digest(text: str) -> bytes:
    """Return what tells an embedded text from all others: the sha256 of its UTF-8."""
    return hashlib.sha256(text.encode()).digest()
