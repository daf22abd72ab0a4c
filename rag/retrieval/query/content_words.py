"""Which words, names and years of a question say what it is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rag.retrieval.analyser import simplified
from rag.text.language import is_cjk
from rag.text.quantities import quantity_terms

if TYPE_CHECKING:
    from rag.protocols import Analyser


YEAR = re.compile(
    r"(?:\b(?:in|of|for|during|on|at)\s+)?(?:\b(?:the\s+)?(?:fiscal|calendar)(?:\s+year)?\s+)?"
    r"(?<!\d)(?:FY\s?)?(?:19|20)\d\d(?!\d)年?",
    re.IGNORECASE,
)
"""A year with the words that lead to it."""
_NAME = re.compile(r"\b(?:[A-Z][\w&-]*|\d+[A-Z][\w-]*)")
_MODEL_NAME = re.compile(r"(?<![A-Za-z0-9])[A-Z]{1,6}[ -]?\d{3,}[A-Za-z]{0,3}(?:\s\d+GB)?")
_NOT_NAMES = re.compile(
    r"(?:i|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|inc|ltd|corp|llc)\Z",
    re.IGNORECASE,
)


def names_in(text: str) -> list[str]:
    """Return the names in a question; a word that only begins it is none.

    Among Chinese, Latin letters are mostly terms, and only model numbers are names.
    """
    if any(map(is_cjk, text)):
        return _MODEL_NAME.findall(text)
    return [
        match[0]
        for match in _NAME.finditer(text)
        if not _NOT_NAMES.match(match[0])
        and (text[: match.start()].strip() or not match[0][1:].islower())
    ]


# Not here: may (a month), us (U.S.), it (IT), will (a document).
_ENGLISH = (
    "a an the of in on at to for from by with and or as is are was were be been do does did has "
    "have had this that these those what which who whom whose when where why how many "
    "much there their they he she his her i you we our your my me can could would should "
    "shall might must according"
)
_CHINESE = re.compile(
    "请问|是什么|是多少|为什么|什么时候|什么样|什么|哪些|哪个|哪一|哪里|哪年|哪儿|哪位|哪|多少|多大|多久|多长"
    "|如何|怎么样|怎样|怎么|是否|有没有|是谁|谁|几个|几年|几|吗|呢"
)

# A name with a number of three digits or more (RTX 5090, RX 7900, A100, ISO-9001). Years
# (FY2018) and amounts (USD 500) are written in many ways, so their absence says nothing; nor
# does a number after a single word ("A 500 euro fine").
_MODEL = re.compile(
    r"(?<![A-Za-z0-9])(?!(?:USD|EUR|GBP|CNY|RMB|HKD|JPY|CHF|US)[ -]?\d)"
    r"(?:[A-Z]{1,6}-?|[A-Z]{2,6} )(?!(?:19|20)\d\d(?!\d))\d{3,}[A-Za-z]{0,3}"
)


def model_numbers(question: str, analyser: Analyser) -> list[list[str]]:
    """Return for each model number in the question the terms that a passage may hold it as.

    Nobody writes such a name another way: a library that never says RTX 5090 has nothing to
    say about it, however much it knows of its neighbours.
    """
    found = [analyser.terms(match[0]) for match in _MODEL.finditer(question)]
    digits = [[term for term in terms if any(c.isdigit() for c in term)] for terms in found]
    return [terms for terms in digits if terms]


def content_terms(question: str, analyser: Analyser) -> list[str]:
    """Return the question's terms that carry weight, each once, in order.

    A question of nothing but such words keeps them all.
    """
    asked = dict.fromkeys(analyser.terms(_CHINESE.sub(" ", simplified(question))))
    idle = set(analyser.terms(_ENGLISH))
    kept = [term for term in asked if term not in idle]
    return kept or list(dict.fromkeys(analyser.terms(question)))


def weighed_terms(question: str, terms: Sequence[str], frequency: Mapping[str, int]) -> list[str]:
    """Return the terms whose absence says something.

    Another spelling of a quantity that the library does not know says nothing: the passage
    may have the one that the question has.
    """
    spellings = set(quantity_terms(question))
    return [term for term in terms if frequency.get(term) or term not in spellings]
