"""How PDFium's characters become a page's text, and the way back to where they stand.

PDFium ends lines with CR LF, marks a word it saw broken at a line end with U+FFFE or U+0002,
and may return NULs. A page's text drops those, and joins such words. ``kept`` gives, for
each character of the text, its index in what PDFium returned: that link, and never a second
search, leads from an offset to a box.
"""

from __future__ import annotations

import re

# a hyphen PDFium marked as a line-end break, with the line end; stray marks; CR; NUL;
# lone surrogates, which no later stage could encode
_DROPPED = re.compile("[\ufffe\x02]\r?\n|[\ufffe\uffff\x02\r\x00\ud800-\udfff]")


def clean(raw: str) -> str:
    r"""Return the page's text for what PDFium returned.

    >>> clean("infor\ufffe\r\nmation\r\nnext")
    'information\nnext'
    """
    return _DROPPED.sub("", raw).rstrip()


def kept(raw: str) -> list[int]:
    r"""Return for each character of ``clean(raw)`` its index in ``raw``.

    >>> kept("a\r\nb")
    [0, 2, 3]
    """
    indices: list[int] = []
    at = 0
    for match in _DROPPED.finditer(raw):
        indices.extend(range(at, match.start()))
        at = match.end()
    indices.extend(range(at, len(raw)))
    return indices[: len(clean(raw))]
