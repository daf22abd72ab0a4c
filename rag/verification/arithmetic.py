"""Sums that an answer writes out, done again: (177,866 - 135,987) / 135,987 = 30.8 %.

A model that computes copies the right numbers and gets the result wrong. Code does not.

Such a sentence stands nowhere as it is. It is as good as its numbers and its arithmetic, and a
reader is told that both were checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import NamedTuple

from rag.text.quantities import Quantity, gaps
from rag.verification.checks import Claim, EvidenceSource, FailedCheck

_EQUALS = re.compile(r"[=＝≈]")
_RUN = r"[\d\s,.()（）+\-−–*×x·/÷%％$€£¥￥]"
_IN_RUN = re.compile(_RUN)
_AFTER = re.compile(rf"(?:\s*(?:approximately|about|roughly|约)\s*)?(?P<run>{_RUN}*)")
_TOKEN = re.compile(
    r"(?P<number>\d[\d,]*(?:\.\d+)?)\s?(?P<percent>[%％]?)|(?P<sign>[()（）+\-−–*×x·/÷])"
    r"|[\s$€£¥￥]+|(?P<other>.)",
    re.DOTALL,
)
_LONGEST_RUN = 1000  # characters of a formula
_LONGEST = 60  # numbers and signs; a rule of dashes is no formula
_SIGNS = {"（": "(", "）": ")", "−": "-", "–": "-", "×": "*", "x": "*", "·": "*", "÷": "/"}
_POWERS = {0, 2, 3, 4, 6, 8, 9}  # percent, thousands, 万, millions, 亿, billions
_ROUNDED = Decimal("0.005")  # of the value; more only where the result has few digits


class _Token(NamedTuple):
    start: int
    end: int
    sign: str  # "" for a number
    value: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Calculation:
    """A formula and its result at ``text[start:end]``."""

    start: int
    end: int
    operands: tuple[tuple[int, int, Decimal], ...]  # start, end, value
    stated: Decimal
    value: Decimal

    @property
    def right(self) -> bool:
        """Whether the result is that of the formula, rounded; see ``alike``."""
        return alike(self.stated, self.value)


def calculations(text: str) -> list[Calculation]:
    """Return the sums in a text, in order; a chain of equal signs is one.

    >>> [(one.right, round(one.value, 3)) for one in calculations("so (5 - 4) / 4 = 26%")]
    [(False, Decimal('0.250'))]
    """
    found: list[Calculation] = []
    for match in _EQUALS.finditer(text):
        if found and match.start() < found[-1].end:
            continue  # of the chain before
        formula = _last_formula(text, match.start())
        results = list(_results(text, match.start())) if formula else []
        if formula and results:
            tokens, value = formula
            wrong = next((result for result in results if not alike(result[1], value)), None)
            found.append(
                Calculation(
                    tokens[0].start,
                    results[-1][0],
                    tuple((t.start, t.end, t.value) for t in tokens if not t.sign),
                    (wrong or results[-1])[1],
                    value,
                )
            )
    return found


def _last_formula(text: str, end: int) -> tuple[list[_Token], Decimal] | None:
    """Return the longest formula that ends at ``end``, with its value."""
    start = end
    while start > max(0, end - _LONGEST_RUN) and _IN_RUN.match(text, start - 1):
        start -= 1
    tokens = _tokens(text, start, end)[-_LONGEST:]
    for first in range(len(tokens)):
        if len(tokens) - first > 1 and (value := _value(tokens[first:])) is not None:
            return tokens[first:], value
    return None


def _results(text: str, equals: int) -> Iterator[tuple[int, Decimal]]:
    """Yield where each result of a chain of equal signs ends, and its value."""
    while equals < len(text) and _EQUALS.match(text, equals):
        run = _AFTER.match(text, equals + 1)
        tokens = _tokens(text, run.start("run"), run.end("run"))[:_LONGEST] if run else []
        for length in range(len(tokens), 0, -1):
            value = _value(tokens[:length])
            if value is not None:
                break
        else:
            return
        end = tokens[length - 1].end
        yield end, value
        equals = end + len(text[end:]) - len(text[end:].lstrip())


def _tokens(text: str, start: int, end: int) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(text, start, end):
        if match["number"]:
            value = Decimal(match["number"].replace(",", ""))
            value = value / 100 if match["percent"] else value
            found.append(_Token(match.start(), match.end(), "", value))
        elif match["sign"]:
            sign = _SIGNS.get(match["sign"], match["sign"])
            found.append(_Token(match.start(), match.end(), sign))
        elif match["other"]:
            found.append(_Token(match.start(), match.end(), "?"))  # a full stop ends a formula
    return found


def _value(tokens: Sequence[_Token]) -> Decimal | None:
    """Return what a whole formula comes to; ``None`` if it is none."""
    try:
        value, rest = _sum(list(tokens))
    except (DecimalException, ValueError):
        return None
    return None if rest else value


def _sum(tokens: list[_Token]) -> tuple[Decimal, list[_Token]]:
    value, tokens = _product(tokens)
    while tokens and tokens[0].sign in {"+", "-"}:
        sign = tokens[0].sign
        other, tokens = _product(tokens[1:])
        value = value + other if sign == "+" else value - other
    return value, tokens


def _product(tokens: list[_Token]) -> tuple[Decimal, list[_Token]]:
    value, tokens = _factor(tokens)
    while tokens and tokens[0].sign in {"*", "/"}:
        sign = tokens[0].sign
        other, tokens = _factor(tokens[1:])
        value = value * other if sign == "*" else value / other
    return value, tokens


def _factor(tokens: list[_Token]) -> tuple[Decimal, list[_Token]]:
    if tokens and not tokens[0].sign:
        return tokens[0].value, tokens[1:]
    if tokens and tokens[0].sign == "(":
        value, tokens = _sum(tokens[1:])
        if tokens and tokens[0].sign == ")":
            return value, tokens[1:]
    raise ValueError("no number and no bracket")


def alike(stated: Decimal, value: Decimal) -> bool:
    """Return whether ``stated`` is ``value``, rounded, in percent or at another scale.

    A ratio is as good in percent, and a sum in millions; ten times as much is neither.
    """
    if not stated or not value:
        return stated == value
    ratio = abs(value / stated)
    power = round(float(ratio.log10()))
    off = abs(ratio.scaleb(-power) - 1)
    last = Decimal(1).scaleb(_last_digit(stated)) / abs(stated) / 2
    return abs(power) in _POWERS and off <= max(_ROUNDED, last)


def _last_digit(number: Decimal) -> int:
    """Return the power of ten of the last digit written; noughts at the end count."""
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


_CONSTANTS = {*map(Decimal, range(13)), *map(Decimal, (100, 360, 365, 1_000, 1_000_000))}
"""Months, days, percent, and how many are averaged: they stand in no passage."""


@dataclass(frozen=True, slots=True)
class Calculated:
    """What the sums of a sentence say of it.

    ``doubt`` is ``None`` where it has none, or uses numbers that are in no passage.
    ``quantities`` are accounted for: those of the sums, and results said once more.
    """

    doubt: FailedCheck | None = None
    quantities: frozenset[Quantity] = frozenset()


def check_calculations(claim: Claim, sources: Sequence[EvidenceSource]) -> Calculated:
    """Do the sums of a sentence again; a wrong one is a grave doubt, a right one a mild one."""
    found = [one for one in calculations(claim.text) if not _labelled(one, claim)]
    for one in found:
        if not one.right:
            return Calculated(FailedCheck(f"arithmetic:{_rounded(one.value)}", grave=True))
    if not found or not all(_stands(operand, sources) for one in found for operand in one.operands):
        return Calculated()
    inside = frozenset(q for q in claim.quantities if any(_of(q, one) for one in found))
    return Calculated(FailedCheck(f"computed:{_rounded(found[-1].value)}"), inside)


def _labelled(one: Calculation, claim: Claim) -> bool:
    """Say whether a number of the sum is a name's or a year: "RTX 4090 x 2", "2023/2022"."""
    dates = [q for q in claim.quantities if q.date]
    return any(
        claim.is_named(Quantity(start, end, value))
        or any(q.start < end and start < q.end for q in dates)
        for start, end, value in one.operands
    )


def _stands(operand: tuple[int, int, Decimal], sources: Sequence[EvidenceSource]) -> bool:
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
