"""Pages that a question names: "on page 14", "第三页", "the cover page".

What stands there goes before what only speaks of the same thing elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.retrieve.fusion import Fused
from rag.text.quantities.numerals import CHINESE, ENGLISH, chinese_number, english_number
from rag.types.answers import Ranks

if TYPE_CHECKING:
    from rag.protocols import PassageStore
    from rag.retrieve.ranking import Ranking

# Measured: docs/decisions.md, "Pages that a question names".
_IN_ONE = 0.6  # of the score: being on the page, where one document is asked; it always leads
_AMONG_MANY = 0.3  # where the page of any document may be meant
_THERE = 0.5  # probability that a page which is named, and exists, is what is asked for
_LONGEST = 20  # pages of a range; more than that is no place

_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "last": -1, "final": -1,
}  # fmt: skip
_NUMBER = rf"\d{{1,4}}(?!\w)|{ENGLISH}\b"
_ENGLISH = re.compile(
    rf"(?<![\"'“‘\w-])(?:pages?|pp?\.)\s?(?P<from>{_NUMBER})"
    rf"(?:\s?(?P<by>-|–|to|through|and|&)\s?(?P<to>{_NUMBER}))?"
    rf"|\b(?P<ordinal>{'|'.join(_ORDINALS)})\s+page\b"
    r"|(?<!second )(?<!third )(?<!back )\b(?P<cover>cover|title|front)\s+page\b",
    re.IGNORECASE,
)  # a page in quotation marks is an example of an answer
_CHINESE = re.compile(
    rf"第\s*(?P<from>\d{{1,4}}|{CHINESE})\s*(?:(?P<by>页?\s*[-–到至]|[和与、])\s*第?\s*(?P<to>\d{{1,4}}|{CHINESE})\s*)?页"
    r"|(?P<cover>封面|(?<![站网主])首页)|(?P<last>最后一页|末页|尾页)"
)


def named_pages(question: str) -> list[int]:
    """Return the pages that a question names, from 1; -1 is the last page.

    >>> named_pages("What is the fax number on page fourteen?"), named_pages("第3到5页讲了什么？")
    ([14], [3, 4, 5])
    """
    found: list[int] = []
    for match in _ENGLISH.finditer(question):
        if match["from"]:
            found.extend(_numbers(match))
        else:
            found.append(_ORDINALS[match["ordinal"].lower()] if match["ordinal"] else 1)
    for match in _CHINESE.finditer(question):
        if match["from"]:
            found.extend(_numbers(match))
        else:
            found.append(1 if match["cover"] else -1)
    return list(dict.fromkeys(found))


def _numbers(match: re.Match[str]) -> Iterable[int]:
    begin, end = (_value((match[side] or match["from"]).lower()) for side in ("from", "to"))
    if match["by"] in {"and", "&", "和", "与", "、"}:
        return filter(None, (begin, end))
    return range(begin, end + 1) if 0 < begin <= end < begin + _LONGEST else ()


def _value(written: str) -> int:
    if written.isdecimal():
        return int(written)
    value = english_number(written) if written.isascii() else chinese_number(written)
    return int(value or 0)


def pages_first(
    question: str, ranking: Ranking, store: PassageStore, documents: Collection[str] | None
) -> Ranking:
    """Return the ranking with passages of pages that the question names before the others.

    Where one document is asked, all of what stands on the page is in the ranking; else what
    either leg has found of it.
    """
    pages = named_pages(question)
    if not pages:
        return ranking
    asked = {place[0] for place in ranking.places.values()} if documents is None else documents
    one = len(asked) == 1
    there = store.on_pages(pages, asked)
    if not one:
        there = [chunk_id for chunk_id in there if chunk_id in ranking.places]
    if not there:
        return ranking
    weight = _IN_ONE if one else _AMONG_MANY
    return replace(
        ranking,
        fused=_ordered(ranking.fused, there, weight),
        spread=_ordered(ranking.spread, there, weight),
        places={**ranking.places, **store.places(there)},
        relevance=max(ranking.relevance, _THERE) if one else ranking.relevance,
    )


def _ordered(items: Sequence[Fused], there: Sequence[int], weight: float) -> list[Fused]:
    on_page, known = set(there), {item.id for item in items}
    unknown = [Fused(chunk_id, 0.0, Ranks()) for chunk_id in there if chunk_id not in known]
    scored = [
        replace(item, score=(1 - weight) * item.score + weight * (item.id in on_page))
        for item in (*items, *unknown)
    ]
    return sorted(scored, key=lambda item: -item.score)
