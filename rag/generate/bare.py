"""What of a sentence is compared: without what a model adds around its claims.

List marks, citation marks, emphasis, "according to the documents", and the page it names.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_LEAD = re.compile(
    r"^\s*(?:(?:according to|based on|as (?:stated|mentioned) in) (?:the|these|your) (?:\w+ )?"
    r"(?:document|passage|text|context|information|excerpt)s?[^,]{0,40},\s+"
    r"|根据(?:上述|以上|所给|提供的|给定的)?(?:文件|文档|资料|段落|内容|信息|原文|文中)[^，,]{0,8}[，,])",
    re.IGNORECASE,
)
_ON_PAGE = re.compile(
    r"(?<!\s)\s*(?:\b(?:on|from|at|in|of)\s+)?(?:the\s+)?\b(?:PDF\s+)?page\s+(\d{1,4})\b"
    r"|(?:在|于)?(?:文件|文档|PDF)?第\s?(\d{1,4})\s?页[上中的]?",
    re.IGNORECASE,
)
_TIMES = r"(?!(?:(?<=[\d)）%])|(?<=[\d)）%] ))\* ?[\d(（$€£¥])"  # 135,987 * 100 is no markup
_MARKUP = re.compile(rf"^\s*(?:[-*+•]|\(?\d{{1,2}}[.)、])\s+|\[\d{{1,3}}\]|{_TIMES}[*_`#|]+")


def bare(sentence: str) -> str:
    """Return a sentence without marks and without the words that lead to it.

    >>> bare("- **The fee** is 1,577 [2]."), bare("According to the document, it is 3 * 4 = 12.")
    ('  The fee  is 1,577  .', 'it is 3 * 4 = 12.')
    """
    return _LEAD.sub("", _MARKUP.sub(" ", sentence))


def without_pages(sentence: str, known: Collection[str]) -> str:
    """Return a sentence without "on page 14" where 14 is among the ``known``.

    >>> without_pages("The fax on page 14 is 555, and on page 15 it is 556.", {"14"})
    'The fax is 555, and on page 15 it is 556.'
    """
    return _ON_PAGE.sub(lambda page: "" if (page[1] or page[2]) in known else page[0], sentence)
