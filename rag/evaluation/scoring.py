"""The arithmetic of evaluation: from rankings and answers to numbers.

All figures lie between 0 and 1, higher is better. Answers are compared after NFKC, case
folding and dropping punctuation, so that full-width and half-width are the same.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from rag.types.answers import Passage

NUMBER_TOLERANCE = 0.01
SHORT = 12  # words or characters
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7ff]")
_TOKEN = re.compile(rf"{_CJK.pattern}|\d[\d,]*(?:\.\d+)?|[^\W\d_]+")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER = re.compile(
    r"(?<![\w.])(-?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+))\s*"
    r"(thousand\b|million\b|mn\b|billion\b|bn\b|trillion\b|万亿|百万|千万|万|亿|千|百)?"
)
_SCALES = {
    "thousand": 1e3, "million": 1e6, "mn": 1e6, "billion": 1e9, "bn": 1e9, "trillion": 1e12,
    "百": 1e2, "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8, "万亿": 1e12,
}  # fmt: skip
# Reports give one amount in thousands, the next in millions; 1.6 billion is 1,577 (million).
_ANY_SCALE = tuple(10.0**power for power in (-9, -6, -3, 0, 3, 6, 9))
_YES = re.compile(r"\W*(?:yes|correct|true|是的?|对|正确|有|可以|会|能)(?![a-z])")
_NO = re.compile(r"\W*(?:no|not|incorrect|false|不|否|没有|没|无|错误)(?![a-z])")


def first_hit(passages: Sequence[Passage], *, document: str, pages: Collection[int]) -> int | None:
    """Return the 1-based rank of the first passage of ``document`` that overlaps ``pages``."""
    for rank, passage in enumerate(passages, start=1):
        chunk = passage.chunk
        if passage.document == document and any(
            chunk.first_page <= page <= chunk.last_page for page in pages
        ):
            return rank
    return None


def ndcg_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float:
    """Return nDCG@k = DCG / ideal DCG with DCG = sum of gain / log2(rank + 1).

    Gains are linear, as in trec_eval. Without any relevant item the result is 0.
    """
    gains = [relevant.get(item, 0.0) for item in ranked[:k]]
    ideal = _dcg(sorted(relevant.values(), reverse=True)[:k])
    return _dcg(gains) / ideal if ideal > 0 else 0.0


def recall_at(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Return the share of the relevant items that stand among the first ``k``."""
    return len(set(ranked[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """One answer against its gold answers, the best of them."""

    contains: float  # a gold answer stands in the answer, as words or as a number
    exact: float  # equal after normalising, or the only number of both, or the same yes or no
    f1: float  # overlap of words, of characters for Chinese
    grade: float  # a number or a yes or no is right or wrong, all else counts its F1


def score_answer(answer: str, golds: Sequence[str]) -> AnswerScore:
    """Score a short answer against each gold answer and keep the best figure of each kind."""

    def best(rule: Callable[[str, str], float]) -> float:
        return max((float(rule(answer, gold)) for gold in golds), default=0.0)

    return AnswerScore(best(contains), best(exact), best(f1), best(grade))


def short_answers(golds: Sequence[str]) -> list[str]:
    """Return the short ones; rules do not judge longer answers as people do."""
    return [gold for gold in golds if 0 < len(tokens(gold)) <= SHORT]


def contains(answer: str, gold: str) -> bool:
    """Say whether ``gold`` stands in ``answer``: its tokens in a row, or its number.

    A gold answer of yes or no must be the answer's first word, because "no" is in many
    sentences. A number may be off by 1 % and written at another scale.
    """
    if (truth := _truth(gold)) is not None:
        return yes_or_no(answer) == truth
    wanted, given = tokens(gold), tokens(answer)
    width = len(wanted)
    if width and any(given[i : i + width] == wanted for i in range(len(given) - width + 1)):
        return True
    return number_matches(answer, gold)


def exact(answer: str, gold: str) -> bool:
    """Say whether both are the same after normalising, one number, or the same yes or no."""
    if tokens(answer) == tokens(gold):
        return True
    if (truth := _truth(gold)) is not None:
        return yes_or_no(answer) == truth and len(tokens(answer)) == 1
    return len(numbers(answer)) == 1 and number_matches(answer, gold)


def grade(answer: str, gold: str) -> float:
    """Return 1 or 0 where ``gold`` is a number or a yes or no, else the F1.

    >>> grade("Revenue was $1.577 billion.", "1,577"), grade("是的，可以。", "是"), grade("x", "5%")
    (1.0, 1.0, 0.0)
    """
    if is_number(gold):
        return float(number_matches(answer, gold))
    if (truth := _truth(gold)) is not None:
        return float(yes_or_no(answer) == truth)
    return f1(answer, gold)


def f1(answer: str, gold: str) -> float:
    """Return 2PR / (P + R) over the bags of tokens; a CJK character is a token."""
    given, wanted = Counter(tokens(answer)), Counter(tokens(gold))
    shared = (given & wanted).total()
    if not shared:
        return 0.0
    return 2 * shared / (given.total() + wanted.total())


def tokens(text: str) -> list[str]:
    """Return words without articles, numbers in one spelling, and single CJK characters.

    >>> tokens("The 1,577.00 TB/s 显存")
    ['1577', 'tb', 's', '显', '存']
    """
    found: list[str] = _TOKEN.findall(_normalise(text))
    return [_one_spelling(token) for token in found if token not in _ARTICLES]


def numbers(text: str) -> list[float]:
    """Return the numbers of a text at their scale; an amount in brackets is not negative.

    >>> numbers("$1,577.00 million, 3.2亿, -12 and 45%")
    [1577000000.0, 320000000.0, -12.0, 45.0]
    """
    return [
        float(match[1].replace("$", "").replace(",", "")) * _SCALES.get(match[2] or "", 1.0)
        for match in _NUMBER.finditer(_normalise(text))
    ]


def number_matches(answer: str, gold: str) -> bool:
    """Say whether the number that ``gold`` consists of stands in ``answer``.

    It may be off by 1 % and at another scale. A gold answer with more words than a unit is
    no number, so "One (1) Year" does not match every 1.
    """
    if not is_number(gold):
        return False
    wanted = abs(numbers(gold)[0])
    return any(
        math.isclose(abs(given) * scale, wanted, rel_tol=NUMBER_TOLERANCE)
        for given in numbers(answer)
        for scale in _ANY_SCALE
    )


def is_number(gold: str) -> bool:
    """Say whether an answer is one number, with no more words than a unit.

    >>> is_number("$1,577.00 million"), is_number("3.2亿美元"), is_number("One (1) Year")
    (True, True, False)
    """
    words = tokens(_NUMBER.sub(" ", _normalise(gold)))
    return len(numbers(gold)) == 1 and len(words) <= (2 if _CJK.search(gold) else 1)


def yes_or_no(text: str) -> bool | None:
    """Return what a text begins with: yes, no, or neither (``None``)."""
    folded = _normalise(text)
    if _NO.match(folded):
        return False
    return True if _YES.match(folded) else None


def _truth(gold: str) -> bool | None:
    """Return what a gold answer of one word says; ``None`` if that is neither yes nor no."""
    return yes_or_no(gold) if len(tokens(gold)) == 1 else None


def _normalise(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _one_spelling(token: str) -> str:
    plain = token.replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
