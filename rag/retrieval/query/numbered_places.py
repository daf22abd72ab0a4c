"""Which numbered places a question names: "clause 7.2", 第七条, "figure 3", 附录二."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rag.retrieval.query.question_kind import place_rules
from rag.text.anchors import LETTERED, AnchorKind, kind_of, place_number
from rag.text.quantities.numerals import CHINESE

_MOST = 30  # numbers of a range; more than that is no place
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth"),
)
_EN_WORD = (
    r"sections?|sec\.|clauses?|articles?|art\.|chapters?|parts?|figures?|figs?\.?|charts?|tables?|"
    r"appendix|appendices|annex(?:es)?|schedules?|exhibits?|attachments?|footnotes?|notes?(?= \d)|"
    r"paragraphs?(?= \d)|§§?"
)
_EN_NUMBER = (
    r"\d{1,4}[a-z]?(?:[.-]\d{1,3}){0,4}(?:\s?\([a-z0-9]{1,4}\))*(?![\d%a-z])|(?<=[\s.])[a-z](?:[.-]?\d{1,3}){0,3}(?![a-z'])"
    r"|(?<=\s)[ivxlc]{1,6}(?![a-z'])"
    r"|(?:one|two|three|four|five|six|seven|eight|nine|ten)\b"
)
_PLACE = re.compile(
    rf"(?<![a-z-])(?P<word>{_EN_WORD})\s?(?:no\.?\s?|number\s|#\s?)?(?P<number>{_EN_NUMBER})"
    rf"(?:\s?(?:-|–|to|through)\s?(?P<to>{_EN_NUMBER}))?"
    rf"|\bthe (?P<ordinal>{'|'.join(_ORDINALS)}) "
    r"(?P<ordinal_word>section|clause|article|chapter|figure|table|footnote|appendix|schedule)\b"
    rf"|第\s*(?P<zh>\d{{1,4}}(?:\.\d{{1,3}}){{0,3}}|{CHINESE})\s*(?:[条款节章]?\s*[-–到至]\s*第?\s*(?P<zh_to>\d{{1,4}}|{CHINESE})\s*)?(?P<unit>条(?!生产线|线|路|街|河|腿|鱼|狗|裤)|款(?!车|手机|产品|型号|应用|游戏)|小?节(?!课|电池|车厢)|章|部分|篇(?!论文|文章|报告))(?:\s*第\s*(?P<sub>\d{{1,2}}|{CHINESE})\s*[款项])?"
    rf"|(?<![代发手企地关投电水钟仪列报外意试备标])(?P<zword>图|表|附录|附件|附表|脚注|注释|注)\s*(?P<znumber>\d{{1,3}}(?!个|年|月|天|次|元|万)(?:[.-]\d{{1,3}}){{0,2}}|[a-z](?![a-z])|[一二三四五六七八九十]+)"
    r"|(?:条款|条文)\s*(?P<article>\d{1,3}(?:\.\d{1,3}){0,3})|(?<![\d.])(?P<part>\d{1,3}(?:\.\d{1,3}){1,3})\s*(?P<part_word>小节|节|条|款|章)"
    rf"|第\s*(?P<note>\d{{1,3}}|{CHINESE})\s*(?:个|条)?(?P<note_word>脚注|注释)"
    rf"|第\s*(?P<fig>\d{{1,3}}|{CHINESE})\s*(?:张|个|幅)?(?P<fig_word>图|表)(?![书象片像格达示明面])",
    re.IGNORECASE,
)
_NAMES = ("word", "unit", "zword", "part_word", "note_word", "fig_word")
_NUMBERS = ("number", "zh", "znumber", "article", "part", "note", "fig")
"""Groups of the expression, of which a match has one each."""
_LETTERED = frozenset({"appendix", "annex", "schedule", "exhibit", "attachment"})
"""What is counted by letters, which people write small."""
_SINGULAR = {
    "小节": "节",
    "appendices": "appendix", "annexes": "annex", "figs": "fig", "figs.": "fig.", "fig": "fig",
    "note": "footnote", "notes": "footnote", "注释": "注",
}  # fmt: skip
_WORD_NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
}


@dataclass(frozen=True, slots=True)
class NumberedPlace:
    """One place; ``word`` is what the question calls it, ``parts`` what comes below its number."""

    kind: AnchorKind
    word: str
    number: str
    parts: tuple[str, ...] = ()  # of "5(b)(ii)": b, ii

    @property
    def written(self) -> str:
        """The number with its parts."""
        return self.number + "".join(f"({part})" for part in self.parts)


@dataclass(frozen=True, slots=True)
class PlaceQuestion:
    """The places that a question names, and whether it asks for nothing but what they say."""

    places: tuple[NumberedPlace, ...]
    bare: bool


def numbered_places(question: str) -> PlaceQuestion:
    """Return the numbered places that a question names, in its order.

    >>> asked = numbered_places("What does clause 7.2(b) say?")
    >>> asked.bare, asked.places[0].kind, asked.places[0].written
    (True, 'clause', '7.2(b)')
    >>> [place.number for place in numbered_places("第三条到第五条规定了什么？").places]
    ['3', '4', '5']
    >>> numbered_places("What is the deadline in section 4?").bare
    False
    """
    asked = unicodedata.normalize("NFKC", question)
    found: dict[NumberedPlace, None] = {}
    for match in _PLACE.finditer(asked):
        if _is_number(match, asked):
            found.update(dict.fromkeys(_places(match)))
    rest = _PLACE.sub("@", asked)
    return PlaceQuestion(tuple(found), bool(found) and _is_bare(_tidy(rest)))


def _is_number(match: re.Match[str], asked: str) -> bool:
    """Tell "appendix B" and "Part II" from "the figure I have to pay" and "which section a ..."."""
    number = match["number"] or ""
    if not number.isalpha() or number.lower() in _WORD_NUMBERS:
        return True
    if number.lower() in {"a", "i"} and re.match(r"\s+[a-z\u3400-\u9fff]", asked[match.end() :]):
        return False
    return number.isupper() or match["word"].lower() in _LETTERED


def _places(match: re.Match[str]) -> list[NumberedPlace]:
    given = {name: value for name, value in match.groupdict().items() if value}
    if "ordinal" in given:
        kind, word = kind_of(given["ordinal_word"])
        return [NumberedPlace(kind, word, str(_ORDINALS.index(given["ordinal"].lower()) + 1))]
    named = (
        next(given[name] for name in _NAMES if name in given) if "article" not in given else "款"
    )
    kind, word = kind_of(_singular(named.lower()))
    first = next(given[name] for name in _NUMBERS if name in given)
    number, *parts = re.split(r"\s?[()]+\s?", first.strip("() ").replace(")(", "("))
    if sub := given.get("sub"):
        parts.append(place_number(sub))
    if ranged := _RANGE.fullmatch(number) if named.lower().endswith("s") else None:
        number, given["to"] = ranged["first"], ranged["last"]
    begin = _number(number, kind)
    made = [NumberedPlace(kind, word, begin, tuple(part.lower() for part in parts if part))]
    last = _number(given.get("to") or given.get("zh_to") or "", kind)
    if last.isdecimal() and begin.isdecimal() and int(begin) < int(last) < int(begin) + _MOST:
        made += [
            NumberedPlace(kind, word, str(value)) for value in range(int(begin) + 1, int(last) + 1)
        ]
    return made


_RANGE = re.compile(r"(?P<first>\d{1,3})-(?P<last>\d{1,3})")
"""Of "sections 3-5"; "section 3-5" is one."""


def _number(written: str, kind: AnchorKind) -> str:
    if not written:
        return ""
    lettered = kind in LETTERED
    return _WORD_NUMBERS.get(written.lower()) or place_number(written, lettered=lettered)


def _singular(word: str) -> str:
    if word in _SINGULAR:
        return _SINGULAR[word]
    return word.removesuffix("s")


def _tidy(rest: str) -> str:
    return " ".join(rest.casefold().split()).strip(" .?!？。！,，:：\"'“”‘’")


def _is_bare(rest: str) -> bool:
    written = rest, rest.replace(" ", "")
    return any(rule.fullmatch(words) for rule in place_rules() for words in written)
