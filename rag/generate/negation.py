"""Does a sentence say "not" where its evidence does not, or up where it says down?"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ENGLISH = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|nothing|nobody|unable|(?:\w+n['’]t))\b",
    re.IGNORECASE,
)
# Words that hold such a character and deny nothing; 不得不 says yes.
_CHINESE_POSITIVE = re.compile(
    "不得不|不仅|不但|不断|不同|不少|不过|不久|不管|不论|不妨|不禁|不愧|不止|不只|不一|不等|不锈钢|不动产|"
    "不丹|无论|无线|无锡|无非|无数|无疑|无机|无人机|未来|未必不|非常|非洲|除非|并非不|否则|是否|能否|可否|"
    "与否|差别|区别|分别|特别|级别|类别|性别|个别|别名|别称|别墅|别的|别人|没收|淹没|埋没|莫非|莫斯科|要不|"
    "对不起|了不起|来不及|忍不住|差不多|说不定|不得已|不可思议|不约而同|不了了之"
)
_CHINESE = re.compile("不|没|无|未|非|否|勿|别|莫|毫无")
_BROKEN = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")  # 分 | 别, at a line's end
_OPPOSITES = tuple(
    (re.compile(rf"\b(?:{one})\w*", re.IGNORECASE), re.compile(rf"\b(?:{other})\w*", re.IGNORECASE))
    for one, other in (
        ("increas|grew|grow|rose|ris(?:e|ing)", "decreas|declin|fell|fall|drop|reduc"),
        ("higher|greater|more than|above", "lower|less than|fewer|below"),
        ("profit|gain|net income", "loss|net loss"),
        ("maximum|at most|largest|highest", "minimum|at least|smallest|lowest"),
        ("before|prior to", "after|following"),
        ("include", "exclude"),
        ("allow|permit", "forbid|prohibit"),
    )
) + tuple(
    (re.compile(one), re.compile(other))
    for one, other in (
        ("增长|增加|上升|上涨|提高|升高", "下降|减少|下跌|降低|下滑"),
        ("高于|多于|超过|大于", "低于|少于|不足|小于"),
        ("盈利|利润", "亏损"),
        ("最大|最高|最多|至多", "最小|最低|最少|至少"),
        ("之前|以前", "之后|以后"),
        ("包括|包含", "不包括|不含|除外"),
        ("允许", "禁止"),
    )
)


def negations(text: str) -> int:
    """Return how often a text denies something.

    >>> negations("It is not new and doesn't run."), negations("它不是新的，非常不同。")
    (2, 1)
    """
    text = _BROKEN.sub("", text)
    return len(_ENGLISH.findall(text)) + len(_CHINESE.findall(_CHINESE_POSITIVE.sub("", text)))


def opposites(claim: str, place: str) -> Iterator[str]:
    """Yield the words of a claim whose opposite stands at a place where they do not.

    >>> list(opposites("Sales increased by 5%.", "Sales declined by 5%."))
    ['increased']
    """
    for pair in _OPPOSITES:
        for one, other in (pair, pair[::-1]):
            said = one.search(claim)
            if said and not other.search(claim) and other.search(place) and not one.search(place):
                yield said[0]
