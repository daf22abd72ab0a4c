"""Recognises sentences that only say that the documents do not hold the answer."""

from __future__ import annotations

import re

_SOURCE = r"(?:document|passage|context|text|excerpt|source|material|information)s?"
_SILENT = (
    r"(?:(?:do|does|did)(?: not|n[o']t)|cannot|can't|is not|are not|isn't|aren't|never|fails? to)"
)
_SAYS = (
    r"(?:contain|mention|provide|includ|specif|state|stated|give|hold|say|address|discuss|"
    r"indicat|answer|have|list|cover|found|available|enough|sufficient|explicit)"
)
_ENGLISH = re.compile(
    rf"\b{_SOURCE}\b[^.]{{0,60}}\b{_SILENT}\b[^.]{{0,40}}\b{_SAYS}"
    rf"|\b(?:not|nor|neither) (?:\w+ )?{_SAYS}\w* (?:\w+ ){{0,2}}in (?:the|your|any|these|this)"
    rf" (?:\w+ )?{_SOURCE}\b"
    r"|\b(?:no|not any) (?:\w+ )?(?:information|details?|data) "
    r"(?:about|on|regarding|concerning|available|provided|given|is|are|was|in the)\b"
    r"|\bno (?:\w+ )?(?:mention|reference|answer) (?:of|to|in)\b"
    rf"|\bno (?:\w+ )?{_SOURCE} (?:\w+ )?{_SAYS}"
    rf"|\b(?:cannot|can't|could not|unable to|not possible to)(?: be)? "
    rf"(?:answer|determine|find|found|provide)",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    "(?:文档|段落|资料|文中|文本|上下文|材料|原文|内容|文件|信息)[^。！？]{0,40}"
    "(?:没有|未|不包含|不含|无法|找不到|不存在)[^。！？]{0,30}"
    "(?:答案|提及|提到|提供|说明|包含|信息|给出|回答|找到|涉及|描述|记载|内容|指出|列出|关于|确定|得知|判断|得出|知道)"
    "|(?:没有|未|无|找不到)(?:任何|直接|明确|具体)?(?:提到|提及|找到|关于|相关)[^。！？]{0,30}"
    "(?:信息|内容|答案|数据|资料|说明|段落)"
    "|(?:文档|段落|资料|文中|材料|原文)[^。！？]{0,12}(?:没有|未)(?:找到|提到|提及|说明|涉及)"
    "|无法(?:从|根据|基于|在|通过)[^。！？]{0,40}(?:回答|确定|得知|得出|判断|找到|获取|提供)"
    "|无法(?:回答|确定)(?:这个|该|此|你的)?问题"
)


def is_refusal(sentence: str) -> bool:
    """Say whether a sentence says that the documents, not the world, lack something.

    >>> is_refusal("The passages do not mention the price."), is_refusal("文档中没有答案。")
    (True, True)
    >>> is_refusal("The agreement does not contain a cap."), is_refusal("它没有风扇。")
    (False, False)
    """
    return bool(_ENGLISH.search(sentence) or _CHINESE.search(sentence))
