"""Quantities as index terms, so that search finds them however they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.text.quantities.find import half_width, quantities
from rag.text.quantities.values import Quantity

_SHORT_SCALE = re.compile(r"[0-9][ ]?[kmbt]\Z")
_MANY = 10  # smaller numbers, spelled out, stand everywhere and find nothing


def quantity_terms(text: str) -> list[str]:
    """Return one spelling of each quantity that words alone would not bring together, in order.

    Plain figures, such as 1,234 and 25%, and years are left to whoever cuts the text into
    words; what is returned meets those words: 320 million gives ``320000000``, 百分之二十五
    gives ``25%``, 二〇一八年 gives ``2018``. Of a date only year and month are returned, and of
    fiscal years nothing else: a term that only some passages on a year have outweighs the words
    of the question (docs/decisions.md, "Quantities as words"). A figure with one letter
    behind it is a quantity only beside a currency; 3M is a company.

    >>> quantity_terms("3.2亿 in March 2018, twelve months, 25 percent, 3M, $3M")
    ['320000000', '2018-03', '12', '25%', '3000000']
    """
    found: list[str] = []
    for quantity in quantities(text):
        written = half_width(text[quantity.start : quantity.end]).replace(",", "").lower()
        found.extend(term for term in _terms(quantity, written) if term not in written)
    return found


def _terms(quantity: Quantity, written: str) -> Iterator[str]:
    value, date = quantity.value, quantity.date
    if value is not None:
        lettered = _SHORT_SCALE.search(written) and not quantity.unit
        if not lettered and (abs(value) >= _MANY or quantity.unit == "%"):
            yield f"{abs(value).normalize():f}{'%' if quantity.unit == '%' else ''}"
    elif date is not None and date.year:
        yield f"{date.year:04}-{date.month:02}" if date.month else f"{date.year:04}"
