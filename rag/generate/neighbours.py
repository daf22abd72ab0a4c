"""Does a bare number stand beside the same thing? 18 credits are not the 18 of 18 months.

Only for numbers without a unit, scale or currency of their own: a small one stands on every
page for something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.generate.spans import Terms
from rag.text.quantities import Quantity

_NEXT = re.compile(r"[)\]]?[ -]?(?P<word>[A-Za-z]{2,}|[\u4e00-\u9fff])")
_BEFORE = re.compile(r"(?P<word>[A-Za-z]{2,}|[\u4e00-\u9fff])[ :：]?\Z")
_LITTLE = (
    "and or of in to for the by from with at on as is are was were per than over an its "
    "respectively 和 与 或 至 到 的 为 是 有 在 及 共 约 等"
)
_FUNCTION = frozenset(_LITTLE.split())
_WINDOW = 40  # characters; four of Chinese
_WINDOW_CHINESE = 4


def stands_beside(
    text: str, quantity: Quantity, place: str, found: Sequence[Quantity], terms: Terms
) -> bool:
    """Say whether one of the ``found`` numbers of ``place`` has the same neighbour.

    ``quantity`` stands in ``text``. True as well where it has no telling neighbour.
    """
    word = _neighbour(text, quantity)
    if not word:
        return True
    width = _WINDOW if word.isascii() else _WINDOW_CHINESE
    wanted = set(terms(word))
    for other in found:
        if other.value is None or quantity.value is None or abs(other.value) != abs(quantity.value):
            continue
        near = place[max(0, other.start - width) : other.end + width]
        if word in near or wanted & set(terms(near)):
            return True
    return False


def _neighbour(text: str, quantity: Quantity) -> str:
    after = _NEXT.match(text, quantity.end)
    if after and after["word"].casefold() not in _FUNCTION:
        return after["word"]
    before = _BEFORE.search(text, max(0, quantity.start - _WINDOW), quantity.start)
    if before and before["word"].casefold() not in _FUNCTION:
        return before["word"]
    return ""
