"""Finds the quantities of a text, each with its value, unit and place; and as index terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from rag.text.quantities.dates import dates
from rag.text.quantities.numerals import (
    CHINESE,
    CHINESE_DIGITS,
    CHINESE_SCALES,
    ENGLISH,
    ENGLISH_SCALES,
    LONGEST_NUMBER,
    chinese_number,
    english_number,
)
from rag.text.quantities.units import AFTER, COUNTS, CURRENCY_SIGNS, MONEY, Day, Quantity, read_unit

_FULL_WIDTH = re.compile("[\uff01-\uff5e]")
_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)}
_SIGNS = {
    "\u3000": " ", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2013": "-",
    "\u2014": "-", "\u2010": "-", "\u2011": "-", "\uffe5": "¥", "\u2019": "'",
}  # fmt: skip
_LOWER = {0x41 + i: 0x61 + i for i in range(26)}
# Each begins with what a number begins with: that is what the engine can skip to.
_DIGITS = re.compile(
    r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[0-9]+(?:\.[0-9]+){2,}"  # 192.168.0.1: what stands behind its colon is another number
    r"|[0-9]+(?:[.:][0-9]+)*"
)
_CLOCK = re.compile(r"[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?\Z")
_CODE_BEFORE = re.compile(r"(?:[0-9][A-Za-z]|[A-Z])-\Z")
_SECTION = re.compile(r"(?:\([a-z0-9]{1,3}\))+(?=\W|\Z)")  # 6(c)(ii): written as one
_CHINESE = re.compile(rf"(?:百分之|千分之)?{CHINESE}")
_ENGLISH = re.compile(rf"\b{ENGLISH}\b")
_SCALE = re.compile(
    rf"[ ]?(?:[多余餘])?(?P<zh>{'|'.join(sorted(CHINESE_SCALES, key=len, reverse=True))})"
    rf"|[ -]?(?P<word>(?:{'|'.join(s for s in ENGLISH_SCALES if len(s) > 1)}))(?![a-z])"
    r"|(?P<letter>[ ]?[kmbt])(?![a-z0-9])"
)
_SIGN = "|".join(sorted(map(re.escape, CURRENCY_SIGNS), key=len, reverse=True))
_CURRENCY = re.compile(rf"(?P<sign>{_SIGN})[ ]{{0,2}}[(-]?\Z")
_LAST_OF_CURRENCY = frozenset(name[-1] for name in CURRENCY_SIGNS) | {" ", "(", "-"}
_LONGEST_CURRENCY = 8
_ABOUT_BEFORE = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|circa|some|~|≈|约|大约|"
    r"大概|近|将近|接近|左右)\s?(?:us|[$€£¥]|人民币)*\s?\Z"
)
_ABOUT_AFTER = re.compile(r"[^\s\d，。,.;；]{0,4}(?:左右|上下)")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)(?![a-z])")
_SHORT_NAME = re.compile(r"[0-9][mk]|10k")  # 3M, 4K, 8K, 10K
_COUNTED = re.compile(r" [a-z]{3,}s\b")
_DECADE = re.compile(r"\d0'?s(?![a-z])")
_CODE = re.compile(r"[a-z_]|-[a-z](?![a-z])")  # 4090Ti, 10-K: a name, not a number
_BREAK = frozenset(" \n\r\t,.;:!?|/*\"'，。；：！？、")
_MEASURE = re.compile("[ ]?[个個名位家次种種项項条條款台辆张份部套座所间本篇章节页点倍岁年周天日]")
_NOT_COUNTED = frozenset("十百千一壹")  # 十分, 百货, 千万别, 一些: parts of words
_VAGUE = frozenset("几幾数數好上近成万萬")  # 几十, 数百; 万一 is a word
_NAMES_OF_DIGITS = frozenset(CHINESE_DIGITS)
_CJK = "\u2e80"  # from here on; a digit after such a character begins a number
_YEARS = range(1900, 2100)
_BEFORE_MINUS = frozenset(" \n\t(:：（，、=$")
_YEAR_DIGITS = 4
_LONG = 4  # digits and signs of a number in brackets that is no footnote
_ABOUT_CHARS = 16


def quantities(text: str) -> tuple[Quantity, ...]:
    """Return the quantities of a text in order; offsets lead into ``text``.

    >>> [(str(q.value), q.unit) for q in quantities("It cost $1.2bn, 12万公里, (1,234), 25 %")]
    [('1.2E+9', '$'), ('1.2E+5', 'km'), ('-1234', ''), ('25', '%')]
    """
    wide = half_width(text)
    low = _lower(wide)
    return tuple(_merged(dates(low), _Reader(wide, low).numbers()))


def half_width(text: str) -> str:
    """Return the text with full-width letters, digits and signs in half width; same length."""
    if text.isascii():
        return text
    if _FULL_WIDTH.search(text):
        text = text.translate(_HALF_WIDTH)
    for sign, plain in _SIGNS.items():
        text = text.replace(sign, plain)
    return text


def _lower(text: str) -> str:
    low = text.lower()
    return low if len(low) == len(text) else text.translate(_LOWER)


def _merged(found: list[Quantity], numbers: Iterator[Quantity]) -> Iterator[Quantity]:
    """Yield dates and numbers in order, without the numbers that dates are made of."""
    waiting = iter(found)
    date = next(waiting, None)
    for number in numbers:
        while date is not None and date.end <= number.start:
            yield date
            date = next(waiting, None)
        if date is None or number.end <= date.start:
            yield number
    while date is not None:
        yield date
        date = next(waiting, None)


_Read = Callable[[int, int, str], Quantity | None]


class _Reader:
    """Reads numbers out of one text, given as it is and in lower case."""

    def __init__(self, wide: str, low: str) -> None:
        self._wide = wide
        self._low = low

    def numbers(self) -> Iterator[Quantity]:
        """Yield the numbers in order; 1亿2000万 is one."""
        last: Quantity | None = None
        for found in self._found():
            if last is not None and found.start < last.end:
                continue  # 0千一: its first character was a scale
            if last is not None and (joined := self._joined(last, found)):
                last = joined
                continue
            if last is not None:
                yield last
            last = found
        if last is not None:
            yield last

    def _found(self) -> Iterator[Quantity]:
        """Yield figures, Chinese numerals and English number words, in order."""
        runs: list[tuple[tuple[int, int], _Read]]
        runs = [(m.span(), self._figure) for m in _DIGITS.finditer(self._low)]
        others: list[tuple[tuple[int, int], _Read]]
        others = [(m.span(), self._english) for m in _ENGLISH.finditer(self._low)]
        if not self._low.isascii():
            others += [(m.span(), self._chinese) for m in _CHINESE.finditer(self._low)]
        if others:
            runs = sorted(runs + others, key=lambda run: run[0])
        for (start, end), read in runs:
            if found := read(start, end, self._low[start:end]):
                yield found

    def _figure(self, start: int, end: int, written: str) -> Quantity | None:
        before = self._low[start - 1] if start else " "
        if before == "_" or (before.isalnum() and before < _CJK):
            return None  # A100, x86_64: a name
        if before == "第" and written.isdigit():
            return Quantity(start - 1, end, code=f"第{written.lstrip('0') or '0'}")
        if before == "-" and _CODE_BEFORE.search(self._wide, max(0, start - 3), start):
            return None  # 13a-15, COVID-19
        if ":" in written and not _CLOCK.match(written):
            written = written[: written.index(":")]  # 3:1, a ratio
            end = start + len(written)
        if ":" in written or written.count(".") > 1 or len(written) > LONGEST_NUMBER:
            return Quantity(start, end, code=written)
        if section := _SECTION.match(self._low, end):
            return Quantity(start, section.end(), code=self._low[start : section.end()])
        return self._measured(start, end, Decimal(written.replace(",", "")))

    def _english(self, start: int, end: int, words: str) -> Quantity | None:
        value = english_number(words)
        if value is None:
            return None
        return self._measured(start, end, value, needs_unit=words == "one")

    def _chinese(self, start: int, end: int, run: str) -> Quantity | None:
        share = run[:3] if run.startswith(("百分之", "千分之")) else ""
        value = chinese_number(run[len(share) :])
        before = self._low[start - 1] if start else ""
        if value is None or before in _VAGUE:
            return None
        if before == "第":
            return Quantity(start - 1, end, code=f"第{value.normalize():f}")
        if share:
            return Quantity(start, end, value / (1 if share[0] == "百" else 10), "%")
        if len(run) == 1 and (run in _NOT_COUNTED or not self._measures(end)):
            return None
        digits = sum(char in _NAMES_OF_DIGITS for char in run)
        if len(run) > 1 and (not digits or (digits == len(run) < _YEAR_DIGITS)):
            return None  # 千万, 百万 without a digit; 三四, 五一
        return self._measured(start, end, value)

    def _measures(self, end: int) -> bool:
        """Say whether what follows a lone numeral counts or measures: 三个, 五公里."""
        return bool(_MEASURE.match(self._low, end) or AFTER.match(self._wide, end))

    def _measured(
        self, start: int, end: int, value: Decimal, *, needs_unit: bool = False
    ) -> Quantity | None:
        """Return the number with what stands around it; ``None`` if it is part of a name."""
        begin, money = self._currency(start)
        minus = begin < start and self._wide[start - 1] in "(-"
        power, end = self._scale(start, end, money=bool(money))
        unit, end = self._unit(end)
        if unit is None or (needs_unit and not (unit or power)):
            return None
        if minus or self._negative(begin, end):
            value = -value
        date = None
        if not (power or unit or money) and end - start == _YEAR_DIGITS and int(value) in _YEARS:
            date = Day(int(value))
        return Quantity(
            start,
            end,
            value.scaleb(power) if power else value,
            money or unit,
            scaled=bool(power),
            about=self._about(begin, end),
            date=date,
        )

    def _currency(self, start: int) -> tuple[int, str]:
        """Return where the amount begins, and the currency that stands before it."""
        if not start or self._wide[start - 1] not in _LAST_OF_CURRENCY:
            return start, ""
        sign = _CURRENCY.search(self._wide, max(0, start - _LONGEST_CURRENCY), start)
        return (sign.start(), CURRENCY_SIGNS[sign["sign"]]) if sign else (start, "")

    def _scale(self, start: int, end: int, *, money: bool) -> tuple[int, int]:
        """Return the power of ten that a word of scale stands for, and where it ends."""
        broken = self._low[end : end + 1] in _BREAK and self._low[end : end + 1] != " "
        match = None if broken else _SCALE.match(self._low, end)
        if match is None:
            return 0, end
        if name := match["zh"]:
            return CHINESE_SCALES[name], match.end()
        if letter := match["letter"]:
            attached = self._wide[end : match.end()].isupper() and len(letter) == 1
            counts = money or (attached and not self._is_name(start, match.end()))
            return (ENGLISH_SCALES[letter.strip()], match.end()) if counts else (0, end)
        if match["word"] == "mm" and not money:  # millimetres
            return 0, end
        return ENGLISH_SCALES[match["word"]], match.end()

    def _is_name(self, start: int, end: int) -> bool:
        """Say whether 3M is the firm: few digits, and nothing behind it that is counted.

        3M dollars, 5M people and 5M users are numbers, as 12M and 3.5M are by themselves.
        """
        written = self._low[start:end]
        if not _SHORT_NAME.fullmatch(written):
            return False
        unit = AFTER.match(self._wide, end)
        if unit and (read_unit(unit) or "") in MONEY | COUNTS:
            return False
        return written == "3m" or not _COUNTED.match(self._low, end)

    def _unit(self, end: int) -> tuple[str | None, int]:
        """Return the unit, "" for none, ``None`` for a name such as 4090Ti; and where it ends."""
        if self._low[end : end + 1] in _BREAK and self._low[end : end + 2].strip() == "":
            return "", end
        if ordinal := _ORDINAL.match(self._low, end):
            return "", ordinal.end()
        if _DECADE.match(self._low, end - 2):
            return "decade", end + 1
        match = AFTER.match(self._wide, end)
        if match and (unit := read_unit(match)):
            return unit, match.end()
        return (None if _CODE.match(self._low, end) else ""), end

    def _negative(self, begin: int, end: int) -> bool:
        before = self._wide[begin - 1 : begin] if begin else ""
        if before == "-":
            return begin == 1 or self._wide[begin - 2] in _BEFORE_MINUS
        # a bookkeeper's minus; "thirty (30) days" and footnote (2) are none
        return (
            before == "("
            and self._wide[end : end + 1] == ")"
            and (end - begin >= _LONG or not self._wide[begin:end].isdigit())
        )

    def _about(self, begin: int, end: int) -> bool:
        before = self._low[max(0, begin - _ABOUT_CHARS) : begin]
        return bool(_ABOUT_BEFORE.search(before) or _ABOUT_AFTER.match(self._low, end))

    def _joined(self, one: Quantity, two: Quantity) -> Quantity | None:
        """Return 1亿 and 2000万 as one number."""
        if one.end != two.start or not one.scaled or one.unit or one.value is None or not two.value:
            return None
        if not 0 < two.value < one.value:
            return None
        return replace(two, start=one.start, value=one.value + two.value, scaled=True)


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
