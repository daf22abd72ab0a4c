"""Does a quantity of one text stand in another, and if not, what is different?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

from rag.text.quantities.find import half_width, quantities
from rag.text.quantities.units import COUNTS, MONEY, Day, Quantity, alike, base_of, units_in

Difference = Literal["absent", "unit", "scale"]

TOLERANCE = Decimal("0.01")
"""How far "about 1.2 billion" and a rounded figure may be from what stands there."""
_PERCENT = frozenset({"%", "pp", "bp"})
_ZH_SCALES = "百万|千万|十亿|万亿|千|万|亿|百萬|千萬|十億|萬億|萬|億"
_SCALE = re.compile(  # IN THOUSANDS, (Millions, except per share), (RMB million), $m, （百万元）
    r"\b(?P<en>thousand|million|billion)s\b|(?P<noughts>['’]?000)s?\b(?!,)"
    r"|[(（](?:[^\s()（）\d]{1,12}\s){0,3}(?P<one>thousand|million|billion)[)）]"
    r"|[$€£¥]\s?(?P<letter>mm|mn|bn|[mkb])\b"
    rf"|(?:单位|單位|金额|金額)[^\n]{{0,12}}?(?P<unit>{_ZH_SCALES})"
    rf"|[(（]以?(?:人民币|人民幣|单位：?)?(?P<zh>{_ZH_SCALES})[^\s()（）]{{0,4}}[)）]",
    re.IGNORECASE,
)
_POWERS = {
    "thousand": 3, "million": 6, "billion": 9, "m": 6, "k": 3, "b": 9, "mm": 6, "mn": 6, "bn": 9,
    "千": 3, "万": 4, "萬": 4, "百万": 6, "百萬": 6, "千万": 7, "千萬": 7, "亿": 8, "億": 8,
    "十亿": 9, "十億": 9, "万亿": 12, "萬億": 12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """A quantity that does not stand where it was looked for."""

    quantity: Quantity
    difference: Difference  # unit and scale: its digits do, with another one


@dataclass(frozen=True)  # no slots: what is worked out on demand is kept
class Place:
    """A text in which quantities are looked for.

    Figures have to stand in the text itself, dates there or in its ``header``, and units and
    scales may be named by all that is ``around`` it.
    """

    text: str
    header: str = ""
    around: str = ""

    @property
    def _all(self) -> str:
        return f"{self.text}\n{self.header}\n{self.around}"

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """What stands in the text itself."""
        return quantities(" ".join(self.text.split()))

    @cached_property
    def dates(self) -> tuple[Day, ...]:
        """The dates of the text and of its header, in all readings."""
        found = (*self.quantities, *quantities(self.header))
        return tuple(date for q in found for date in (q.date, q.other) if date)

    @cached_property
    def units(self) -> frozenset[str]:
        """The units named anywhere, as in a table's header."""
        return units_in(half_width(self._all))

    @cached_property
    def scales(self) -> frozenset[int]:
        """The powers of ten that a header gives to figures without a scale of their own."""
        return frozenset(_powers(self._all))

    @cached_property
    def years(self) -> frozenset[int]:
        """The years of all dates."""
        return frozenset(date.year for date in self.dates if date.year)


def gaps(wanted: Iterable[Quantity], place: Place) -> tuple[Gap, ...]:
    """Return the quantities that do not stand at ``place``, and how they differ.

    Figures may be rounded: to the digits given if a scale or decimals are given, or anyhow
    after "about", but never by more than 1 %. A figure without a scale takes that of the
    table's header; a table's cell may leave its unit to the header.

    >>> place = Place("Revenue (in millions) 1,197 in 2018; range 45 km")
    >>> [gap.difference for gap in gaps(quantities("$1.2 billion in 2018, 45 miles"), place)]
    ['unit']
    """
    found = []
    for quantity in wanted:
        difference = _difference(quantity, place)
        if difference:
            found.append(Gap(quantity, difference))
    return tuple(found)


def _powers(text: str) -> Iterator[int]:
    for match in _SCALE.finditer(text):
        if match["noughts"]:
            yield 3
        else:
            yield _POWERS[match[str(match.lastgroup)].lower()]


def _difference(wanted: Quantity, place: Place) -> Difference | None:
    if wanted.code:
        return None if any(q.code == wanted.code for q in place.quantities) else "absent"
    if wanted.date is not None and _stands(wanted, place):
        return None
    if wanted.value is None:
        return "absent"
    differences = set()
    for found in place.quantities:
        difference = _compared(wanted, found, place)
        if difference == "same":
            return None
        differences.add(difference)
    return "unit" if "unit" in differences else "scale" if "scale" in differences else "absent"


def _stands(wanted: Quantity, place: Place) -> bool:
    """Say whether a date stands there, perhaps with its year in another cell."""
    asked = [date for date in (wanted.date, wanted.other) if date]
    return any(_holds(date, one, place.years) for date in place.dates for one in asked)


def _holds(date: Day, wanted: Day, years: frozenset[int]) -> bool:
    if date.holds(wanted):
        return True
    elsewhere = not date.year and wanted.year in years and (wanted.month or wanted.part)
    return bool(elsewhere) and date.holds(wanted._replace(year=0))


def _compared(
    wanted: Quantity, found: Quantity, place: Place
) -> Literal["same", "unit", "scale", "other"]:
    if wanted.value is None or found.value is None or (wanted.value < 0 < found.value):
        return "other"
    one, other = abs(wanted.value), abs(found.value)
    same_unit = _same_unit(wanted.unit, found.unit, place)
    if wanted.unit and found.unit and not same_unit:
        (base, factor), (its_base, its_factor) = base_of(wanted.unit), base_of(found.unit)
        if base == its_base and one * factor == other * its_factor:
            return "same"
    scales = (0, *(() if found.scaled else place.scales))
    if any(_close(wanted, one, other.scaleb(scale)) for scale in scales):
        return "same" if same_unit else "unit"
    if (wanted.scaled or found.scaled) and _digits(one) == _digits(other):
        return "scale"
    return "other"


def _same_unit(wanted: str, found: str, place: Place) -> bool:
    if not wanted:
        return found not in _PERCENT
    if found:
        return alike(wanted, found)
    return wanted in MONEY or wanted in COUNTS or any(alike(wanted, unit) for unit in place.units)


def _close(wanted: Quantity, one: Decimal, other: Decimal) -> bool:
    """Say whether ``one`` is ``other``, or ``other`` rounded as the claim says or shows."""
    if one == other:
        return True
    distance = abs(one - other)
    if distance > TOLERANCE * other:
        return False
    exponent, finer = _exponent(one), _exponent(other)
    rounded = (wanted.scaled or exponent < 0 or wanted.unit in _PERCENT) and finer < exponent
    if wanted.about:  # a figure given as precisely as the other one is not a rounded one
        return _exponent(other.normalize()) < _exponent(one.normalize())
    return rounded and 2 * distance <= Decimal(1).scaleb(exponent)


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "digits are finite"
    return exponent


def _digits(value: Decimal) -> tuple[int, ...]:
    return value.normalize().as_tuple().digits
