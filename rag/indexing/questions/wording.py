"""Asks for a fact in other words than the page's: by rules, in English and Chinese.

The answer is masked, what is beside the point is left out, the order changes, and some words
give way to others of the same meaning, so that a question is no copy of its passage.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from rag.indexing.questions.facts import Fact
from rag.text.quantities import Quantity

_ENGLISH: Mapping[str, str] = {
    "increased": "rose", "decreased": "fell", "approximately": "", "obtain": "get",
    "purchase": "buy", "purchased": "bought", "employees": "staff", "commenced": "began",
    "terminate": "end", "terminated": "ended", "prior to": "before", "subsequent to": "after",
    "pursuant to": "under", "in accordance with": "under", "located": "situated",
    "revenue": "sales", "assist": "help", "utilize": "use", "annual": "yearly",
    "additional": "further", "primarily": "mainly", "provide": "give", "provides": "gives",
    "entered into": "signed", "total": "", "respectively": "", "such": "",
}  # fmt: skip
_CHINESE: Mapping[str, str] = {
    "目前": "", "主要": "", "大约": "", "分别": "", "正式": "", "已经": "", "曾经": "",
    "位于": "在", "举行": "举办", "成立": "建立", "增长": "上升", "下降": "减少", "开始": "起",
    "使用": "用", "能够": "可以", "提供": "给出", "非常": "很", "由于": "因为", "超过": "多于",
    "获得": "得到", "担任": "出任", "发现": "找到", "达到": "达", "逝世": "去世", "出生": "生",
}  # fmt: skip
_COMMON = frozenset({  # words that a sentence begins with without being a name
    "the", "a", "an", "our", "we", "in", "on", "at", "for", "during", "as", "each", "all", "any",
    "no", "net", "total", "under", "if", "this", "these", "such", "its", "their", "other", "loss",
    "sales", "revenue", "revenues", "cash", "income", "interest",
})  # fmt: skip
_REPLACED = 0.6  # of the words that have another
_AUXILIARY = re.compile(
    r"^(?P<subject>[^,;:]{2,70}?(?<! that)(?<! which)(?<! who)) "
    r"(?P<verb>is|are|was|were|has|have|had|will|shall|must|may|can) "
    r"(?P<rest>.*)$"
)
_OPENING = re.compile(
    r"^(?:In addition|Additionally|Furthermore|Generally|Currently|Finally|As of|During|In|On|At|"
    r"For|Under|Effective|Pursuant to|With respect to) [^,]{2,60}, (?=[A-Z\w])"
)
_LINKS = re.compile(
    r"\b(?:on|in|at|of|to|by|for|from|as|about|than|a|an|the|and|or|with|over|be|no|its|this)$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[\d,.]+")
_CLAUSES = re.compile(r"(?<=[，；,;])")
_ADVERB = re.compile(r"^(?:Some|Just|Only|About|Approximately|Nearly|Over|At least)$")
_TAIL, _SHORT_TAIL, _FEW = 16, 8, 3  # words
_LEAST = 7  # Chinese characters: a shorter clause says too little


def worded(fact: Fact, *, seed: str, document: str = "") -> str:
    """Return a question for a fact; the same seed gives the same one.

    ``document`` names where to look, for what several documents say.
    """
    chance = random.Random(f"{seed}|{fact.text}")  # noqa: S311 - not for secrets
    if fact.language == "zh":
        question = _chinese(fact, chance)
        return f"在《{document}》中，{question}" if document else question
    question = _english(fact, chance)
    if document:
        question = f"{question.rstrip('?')}, according to {document}?"
    return question


def _english(fact: Fact, chance: random.Random) -> str:
    if fact.kind == "heading":
        return f"What is said about {_turned(fact.text, ' and ', chance)}?"
    if fact.kind == "definition":
        return chance.choice(["What is {}?", "What is meant by {}?"]).format(_lowered(fact.text))
    if fact.kind == "table":
        label = re.sub(r"\s*\([^)]*\)", "", fact.text)
        year = f" in {fact.column}" if fact.column else ""
        form = chance.choice(
            ["What was the figure for {}{}?", "What does the table give for {}{}?"]
        )
        return form.format(_lowered(label), year)
    return _english_sentence(fact, chance)


def _english_sentence(fact: Fact, chance: random.Random) -> str:
    head, tail = fact.text[: fact.start], fact.text[fact.end :].rstrip(" .")
    if fact.quantity is None:  # a name that the sentence begins with
        return _tidy(_replaced(f"Who or what {_first_clauses(tail)}", _ENGLISH, chance)) + "?"
    head, late = _moved_back(head)
    wh, tail = _english_wh(fact, tail)
    dated = fact.quantity.date is not None
    head = head.rstrip(' $€£“"(')
    while dated and (link := _LINKS.search(head)):
        head = head[: link.start()].rstrip()
    tail = _first_clauses(tail)
    head = _ADVERB.sub("", head)
    said = _AUXILIARY.match(f"{head} ")
    turns = said is not None and (dated if said["rest"].strip() else not dated)
    if dated and not head:  # the answer stood in the opening: "On 3 May 2019, we sold ..."
        parts = [wh, "was it that", _lowered(tail)]
    elif dated and len(head.split()) < _FEW:
        return ""
    elif said is not None and turns and len(tail.split()) <= _SHORT_TAIL:
        parts = [wh, said["verb"], _lowered(said["subject"]), said["rest"].strip(), tail, late]
    else:
        opening = f"{late[:1].upper()}{late[1:]}," if late else ""
        inside = wh if not head and not late else wh[:1].lower() + wh[1:]
        parts = [opening, _lowered(head) if late else head, inside, tail]
    return _tidy(_replaced(" ".join(filter(None, parts)), _ENGLISH, chance)) + "?"


def _moved_back(head: str) -> tuple[str, str]:
    """Split "In 2018, sales were" into what is said and what may stand at the end."""
    opening = _OPENING.match(head)
    if opening is None:
        return head, ""
    return head[opening.end() :], _lowered(opening[0].rstrip(", "))


def _first_clauses(text: str) -> str:
    """Return the words after the answer as far as they belong to it."""
    kept = re.split(r"[;(]|, (?:and|but|which|while|as|or|who|including|except) ", text)[0]
    words = kept.strip(' ,)”"’').split()
    return " ".join(words[:_TAIL])


def _english_wh(fact: Fact, tail: str) -> tuple[str, str]:
    """Return what is asked for, and what is left of the words after the answer."""
    quantity = fact.quantity
    if quantity is not None and quantity.date is not None:
        return ("In which year" if re.fullmatch(r"\d{4}", fact.answer) else "When"), tail
    if "%" in fact.answer or "percent" in fact.answer:
        return "What percentage", tail
    money = re.search(r"[$€£¥]|dollar|euro|USD", fact.answer)
    if money or fact.text[: fact.start].rstrip()[-1:] in set("$€£¥"):
        return "How much", tail
    if unit := _NUMBER.sub("", fact.answer).strip(" -"):
        return f"How many {unit}", tail
    noun = re.match(r"\s*((?:[a-z-]+ ){0,2}?[a-z]{3,}s)\b", tail)
    return (f"How many {noun[1]}", tail[noun.end() :]) if noun else ("How many", tail)


def _chinese(fact: Fact, chance: random.Random) -> str:
    if fact.kind == "heading":
        form = chance.choice(["关于{}，文中讲了什么？", "文档里怎么说明{}？", "{}方面有哪些内容？"])
        return form.format(_turned(fact.text, "与和及", chance))
    if fact.kind == "definition":
        return chance.choice(["什么是{}？", "{}指的是什么？", "{}是什么意思？"]).format(fact.text)
    if fact.kind == "table":
        year = f"{fact.column}年" if fact.column else ""
        return f"{year}{fact.text}是多少？"
    return _chinese_sentence(fact, chance)


def _chinese_sentence(fact: Fact, chance: random.Random) -> str:
    """Ask with the clause that holds the answer, and the first one where that is not enough."""
    at = 0
    clauses = []
    for clause in _CLAUSES.split(fact.text.rstrip("。！")):
        clauses.append((at, clause))
        at += len(clause)
    place = max(n for n, (start, _) in enumerate(clauses) if start <= fact.start)
    start, clause = clauses[place]
    inside = fact.start - start
    head, tail = clause[:inside], clause[inside + len(fact.answer) :].rstrip("，；,;")
    asked = _chinese_wh(fact.quantity, fact.answer)
    core = f"{head}{asked}{tail}"
    subject = clauses[0][1].rstrip("，；,;") if place else ""
    topic = fact.topic if fact.topic and fact.topic not in core else ""
    if place and topic:
        core = f"{topic}{chance.choice(['的', '：', '，'])}{core}"
    elif _LEAST <= len(subject) <= 4 * _LEAST:
        core = f"{core}（{subject}）" if chance.random() < 0.5 else f"{subject}，{core}"  # noqa: PLR2004
    elif topic and len(core) < 3 * _LEAST:
        core = f"{topic}：{core}"
    core = re.sub(r"（[^（）多少什么哪]*）(?=.)", "", core)
    core = re.sub(r"\s+(?=多少|哪|什么|百分)", "", core)
    return f"{_replaced(core, _CHINESE, chance).strip('，, ')}？"


def _chinese_wh(quantity: Quantity | None, answer: str) -> str:
    if quantity is None:
        return "什么"
    if re.fullmatch(r"\d{4}年?", answer):
        return "哪一年"
    if quantity.date is not None:
        return "什么时候"
    if "%" in answer or "百分" in answer:
        return "百分之多少"
    return "多少" + _NUMBER.sub("", answer).strip()


def _turned(text: str, joints: str, chance: random.Random) -> str:
    """Return both halves of a text in the other order, where a joint stands between them."""
    if not joints.isascii():
        for joint in joints:
            first, found, second = text.partition(joint)
            if found and len(first) > 1 and len(second) > 1:
                return f"{second}{chance.choice('和与')}{first}"
        return text
    first, found, second = text.partition(joints)
    found = "" if "," in text else found
    if found and second[:1].islower():  # only its place gave the first word a capital
        first = first[:1].lower() + first[1:]
    return f"{_lowered(second)}{joints}{_lowered(first)}" if found else _lowered(text)


def _replaced(text: str, words: Mapping[str, str], chance: random.Random) -> str:
    for word, other in words.items():
        pattern = rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word)
        if re.search(pattern, text) and chance.random() < _REPLACED:
            text = re.sub(pattern, other, text)
    return text


def _lowered(text: str) -> str:
    """Return a text with a small first letter, unless that may belong to a name."""
    words = text.split()
    common = bool(words) and words[0].lower() in _COMMON
    plain = len(words) > 1 and words[0].istitle() and all(w[0].islower() for w in words[1:])
    return text[:1].lower() + text[1:] if common or plain else text


def _tidy(text: str) -> str:
    return re.sub(r"\s+([,?])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,–")
