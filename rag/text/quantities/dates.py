"""Dates, quarters and fiscal years in a text, each as far as it is stated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rag.text.quantities.numerals import CHINESE_DIGITS, chinese_number
from rag.text.quantities.units import Day, Quantity

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_PARTS = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "一": "1", "二": "2", "三": "3",
    "四": "4", "上": "1", "下": "2",
}  # fmt: skip
_YEAR = r"(?P<y>(?:1[5-9]|20)[0-9]{2})(?![0-9])"
_DAY = r"(?P<d>3[01]|[12][0-9]|0?[1-9])"
_NUMBER = r"(?:3[01]|[12][0-9]|0?[1-9])"
_TH = r"(?:st|nd|rd|th)?"
_ZH_SMALL = f"[0-9{CHINESE_DIGITS}十]{{1,3}}"
_ZH_MONTH = rf"(?P<m>{_ZH_SMALL})[ ]?月(?:[ ]?(?P<d>{_ZH_SMALL})[ ]?[日号號]|份)?"
_FISCAL = r"(?P<f>fy|fiscal(?: year)?)[ ]?'?"

# 2018-03-05, 2018/3/5, 2018.03.05, 2018-03; 2018-2020 is none
_ISO = (
    rf"(?P<y>(?:19|20)[0-9]{{2}})(?:(?P<sep>[-/.])(?P<m>1[0-2]|0?[1-9])(?P=sep){_DAY}"
    r"(?![0-9]|[/.][0-9])|[-/](?P<m2>1[0-2]|0[1-9])(?![-/.]?[0-9]))"
)
# 03/05/2018, 5.3.2018; 12/31/18; 03/2018
_SLASHED = rf"(?P<a>{_NUMBER})(?P<sep>[-/.])(?P<b>{_NUMBER})(?P=sep){_YEAR}"
_SHORT = rf"(?P<a>{_NUMBER})/(?P<b>{_NUMBER})/(?P<y>[0-9]{{2}})(?![0-9/])"
_MONTH_YEAR = rf"(?P<m>1[0-2]|0?[1-9])/{_YEAR}(?!/)"
# March 5, 2018; March 5; March 2018
_MONTH_FIRST = (
    rf"{_MONTH},? ?(?:{_DAY}{_TH}(?![0-9%]|[.,/:][0-9])(?:,? ?{_YEAR})?"
    r"|(?:of )?(?P<y2>(?:1[5-9]|20)[0-9]{2})(?![0-9]))"
)
# 5 March 2018; 5th day of March, 2018; 5 March
_DAY_FIRST = rf"{_DAY}{_TH} (?:day )?(?:of )?{_MONTH}(?:,? ?{_YEAR})?"
# 2018年3月5日, 二〇一八年三月, 2018年第三季度, 2018年上半年, 2018财年, 2018年; 3月5日; 第三季度
_CHINESE_YEAR = (
    rf"(?P<y>[12][0-9]{{3}}|[{CHINESE_DIGITS}]{{4}})[ ]?(?:(?P<f>财年|財年|财政年度|"
    rf"会计年度|會計年度)|年度?[ ]?(?:{_ZH_MONTH}|第?(?P<q>[一二三四1-4])季度?"
    r"|(?P<h>[上下])半年)?)"
)
_CHINESE_QUARTER = r"第?(?P<q>[一二三四])季度|第(?P<q2>[1-4])季度?"
# FY2018, fiscal year 2018, FY18
_FISCAL_YEAR = rf"{_FISCAL}(?P<y>(?:19|20)[0-9]{{2}}|[0-9]{{2}})(?![0-9])"
# 2018Q3, 2018 H1; Q3 2018, Q3 FY18, 3Q18, third quarter of fiscal 2018, H1 2018
_YEAR_PART = r"(?P<y>(?:19|20)[0-9]{2})[- ]?(?:q(?P<q>[1-4])|h(?P<h>[12]))\b"
_PART_YEAR = (
    r"(?:q(?P<q>[1-4])|(?P<q2>[1-4])q|(?P<q3>first|second|third|fourth)[- ]quarter"
    r"|h(?P<h>[12])(?= ?(?:19|20)[0-9]{2}))"
    rf"(?:,? ?(?:of )?(?:the )?(?:{_FISCAL})?{_YEAR}"
    r"| ?(?P<f2>fy)? ?'?(?P<y2>[0-9]{2})(?![0-9%]|[.,][0-9]))?\b"
)
# Each with what a text must hold to be worth the search. They begin with what a date begins
# with, which the engine can skip to; what stands before it is looked at afterwards.
_PATTERNS = tuple(
    (needles.split(), re.compile(pattern))
    for needles, pattern in (
        ("- / .", _ISO),
        ("- / .", _SLASHED),
        ("/", _SHORT),
        ("/", _MONTH_YEAR),
        ("", _MONTH_FIRST),
        ("", _DAY_FIRST),
        ("年", _CHINESE_YEAR),
        ("月", _ZH_MONTH),
        ("季", _CHINESE_QUARTER),
        ("fy fiscal", _FISCAL_YEAR),
        ("q1 q2 q3 q4 h1 h2", _YEAR_PART),
        ("quarter q1 q2 q3 q4 1q 2q 3q 4q h1 h2", _PART_YEAR),
    )
)
_ZH_DIGITS = frozenset(CHINESE_DIGITS + "十")
_TURN = 70  # '69 is 2069, '70 is 1970


def dates(text: str) -> list[Quantity]:
    """Return the dates of a text, in order, none inside another; a longer one goes first.

    ``text`` is in lower case and half width. A year alone is left to the numbers, except
    where 年 stands after it.

    >>> [found.date[:3] for found in dates("march 5, 2018; 2018年3月; 12/31/19")]
    [(2018, 3, 5), (2018, 3, 0), (2019, 12, 31)]
    """
    found = sorted(_all(text), key=lambda one: (one.start, -one.end))
    kept: list[Quantity] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _all(text: str) -> Iterator[Quantity]:
    for needles, pattern in _PATTERNS:
        if needles and not any(needle in text for needle in needles):
            continue
        for match in pattern.finditer(text):
            start = match.start()
            if start and _glued(text, start):
                continue
            if read := _read(match.groupdict()):
                yield Quantity(start, match.end(), date=read[0], other=read[1])


def _glued(text: str, start: int) -> bool:
    """Say whether what begins at ``start`` is the rest of a longer number or word."""
    before, first = text[start - 1], text[start]
    if before.isascii():
        inside = before in "-/." and start > 1 and text[start - 2].isdigit()
        return before.isalnum() or (inside and first.isdigit())
    return before in _ZH_DIGITS and first in _ZH_DIGITS


def _read(groups: Mapping[str, str | None]) -> tuple[Day, Day | None] | None:
    """Return the date that a match states, and its second reading; ``None`` if it is none."""
    year = _year(groups.get("y") or groups.get("y2"))
    fiscal = bool(groups.get("f") or groups.get("f2"))
    if groups.get("a"):
        return _either(year, _small(groups["a"]), _small(groups["b"]))
    if name := groups.get("month"):
        month = _MONTHS[name[:3]]
    else:
        month = _small(groups.get("m") or groups.get("m2"))
    date = Day(year, month, _small(groups.get("d")), _part(groups), fiscal)
    if month > 12 or date.day > 31 or not any(date):  # noqa: PLR2004 - the calendar
        return None
    return date, None


def _either(year: int, one: int, two: int) -> tuple[Day, Day | None] | None:
    """Read 03/05/2018 as Americans do first; the other way round is its second reading."""
    readings = [Day(year, month, day) for month, day in ((one, two), (two, one)) if month <= 12]  # noqa: PLR2004
    if not readings:
        return None
    return readings[0], readings[1] if readings[1:] and one != two else None


def _year(written: str | None) -> int:
    if not written:
        return 0
    if not written.isascii():
        return int(chinese_number(written) or 0)
    year = int(written)
    return year if year > 99 else year + (2000 if year < _TURN else 1900)  # noqa: PLR2004


def _small(written: str | None) -> int:
    if not written:
        return 0
    return int(written) if written.isascii() else int(chinese_number(written) or 0)


def _part(groups: Mapping[str, str | None]) -> str:
    for letter in ("q", "h"):
        if written := groups.get(letter) or groups.get(f"{letter}2") or groups.get(f"{letter}3"):
            return letter + _PARTS.get(written, written)
    return ""
