"""Which questions are about whole documents, so that a few passages cannot answer them.

Rules, and narrow ones: a question that is taken for such by mistake costs minutes of reading,
one that is missed is answered from its best passages and can be asked again on demand. "How
many GB does the A100 have" and "compare gross and net margin" are ordinary questions.
"""

from __future__ import annotations

import re
import unicodedata

from rag.retrieval.query.named_places import named_pages
from rag.types.answers import Task

_DOC = (
    r"(?:documents?|files?|pdfs?|reports?|papers?|articles?|essays?|books?|manuals?|contracts?|"
    r"agreements?|leases?|guides?|filings?|texts?|handbooks?|studies|study|thesis|theses|"
    r"specifications?|policies|policy|statements?|library|folder|10-?[kq]s?|whole thing)"
)
_WHICH = r"(?:the|this|these|those|that|my|our|your|all|both|each|every|whole|entire|full|two|of)"
_PREPOSITION = r"(?:of|in|on|for|about|from|regarding|between|to|with|by|and|or)"
# "the annual report", "all of my documents"; but not "the risk factors in the report"
_OBJECT = rf"(?:{_WHICH}\s+)+(?:(?!{_PREPOSITION}\b)[\w'’-]+\s+){{0,2}}?{_DOC}\b(?!['’]s?\b)"
_POINTS = (
    r"(?:main|key|most important|principal|central|major|core)\s+(?:points?|ideas?|topics?|"
    r"themes?|findings?|take-?aways?|messages?|conclusions?|arguments?|contents?|terms)"
)
_POLITE = (
    r"(?:please|kindly|can you|could you|would you|will you|i (?:want|need|would like) you to)"
)
# after the document nothing may follow that narrows the question to a part of it
_END = (
    r"(?:[\s,:;]*(?:please|for me|briefly|shortly))*"
    r"(?:[\s,:;]*(?:in (?:a|one|two|three|four|five|\d+|few|short|plain|simple|english|chinese)\b"
    r"|with |and |as ).*)?\s*[.?!]*\s*$"  # what is behind these words is of no matter
)
_SUMMARY = re.compile(
    rf"^\s*(?:{_POLITE}[,\s]+)*(?:briefly\s+|shortly\s+|quickly\s+)?"
    rf"(?:summari[sz]e|sum up|outline)"
    rf"(?:{_END}|\s+(?:(?:it|this|that|these|them|those|both|everything|all)(?: up)?{_END}"
    rf"|(?:the\s+)?(?:{_POINTS}|contents?)\s+(?:of|in|from)\s+{_OBJECT}{_END}|{_OBJECT}{_END}))"
    rf"|^\s*(?:{_POLITE}[,\s]+)*(?:(?:give|write|provide|make|create|produce|prepare)\s+(?:me\s+)?|"
    rf"i (?:want|need)\s+|what is\s+)?(?:an?\s+|the\s+)?(?:\w+[\s-]){{0,2}}"
    rf"(?:summary|overview|synopsis|gist|abstract)"
    rf"(?:\s+(?:of|for)\s+(?:{_OBJECT}|it|this|these|everything))?{_END}"
    rf"|^\s*tl;?\s?dr\b"
    rf"|\bwhat(?:\s+is|\s+are|['’]s)\s+{_OBJECT}\s+(?:all\s+|mainly\s+|mostly\s+)?about\s*\?*\s*$"
    rf"|\bwhat\s+(?:does|do)\s+{_OBJECT}\s+(?:say|cover|contain|describe)\s*\?*\s*$"
    rf"|\bwhat\s+(?:are|is)\s+the\s+{_POINTS}\s+(?:of|in|from)\s+{_OBJECT}{_END}",
    re.IGNORECASE,
)
_LIST = re.compile(
    rf"^\s*(?:{_POLITE}[,\s]+)*(?:list|enumerate|name|extract|collect|find|identify|"
    r"(?:show|give|tell)(?:\s+me)?)\s+(?:me\s+)?(?:out\s+)?"
    r"(?:all|every(?:thing|one)?|each of|each)\b"
    r"(?!\s*(?:right|else))"
    r"|\bwhat are all (?:of\s+)?(?:the|my|our)\b"
    r"|\b(?:complete|full|exhaustive) list of\b",
    re.IGNORECASE,
)
_SAYS = r"(?:mention|list|describe|name|discuss|define|cite|cover|talk about|refer to)"
_SAID = r"(?:mentioned|listed|described|named|discussed|defined|cited|referred to|covered)"
_COUNT = re.compile(
    rf"\bhow many\b.{{1,90}}?\b{_SAID}\s+(?:in|across|throughout|by)\s+{_OBJECT}"
    rf"|\bhow many\b.{{1,60}}?\b(?:does|do)\s+{_OBJECT}\s+{_SAYS}\b"
    rf"|\bhow many (?:times|different|distinct)\b.{{1,80}}?\b(?:in|across|throughout)\s+{_OBJECT}"
    rf"|\bhow many\b.{{1,80}}?\b(?:across|throughout)\s+{_OBJECT}"
    rf"|\bhow many (?:of\s+)?(?:{_WHICH}\s+)*(?:\w+\s+)?{_DOC}\s+{_SAYS}\b"
    rf"|^\s*(?:{_POLITE}[,\s]+)*count\s+(?:all|every|the|how many)\b",
    re.IGNORECASE,
)
_COMPARE = re.compile(
    r"\bcompar(?:e|es|ed|ing|ison)\b|\bdiffer(?:s|ence|ences)?\b|\bversus\b|\bvs\b|\bcontrast\b"
    r"|\bin common\b|\bsimilarit(?:y|ies)\b",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\b(?:these|those|both|(?:the|my|all(?: the| my)?) (?:two|three|four|\d+))\s+(?:\w+\s+){0,2}?"
    r"(?:documents|files|pdfs|reports|papers|articles|books|manuals|contracts|agreements|leases|"
    r"guides|filings|texts|policies|10-?ks)\b",
    re.IGNORECASE,
)

_GAP = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")
_ZH_DOC = (
    "(?:文档|文件|报告|论文|文章|合同|协议|手册|指南|资料|材料|书|年报|财报|说明书|规范|标准|讲义|"
    "教材|全文|正文|pdf|PDF)"
)
_ZH_WHICH = (
    "(?:这|该|本|此|那|上述|全部|所有|整|每|各|两|三|几|我的?|你的?|一|份|篇|本|个|些|的|里|中)"
)
_ZH_POINTS = (
    "(?:(?:主要|核心|全部|整体|关键|重要|基本|中心)的?)*"
    "(?:内容|要点|大意|观点|重点|结论|思想|主旨|信息|情况|章节)?"
)
_ZH_END = (
    "(?:吧|吗|呢|一下|下)?[，,]?(?:谢谢|[^，,]{0,6}(?:字|句话?|段|条)(?:以内|左右|即可)?)?"
    r"[。.？?！!\s]*$"
)
_ZH_OBJECT = f"{_ZH_WHICH}*[^，,。的]{{0,8}}?{_ZH_DOC}(?:里面?|中|内)?的?{_ZH_POINTS}"
_ZH_POLITE = "(?:请|麻烦|帮我|帮忙|能否|能不能|可以|你能?|我想|给我|用.{1,8}?)*"
_ZH_SUM = "(?:总结|概括|概述|归纳|综述|小结|梳理)"
_ZH_SUMMARY = "(?:摘要|总结|概要|综述|提要|小结|概述)"
_SUMMARY_ZH = re.compile(
    f"^{_ZH_POLITE}(?:简要|简单|大致|简短|快速|简明|概括)?地?{_ZH_SUM}(?:一下|下|出)?"
    f"(?:{_ZH_OBJECT}|本文|全文|此文|它们?|{_ZH_WHICH}+{_ZH_POINTS})?{_ZH_END}"
    f"|(?:把|将|对|为|给)(?:{_ZH_OBJECT}|本文|全文|此文)(?:做|作|写|进行|给出)?(?:一?[个份次下])?"
    f"(?:简要|简单|简短)?地?的?(?:{_ZH_SUM}|{_ZH_SUMMARY})(?:一下|下)?{_ZH_END}"
    f"|^{_ZH_POLITE}(?:写|给|做|生成|提供|列|给出|写出)(?:出|一|个|份|段|篇|下|简短的?|简要的?)*"
    f"(?:{_ZH_OBJECT}|本文|全文)?的?{_ZH_SUMMARY}{_ZH_END}"
    f"|(?:{_ZH_WHICH}+{_ZH_DOC}|本文|全文|此文)(?:里面?|中)?(?:主要|大概|大致|到底|究竟|都)*"
    f"(?:讲|说|写|介绍|谈|论述|描述)(?:了|的)?(?:是)?(?:些)?什么(?:内容)?{_ZH_END}"
    f"|(?:{_ZH_WHICH}+{_ZH_DOC}|本文|全文)的?(?:主要内容|中心思想|主旨|大意|主要观点|核心观点|要点)"
    f"(?:是什么|是啥|有哪些|是哪些)?{_ZH_END}"
)
_ZH_LIST = "(?:列出|列举|罗列|枚举|找出|给出|指出|写出|整理出?|提取|汇总|说出)"
_LIST_ZH = re.compile(
    f"{_ZH_LIST}(?:一下|下|来)?[^，。？]{{0,12}}?(?:所有|全部|每一|每[个项条种份]|各个)"
    f"|(?:所有|全部)[^，。？]{{1,30}}(?:列出来?|列举出来?|罗列出来?|找出来)"
    f"|(?:一一|逐一|逐条|逐个|完整地?|全部)地?(?:列出|列举|罗列)"
    f"|(?:所有|全部)的?[^，。？]{{1,20}}?(?:都)?(?:有|是)哪些"
)
_ZH_SAYS = "(?:提到|提及|列出|列举|出现|介绍|描述|涉及|讲到|定义|规定|包含|说到)"
_ZH_NUMBER = "(?:多少|几)"
_ZH_UNIT = "(?:个|种|项|条|次|处|位|家|款|类|份|章|节|名)"
_COUNT_ZH = re.compile(
    f"(?:{_ZH_DOC}|本文|文中|文章里)(?:里面?|中|内|当中)?(?:一共|总共|共计?|总计)?{_ZH_SAYS}(?:了|过)?"
    f"[^，。？]{{0,6}}?{_ZH_NUMBER}{_ZH_UNIT}"
    f"|{_ZH_DOC}(?:里面?|中|内)(?:一共|总共|共计?|总计)(?:有|{_ZH_SAYS})(?:了|过)?{_ZH_NUMBER}{_ZH_UNIT}"
    f"|{_ZH_NUMBER}(?:份|个|篇|本){_ZH_DOC}(?:中|里)?(?:都)?{_ZH_SAYS}"
    f"|{_ZH_DOC}(?:里面?|中|内)[^，。？]{{1,20}}出现(?:了|过)?{_ZH_NUMBER}次"
    f"|^{_ZH_POLITE}(?:统计|数一数|数一下|数数)"
)
_COMPARE_ZH = re.compile("比较|对比|区别|不同|差异|差别|异同|相同|共同点|相似")
_SEVERAL_ZH = re.compile(f"(?:两|三|这些|那些|几|各|二)(?:份|篇|个|本)?[^，。？]{{0,4}}?{_ZH_DOC}")

_CUES = re.compile(
    r"summ|outline|overview|synopsis|gist|abstract|tl;?\s?dr|about|main|key|major|core|list|"
    r"enumerate|\b(?:all|every|each|say|cover|contain|describe|common)\b|how many|count|"
    r"compar|differ|versus|\bvs\b|contrast|similar"
    r"|总结|概括|概述|概要|归纳|综述|小结|梳理|摘要|提要|什么|内容|思想|主旨|大意|观点|要点"
    r"|所有|全部|逐|一一|每|各个|多少|几|统计|数一数|数数|数一下|比较|对比|区别|不同|差|异同|相同|共同|相似",
    re.IGNORECASE,
)


def may_be_whole(question: str) -> bool:
    """Tell cheaply whether ``whole_task`` is worth asking: the documents need not be known."""
    return bool(_CUES.search(unicodedata.normalize("NFKC", question)))


def whole_task(question: str, *, documents: int) -> Task | None:
    """Return what the question wants of whole documents; ``None`` for an ordinary question.

    ``documents`` is how many are named in it or chosen beside it. Comparing is a matter of
    whole documents only where two or more are meant.

    >>> whole_task("Summarise this contract", documents=1), whole_task("总结全文", documents=0)
    ('summary', 'summary')
    >>> whole_task("How many GB does the A100 have?", documents=1) is None
    True
    """
    asked = " ".join(_GAP.sub("", unicodedata.normalize("NFKC", question)).split())
    several = documents > 1 or _SEVERAL.search(asked) or _SEVERAL_ZH.search(asked)
    compares = _COMPARE.search(asked) or _COMPARE_ZH.search(asked)
    pages = set(named_pages(asked))
    if (pages and not pages >= {1, -1}) or (compares and not several):
        return None  # a search finds what stands on a page, and two things that are no documents
    if compares:
        return "compare"
    if _LIST.search(asked) or _LIST_ZH.search(asked):
        return "list"
    if _COUNT.search(asked) or _COUNT_ZH.search(asked):
        return "count"
    if _SUMMARY.search(asked) or _SUMMARY_ZH.search(asked):
        return "summary"
    return None
