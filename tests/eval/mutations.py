"""Sentences made wrong on purpose, and true ones said a little differently; rules only.

The rules find their numbers and names by patterns of their own, so that what the app overlooks
is overlooked here no less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Change = Callable[[str, Random], str | None]
"""Returns the changed sentence, ``None`` where it has nothing of the kind."""

_NUMBER = re.compile(r"(?<![A-Za-z\d.,/:\[-])\d[\d,]*(?:\.\d+)?(?![\d/:-]|[A-Za-z]|\.\d)")
_YEAR = re.compile(r"(?<![\d,.$-])(?:19|20)\d\d(?![\d,.-]\d|\d)")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})(?= \d)")
_NAME = re.compile(
    r"(?<=[a-z,;] )(?!The |This |In |It |We )[A-Z][a-z]{2,}(?: (?:of |and |de )?[A-Z][a-z]+)+"
)
_ZH_NAME = re.compile(r"《[^《》]{2,20}》|「[^「」]{2,20}」|“[^“”]{2,20}”")
_ZH_DIGITS = "一二三四五六七八九"
_SCALES = {
    "million": "billion",
    "billion": "million",
    "thousand": "million",
    "万": "亿",
    "亿": "万",
}
_UNITS = {
    "days": "months", "day": "month", "months": "years", "years": "days", "year": "day",
    "percent": "dollars", "%": " million", "km": "miles", "miles": "km", "GB": "TB", "MB": "GB",
    "hours": "minutes", "minutes": "hours", "feet": "meters", "US$": "€", "$": "€",
    "公里": "公尺", "平方公里": "亩", "美元": "欧元", "元": "美元", "小时": "分钟", "天": "个月",
    "公尺": "公里",
    "米": "公里", "吨": "公斤", "人": "公里", "岁": "天",
}  # fmt: skip


def _picked(pattern: re.Pattern[str], text: str, rng: Random) -> re.Match[str] | None:
    found = list(pattern.finditer(text))
    return rng.choice(found) if found else None


def _put(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


def digit(text: str, rng: Random) -> str | None:
    """Change one digit of a number that is no year."""
    found = [m for m in _NUMBER.finditer(text) if not _YEAR.fullmatch(m[0])]
    if not found:
        return None
    match = rng.choice(found)
    at = rng.choice([i for i, char in enumerate(match[0]) if char.isdigit()])
    choices = [d for d in "123456789" if d != match[0][at]]
    return _put(text, match, match[0][:at] + rng.choice(choices) + match[0][at + 1 :])


def chinese_digit(text: str, rng: Random) -> str | None:
    """Change one digit of a Chinese numeral that measures something."""
    match = _picked(re.compile(r"[二三四五六七八九](?=[十百千万]*[个年月岁名人次位种])"), text, rng)
    return (
        _put(text, match, rng.choice([d for d in _ZH_DIGITS[1:] if d != match[0]]))
        if match
        else None
    )


def scale(text: str, rng: Random) -> str | None:
    """Change million to billion, 万 to 亿."""
    match = _picked(re.compile(r"(?<=\d )(?:million|billion|thousand)\b|(?<=\d)[万亿]"), text, rng)
    return _put(text, match, _SCALES[match[0]]) if match else None


def year(text: str, rng: Random) -> str | None:
    """Change a year by one to nine."""
    match = _picked(_YEAR, text, rng)
    return (
        _put(text, match, str(int(match[0]) + rng.choice((-9, -4, -2, -1, 1, 2, 4, 9))))
        if match
        else None
    )


def month(text: str, rng: Random) -> str | None:
    """Change the month of a date."""
    if match := _picked(_MONTH, text, rng):
        return _put(text, match, rng.choice([m for m in _MONTHS if m != match[0]]))
    match = _picked(re.compile(r"(?<!\d)(1[0-2]|[1-9])(?=月)"), text, rng)
    return _put(text, match, str(int(match[0]) % 12 + 1)) if match else None


def unit(text: str, rng: Random) -> str | None:
    """Change the unit beside a number."""
    words = "|".join(sorted((u for u in _UNITS if u.isalpha()), key=len, reverse=True))
    pattern = re.compile(
        rf"(?<=\d[ ])(?:{words})\b|(?<=\d)(?:%|平方公里|公里|公尺|美元|小时|[元天米吨人岁])"
        r"|(?:US)?\$(?=[ ]?\d)"
    )
    match = _picked(pattern, text, rng)
    return _put(text, match, _UNITS[match[0]]) if match else None


def namer(pool: Sequence[str], chinese_pool: Sequence[str]) -> Change:
    """Return a change that puts another name of the library in the place of one."""

    def name(text: str, rng: Random) -> str | None:
        if match := _picked(_NAME, text, rng):
            others = [other for other in pool if not set(other.split()) & set(match[0].split())]
            return _put(text, match, rng.choice(others)) if others else None
        if match := _picked(_ZH_NAME, text, rng):
            inside = match[0][1:-1]
            others = [
                other for other in chinese_pool if other not in inside and inside not in other
            ]
            return (
                _put(text, match, match[0][0] + rng.choice(others) + match[0][-1])
                if others
                else None
            )
        return None

    return name


def negated(text: str, rng: Random) -> str | None:
    """Deny what a sentence says, which denies nothing."""
    if re.search(r"\b(?:not|no|never|nor|neither|without|cannot)\b|n['’]t|[不没未无非]", text):
        return None
    match = _picked(
        re.compile(r"\b(?:is|are|was|were|will|shall|may|has been|can)\b(?= [a-z])"), text, rng
    )
    if match:
        return _put(text, match, f"{match[0]} not")
    match = _picked(
        re.compile(
            r"(?<=[\u4e00-\u9fff])(?:是(?![否不])|可以|能够)|(?<=[\u4e00-\u9fff])有(?=[\u4e00-\u9fff])"
        ),
        text,
        rng,
    )
    return _put(text, match, ("没" if match[0] == "有" else "不") + match[0]) if match else None


def affirmed(text: str, rng: Random) -> str | None:
    """Take the only "not" out of a sentence."""
    found = list(
        re.finditer(
            r"\bnot (?=[a-z])"
            r"|(?<=[\u4e00-\u9fff])(?:不(?=[能会是可得应需])|没(?=有)|未(?=[能经有]))",
            text,
        )
    )
    others = len(re.findall(r"\b(?:no|never|nor|neither|without|cannot)\b|[不没未无非]", text))
    if len(found) != 1 or others > (not text.isascii()):
        return None
    return _put(text, found[0], "")


def names_of(sentences: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names in sentences, Latin and Chinese, each once."""
    latin = dict.fromkeys(m[0] for s in sentences for m in _NAME.finditer(s))
    chinese = dict.fromkeys(m[0][1:-1] for s in sentences for m in _ZH_NAME.finditer(s))
    return list(latin), list(chinese)


# -- true, only worded differently -----------------------------------------------------------


def introduced(text: str, _: Random) -> str | None:
    """Put "According to the document" before it."""
    if text.isascii() or not re.search(r"[\u4e00-\u9fff]", text):
        first = text.split(" ", 1)[0]
        body = (
            text[0].lower() + text[1:]
            if first in {"The", "In", "This", "It", "These", "A"}
            else text
        )
        return f"According to the document, {body}"
    return f"根据文件，{text}"


def rescaled(text: str, _: Random) -> str | None:
    """Write an amount at another scale: $1,577 million as $1.577 billion, 3.2亿 as 32000万."""
    if match := re.search(r"(\d[\d,]*(?:\.\d+)?) (million|billion)\b", text):
        number = match[1].replace(",", "")
        if match[2] == "million":
            return _put(text, match, f"{_shifted(number, -3)} billion")
        return _put(text, match, f"{_shifted(number, 3)} million")
    if match := re.search(r"(\d[\d,]*(?:\.\d+)?)([万亿])", text):
        number = match[1].replace(",", "")
        new = f"{_shifted(number, 4)}万" if match[2] == "亿" else f"{_shifted(number, 4)}"
        return _put(text, match, new)
    return None


def _shifted(number: str, power: int) -> str:
    from decimal import Decimal

    return f"{Decimal(number).scaleb(power).normalize():f}"


def redated(text: str, _: Random) -> str | None:
    """Write a date in another order."""
    if match := re.search(rf"\b({'|'.join(_MONTHS)}) (\d{{1,2}}), (\d{{4}})", text):
        return _put(text, match, f"{match[2]} {match[1]} {match[3]}")
    if match := re.search(r"(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})日", text):
        return _put(text, match, f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}")
    return None


def respelt(text: str, _: Random) -> str | None:
    """Write per cent for %, and contract."""
    new = re.sub(
        r"(\d)\s?%", r"\1 percent" if not re.search(r"[\u4e00-\u9fff]", text) else r"\1％", text
    )
    new = (
        new.replace(" is not ", " isn't ").replace(" did not ", " didn't ").replace("可以", "能够")
    )
    return new if new != text else None


def shortened(text: str, _: Random) -> str | None:
    """Leave out what stands in brackets."""
    new = re.sub(r"\s?[(（][^()（）]*[)）]", "", text)
    return new if new != text and len(new) > 30 else None


MUTATIONS: dict[str, Change] = {
    "digit": digit, "chinese digit": chinese_digit, "scale": scale, "year": year,
    "month": month, "unit": unit, "negation added": negated, "negation removed": affirmed,
}  # fmt: skip
"""All but names, which need a library."""
NUMBERS = ("digit", "chinese digit", "scale", "year", "month", "unit")
REPHRASINGS: dict[str, Change] = {
    "as it stands": lambda text, _: text, "introduced": introduced, "another scale": rescaled,
    "another date": redated, "respelt": respelt, "brackets left out": shortened,
}  # fmt: skip
