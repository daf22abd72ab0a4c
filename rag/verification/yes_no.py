"""Bare yes and no: an answer that says nothing itself, so that its place is the question's."""

from __future__ import annotations

import re
from collections.abc import Callable

from rag.text.language import is_cjk
from rag.verification.wording import negations

_YES = re.compile(
    r"\W*(?:yes|yeah|correct|right|是的?|对的?|会的?|能的?|可以的?|有的?|需要的?|应该的?|同意|正确|没错)"
    r"(?=\W|$)[\s,，.。!！;；:：]*",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\W*(?:no|nope|not|incorrect|不是的?|不会的?|不能|不可以|不需要|不应该|没有|否|不|不行|不对|并非)"
    r"(?=\W|$)[\s,，.。!！;；:：]*",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    "是不是|能不能|会不会|有没有|可不可以|要不要|对不对|好不好|需不需要|该不该|是否|能否|可否"
)
_ASKS = re.compile(
    r"^\W*(?:(?:and|so|ok|but|then)\b\W*)*(?:is|are|was|were|do|does|did|can|could|may|might|must|"
    rf"shall|should|will|would|has|have|had|am)\b|吗|{_CHOICE.pattern}",
    re.IGNORECASE,
)
_PARTICLES = frozenset("是的会能可以有对不没否吧了啊呢要需应该")
_BARE = 6  # characters; a longer one restates the question, and is a sentence like any other
_DENIED = re.compile(r"\W*(?:不|没|否|非|未)")


def answered(question: str, sentence: str, terms: Callable[[str], list[str]]) -> bool | None:
    """Return what a sentence answers that says yes or no, or a verb of the question, and no more.

    >>> words = lambda text: text.lower().strip(".?").split()
    >>> answered("Is the lease renewable?", "Yes.", words)
    True
    >>> answered("Is the lease renewable?", "Yes, for two years.", words) is None
    True
    """
    if not _ASKS.search(question) or "还是" in question:
        return None
    for pattern, yes in ((_NO, False), (_YES, True)):
        match = pattern.match(sentence)
        if match and not terms(sentence[match.end() :]):
            return yes
    said = {char for char in sentence if is_cjk(char)}
    if (
        said
        and len(sentence) <= _BARE
        and said <= set(question) | _PARTICLES
        and not re.search(r"[A-Za-z0-9]", sentence)
    ):
        return not _DENIED.match(sentence)
    return None


def denies(question: str, place: str) -> bool:
    """Say whether a place denies what a question asks, by how often both say "not".

    >>> denies("May a party assign it?", "No party may assign it.")
    True
    """
    asked = negations(_CHOICE.sub("", question))
    return bool(negations(" ".join(place.split())) % 2) != bool(asked % 2)
