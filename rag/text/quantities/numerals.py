"""Numbers in words: Chinese numerals and English number words."""

from __future__ import annotations

import re
from decimal import Decimal

LONGEST_NUMBER = 40
"""Characters of a number at most; what is longer is a key or a row of the same character, and
Python refuses to read more than 4,300 digits."""

_DIGITS = {digit: value for value, digits in enumerate(
    ("〇零○", "一壹", "二贰貳两兩", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
) for digit in digits}  # fmt: skip
_TENS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_POINT = "点點"
CHINESE_DIGITS = "".join(_DIGITS)
CHINESE = (
    f"[{CHINESE_DIGITS}{''.join(_TENS)}][{CHINESE_DIGITS}{''.join((*_TENS, *_MYRIADS))}{_POINT}]*"
)
"""Pattern of a run that may be a Chinese numeral."""

CHINESE_SCALES = {
    "百": 2, "千": 3, "仟": 3, "万": 4, "萬": 4, "十万": 5, "百万": 6, "百萬": 6, "千万": 7,
    "千萬": 7, "亿": 8, "億": 8, "十亿": 9, "十億": 9, "百亿": 10, "百億": 10, "千亿": 11,
    "千億": 11, "万亿": 12, "萬億": 12,
}  # fmt: skip
"""What follows digits: 3.2亿. The power of ten of each."""
ENGLISH_SCALES = {
    "hundred": 2, "thousand": 3, "thousands": 3, "k": 3, "million": 6, "millions": 6, "mn": 6,
    "mln": 6, "mm": 6, "m": 6, "billion": 9, "billions": 9, "bn": 9, "bln": 9, "b": 9,
    "trillion": 12, "trillions": 12, "tn": 12, "t": 12,
}  # fmt: skip

_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_STEPS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ANY = "|".join(sorted((*_WORDS, *_STEPS), key=len, reverse=True))
ENGLISH = rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:[ -](?:and )?(?:{_ANY}))*"
"""Pattern of English number words, in lower case."""


def chinese_number(run: str) -> Decimal | None:
    """Return the value of a Chinese numeral; ``None`` if the run is none, or far too long.

    >>> [chinese_number(run) for run in ("三百二十", "二〇一八", "三点五", "两亿三千万", "点点")]
    [Decimal('320'), Decimal('2018'), Decimal('3.5'), Decimal('230000000'), None]
    """
    if len(run) > LONGEST_NUMBER:
        return None
    whole, point, fraction = re.match(rf"([^{_POINT}]*)([{_POINT}]?)(.*)", run).groups()  # type: ignore[union-attr]
    if point:
        scale = 1
        while fraction and fraction[-1] in _MYRIADS:
            scale *= _MYRIADS[fraction[-1]]
            fraction = fraction[:-1]
        if not fraction or any(char not in _DIGITS for char in fraction):
            return None
        front = _whole(whole)
        if front is None:
            return None
        digits = "".join(str(_DIGITS[char]) for char in fraction)
        return Decimal(f"{front}.{digits}") * scale
    value = _whole(whole)
    return None if value is None else Decimal(value)


def _whole(run: str) -> int | None:
    if not run:
        return None
    if all(char in _DIGITS for char in run):
        return int("".join(str(_DIGITS[char]) for char in run))
    above = myriads = section = 0  # 亿, 万 and what is below
    digit = None
    for char in run:
        if char in _DIGITS:
            if digit:  # 三五百: "three to five hundred"
                return None
            digit = _DIGITS[char]
        elif char in _TENS:
            section += (1 if digit is None else digit) * _TENS[char]
            digit = None
        else:
            lot = section + (digit or 0)
            if char in "亿億":
                above, myriads = (above + myriads + lot) * 10**8, 0
            else:
                myriads += lot * 10**4
            section, digit = 0, None
    return above + myriads + section + (digit or 0)


def english_number(words: str) -> Decimal | None:
    """Return the value of number words in lower case; ``None`` if they do not fit together.

    >>> [english_number(words) for words in ("twenty-five", "two hundred and fifty thousand")]
    [Decimal('25'), Decimal('250000')]
    """
    total = section = 0
    last = 10**15
    for word in re.split(r"[ -]", words):
        if word == "and":
            continue
        if word in _WORDS:
            value = _WORDS[word]
            if section % 100 and not (section % 10 == 0 and section % 100 >= 20 and 0 < value < 10):  # noqa: PLR2004
                return None  # "five six": two numbers
            section += value
        elif word == "hundred":
            if section >= 100:  # noqa: PLR2004 - "hundred hundred"
                return None
            section = (section or 1) * 100
        else:
            step = _STEPS[word]
            if step >= last or not section:
                return None
            total += section * step
            section, last = 0, step
    return Decimal(total + section)
