"""What a question is about, in the words of the library that is asked."""

from __future__ import annotations

import re
import sqlite3
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Protocol

from rag.errors import StoreError
from rag.retrieval.query.content_words import content_terms, names_in
from rag.retrieval.relevance import rarity
from rag.text.language import is_cjk
from rag.text.parse_errors import attempt
from rag.verification.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from rag.protocols import Analyser


class IndexedTerms(Protocol):
    """What is asked of an index: the part of ``rag.protocols.PassageStore`` that knows terms."""

    def document_frequency(
        self, terms: Sequence[str], documents: Collection[str] | None = None
    ) -> tuple[dict[str, int], int]:
        """Return in how many passages each term occurs, and how many passages there are."""
        ...


_HOLLOW = frozenset(
    "的地得了着过吗呢吧啊呀么嘛是有没不无在和跟与及或而并但就都也还又再才只很太更最这那哪什怎如何为因所以"
    "谁几多少个些种次位名年月日时候间上下里外中前后会能可要想应该被把让给对从到于由向请问说讲写列举出做干"
    "用一二三两第我你他她它们啥吃样算叫各其此该每某件篇份本"
)
"""Chinese characters that alone say nothing of a subject; a pair with one is left out."""
_TASK_WORDS = (
    "summary summarize summarise list compare explain describe name change differ different "
    "difference much tell give say state according answer question document agreement report "
    "paper text pdf file contract about main mainly topic purpose kind type overview content "
    "overall brief key point passage following million billion thousand yes no any there mean"
)
_TASK_WORDS_ZH = (
    "文档 主要 内容 介绍 讲述 文章 论文 资料 文件 部分 方面 情况 关于 总结 概括 概述 说明 解释 "
    "区别 目的 类型 主题 信息 原文 答案 问题 具体 大概 大致 简单 简要 怎样 意思 叫做 名字 名称 "
    "比较 对比 哪里"
)
_TASKS = frozenset(f"{_TASK_WORDS} {_TASK_WORDS_ZH}".split())
"""Words and pairs by which a question says what is to be done, not with what."""
_SHORT_FORM = 3  # letters; a document may write it out
_YEAR = re.compile(r"(?:fy)?(?:19|20)?\d\d\Z")


def subject_of(question: str, *, analyser: Analyser, store: IndexedTerms) -> Subject:
    """Return a question's words with their weights, and its names; without any if it has none."""
    return attempt(
        partial(_subject, question, analyser, store),
        instead=Subject(),
        what="the words of a question",
    )


def _subject(question: str, analyser: Analyser, store: IndexedTerms) -> Subject:
    def telling(text: str) -> list[str]:
        return [term for term in content_terms(text, analyser) if _tells(term, analyser)]

    names = {
        term: name
        for name in names_in(question)
        for term in analyser.terms(name)
        if _is_name(term, analyser)
    }
    terms = telling(question)
    frequency, total = store.document_frequency(terms)

    @cache
    def holds(document_id: str, term: str) -> bool:
        try:
            return bool(store.document_frequency([term], [document_id])[0][term])
        except (StoreError, sqlite3.Error):  # costs this one check
            return True

    weights = {
        term: rarity(frequency[term], total)
        for term in terms
        # a word that stands nowhere is another word for something, or a slip; a name is not
        if frequency[term] or term in names or is_cjk(term[0]) or any(map(str.isdigit, term))
    }
    return Subject(weights, names, holds, telling)


@lru_cache(maxsize=4)
def _tasks(terms: Callable[[str], list[str]]) -> frozenset[str]:
    return frozenset([*_TASKS, *terms(" ".join(sorted(_TASKS)))])


def _tells(term: str, analyser: Analyser) -> bool:
    if term in _tasks(analyser.terms):
        return False
    return not is_cjk(term[0]) or (len(term) > 1 and not any(char in _HOLLOW for char in term))


def _is_name(term: str, analyser: Analyser) -> bool:
    """Say whether the term of a name is looked for: no year (FY2023), no short form (EPS, R&D)."""
    is_long = is_cjk(term[0]) or len(term) > _SHORT_FORM
    return _tells(term, analyser) and is_long and not _YEAR.match(term)
