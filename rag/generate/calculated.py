"""Sentences whose figures are computed: their sums are done again, their numbers looked up.

Such a sentence stands nowhere as it is. It is as good as its numbers and its arithmetic, and a
reader is told that both were checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rag.generate.arithmetic import Calculation, alike, calculations
from rag.generate.checks import Claim, Doubt, Source
from rag.text.quantities import Quantity, gaps

_CONSTANTS = {*map(Decimal, range(13)), *map(Decimal, (100, 360, 365, 1_000, 1_000_000))}
"""Months, days, percent, and how many are averaged: they stand in no passage."""


@dataclass(frozen=True, slots=True)
class Calculated:
    """What the sums of a sentence say of it.

    ``doubt`` is ``None`` where it has none, or uses numbers that are in no passage.
    ``quantities`` are accounted for: those of the sums, and results said once more.
    """

    doubt: Doubt | None = None
    quantities: frozenset[Quantity] = frozenset()


def check_calculations(claim: Claim, sources: Sequence[Source]) -> Calculated:
    """Do the sums of a sentence again; a wrong one is a grave doubt, a right one a mild one."""
    found = [one for one in calculations(claim.text) if not _labelled(one, claim)]
    for one in found:
        if not one.right:
            return Calculated(Doubt(f"arithmetic:{_rounded(one.value)}", grave=True))
    if not found or not all(_stands(operand, sources) for one in found for operand in one.operands):
        return Calculated()
    inside = frozenset(q for q in claim.quantities if any(_of(q, one) for one in found))
    return Calculated(Doubt(f"computed:{_rounded(found[-1].value)}"), inside)


def _labelled(one: Calculation, claim: Claim) -> bool:
    """Say whether a number of the sum is a name's or a year: "RTX 4090 x 2", "2023/2022"."""
    dates = [q for q in claim.quantities if q.date]
    return any(
        claim.is_named(Quantity(start, end, value))
        or any(q.start < end and start < q.end for q in dates)
        for start, end, value in one.operands
    )


def _stands(operand: tuple[int, int, Decimal], sources: Sequence[Source]) -> bool:
    start, end, value = operand
    if value in _CONSTANTS:
        return True
    wanted = [Quantity(start, end, value)]
    return any(not gaps(wanted, source.anywhere) for source in sources)


def _of(quantity: Quantity, one: Calculation) -> bool:
    inside = one.start < quantity.end and quantity.start < one.end
    return inside or (quantity.value is not None and alike(quantity.value, one.value))


def _rounded(value: Decimal) -> str:
    """Return a value with four digits that count, as people write it."""
    return f"{value:.4g}" if abs(value) < 1_000 else f"{value:,.0f}"  # noqa: PLR2004
