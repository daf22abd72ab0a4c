"""What a question is about, in the words of the library that is asked."""

from __future__ import annotations

import re
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from rag.retrieval.query.content_words import content_terms, names_in
from rag.text.language import is_cjk
from rag.text.parse_errors import attempt
from rag.verification.subject import Subject, rarity

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rag.protocols import Analyser


class IndexedTerms(Protocol):
    """What is asked of an index: the part of ``rag.protocols.PassageStore`` that knows terms."""

    def document_frequency(
        self, terms: Sequence[str], documents: Collection[str] | None = None
    ) -> tuple[dict[str, int], int]:
        """Return in how many passages each term occurs, and how many passages there are."""
        ...

    def match(
        self, terms: Sequence[str], *, k: int, documents: Collection[str] | None
    ) -> list[tuple[int, float]]:
        """Return passages that hold any of the terms."""
        ...


_HOLLOW = frozenset(
    "的地得了着过吗呢吧啊呀么嘛是有没不无在和跟与及或而并但就都也还又再才只很太更最这那哪什怎如何为因所以"
    "谁几多少个些种次位名年月日时候间上下里外中前后会能可要想应该被把让给对从到于由向请问说讲写列举出做干"
    "用一二三两第我你他她它们啥吃样算叫各其此该每某件篇份本"
)
"""Chinese characters that alone say nothing of a subject; a pair with one is left out."""
_TASK_WORDS = (
    "summari summaris summarize summarise list compar compare explain describ describe name chang "
    "differ differenc much tell give say state accord answer question document agreement report "
    "paper text pdf file contract about main mainli topic purpos kind type overview content overal "
    "brief key point passag follow million billion thousand yes no any there mean"
)
_TASK_WORDS_ZH = (
    "文档 主要 内容 介绍 讲述 文章 论文 资料 文件 部分 方面 情况 关于 总结 概括 概述 说明 解释 "
    "区别 目的 类型 主题 信息 原文 答案 问题 具体 大概 大致 简单 简要 怎样 意思 叫做 名字 名称 "
    "比较 对比 哪里"
)
_TASKS = frozenset(f"{_TASK_WORDS} {_TASK_WORDS_ZH}".split())
"""Stems and pairs by which a question says what is to be done, not with what."""
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
        return [term for term in content_terms(text, analyser) if _tells(term)]

    terms = telling(question)
    frequency, total = store.document_frequency(terms)

    @cache
    def holds(document_id: str, term: str) -> bool:
        return bool(store.match([term], k=1, documents=[document_id]))

    names = chain.from_iterable(map(analyser.terms, names_in(question)))
    weights = {term: rarity(frequency[term], total) for term in terms}
    return Subject(weights, tuple(dict.fromkeys(filter(_is_name, names))), holds, telling)


def _tells(term: str) -> bool:
    if is_cjk(term[0]):
        hollow = term in _TASKS or any(char in _HOLLOW for char in term)
        return len(term) > 1 and not hollow
    return term not in _TASKS


def _is_name(term: str) -> bool:
    """Say whether the term of a name is looked for: no year (FY2023), no short form (EPS, R&D)."""
    return _tells(term) and (is_cjk(term[0]) or len(term) > _SHORT_FORM) and not _YEAR.match(term)
