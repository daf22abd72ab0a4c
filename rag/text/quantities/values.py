"""What is found in a text: a number with its unit, or a date."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple


class Day(NamedTuple):
    """A date as far as it is stated; 0 and "" where it is not."""

    year: int = 0
    month: int = 0
    day: int = 0
    part: str = ""  # q1 to q4, h1, h2
    fiscal: bool = False

    def holds(self, wanted: Day) -> bool:
        """Say whether this date states what ``wanted`` states; a fiscal year is a year here.

        >>> Day(2018, 3, 5).holds(Day(2018, 3)), Day(2018).holds(Day(2018, 3))
        (True, False)
        """
        pairs = zip(wanted[:4], self[:4], strict=True)
        return all(not asked or asked == stated for asked, stated in pairs)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a date at ``text[start:end]``.

    ``value`` keeps the digits that were written: 1.2 billion is Decimal("1.2E+9"), known to a
    hundred million. A bare year such as 2018 has both, a value and a date.
    """

    start: int
    end: int
    value: Decimal | None = None
    unit: str = ""  # as in rag.text.quantities.units; "" = none stands beside it
    scaled: bool = False  # a word or letter for thousand, 万, million … stands beside it
    about: bool = False  # about, roughly, 约 … stands before it
    date: Day | None = None
    other: Day | None = None  # second reading of 03/05/2018
    code: str = ""  # 10:30, 1.2.3: compared as written
