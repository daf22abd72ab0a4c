"""Quantities as index terms, so that search finds them however they are written."""

from __future__ import annotations

from collections.abc import Iterator

from rag.quantities.find import half_width, quantities
from rag.quantities.values import Day, Quantity


def quantity_terms(text: str) -> list[str]:
    """Return one spelling of each quantity that words alone would not bring together, in order.

    Plain figures, such as 1,234 and 25%, and the years of dates that spell them out are left
    to whoever cuts the text into words; what is returned meets those words: 320 million gives
    ``320000000``, 百分之二十五 gives ``25%``, FY18 gives ``fy2018`` and ``2018``.

    >>> quantity_terms("3.2亿 in March 2018, twelve months, 25 percent")
    ['320000000', '2018-03', '12', '25%']
    """
    found: list[str] = []
    for quantity in quantities(text):
        written = half_width(text[quantity.start : quantity.end]).replace(",", "").lower()
        found.extend(term for term in _terms(quantity) if term not in written)
    return found


def _terms(quantity: Quantity) -> Iterator[str]:
    if quantity.value is not None:
        number = f"{abs(quantity.value).normalize():f}"
        yield f"{number}%" if quantity.unit == "%" else number
    elif quantity.date is not None:
        yield from _date_terms(quantity.date)


def _date_terms(date: Day) -> Iterator[str]:
    year = f"{date.year:04}" if date.year else ""
    if year:
        yield year
    if date.fiscal:
        yield f"fy{year}"
    if date.part and year:
        yield f"{year}{date.part}"
    if date.month and year:
        yield f"{year}-{date.month:02}"
    if date.month and date.day:
        day = f"{date.month:02}-{date.day:02}"
        yield f"{year}-{day}" if year else day
