"""Questions about figures that a report does not state, but that its statements let one compute.

"Has the quick ratio improved?" is answered by a balance sheet that never says "quick ratio".
Such a question has a second reading: the lines that the figure is computed from, under the
names that statements give them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter

from rag.retrieval.query.content_words import YEAR, names_in
from rag.text.language import is_cjk
from rag.text.messages import Language

_BUILT_IN = Path(__file__).with_name("statements.toml")
_STRICT = ConfigDict(extra="forbid", strict=False)

# Measured: docs/decisions.md, "Figures that no report states".
_TRUST = 0.85  # in the lines, where no passage holds the question's own words
_FEW, _MOST = 0.5, 0.6  # share of these words, by rarity, in one passage: full trust, and none
_STRANGE, _KNOWN = 0.25, 0.35  # share of the lines' words in one passage: no trust, and full

_LATIN = re.compile(r"[A-Za-z0-9][\w&-]*", re.ASCII)
_CURRENCY = re.compile(r"(?:USD|EUR|GBP|CNY|RMB|HKD|JPY|US)\Z")
_REASONS = re.compile(
    r"\b(?:why|drove|driv(?:e|es|en|ing|ers?)|caus(?:e|es|ed)|reasons?|explain|components?"
    r"|polic(?:y|ies)|recogni[sz]e[sd]?)\b|为什么|为何|原因|因素|驱动|导致|构成|政策|如何确认|怎么确认",
    re.IGNORECASE,
)  # statements give figures, not what lies behind them
_SENTENCE = re.compile(r"(?<=[.?!:;])\s+|(?<=[。？！：；])")

Key = Literal["income", "balance", "cash"]


@dataclass(frozen=True, slots=True)
class _Statement:
    __pydantic_config__ = _STRICT

    key: Key
    en: str
    zh: str
    names_en: list[str]
    names_zh: list[str]


@dataclass(frozen=True, slots=True)
class _Lines:
    __pydantic_config__ = _STRICT

    statement: Key
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class _Figure:
    __pydantic_config__ = _STRICT

    names_en: list[str]
    names_zh: list[str]
    lines: list[_Lines]


@dataclass(frozen=True, slots=True)
class _File:
    __pydantic_config__ = _STRICT

    statement: list[_Statement]
    figure: list[_Figure]
    line: list[_Figure]


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """What the file says, and one pattern for all of its names."""

    file: _File
    pattern: re.Pattern[str]
    owners: tuple[_Statement | _Figure, ...]  # of each of the pattern's groups

    def named(self, question: str) -> list[_Statement | _Figure]:
        """Return what a question names and does not want explained, each once, in its order."""
        found = [
            self.owners[match.lastindex - 1]
            for sentence in _SENTENCE.split(question)
            if not _REASONS.search(sentence)
            for match in self.pattern.finditer(sentence)
            if match.lastindex
        ]
        return [owner for n, owner in enumerate(found) if owner not in found[:n]]


def trust_in_lines(coverage: float, of_lines: float = 1.0) -> float:
    """Return how far to trust the reading by lines, 0 to 1; the question itself gets the rest.

    ``coverage`` is the largest share of the question's words, by rarity, in one of the best
    passages: one that states the figure holds most of them. ``of_lines`` is the same of the
    lines: where there are no such statements, no passage holds even a third of them.
    """
    unstated = (_MOST - coverage) / (_MOST - _FEW)
    computable = (of_lines - _STRANGE) / (_KNOWN - _STRANGE)
    return _TRUST * min(1.0, max(0.0, unstated)) * min(1.0, max(0.0, computable))


def by_lines(question: str, language: Language, *, among_many: bool = True) -> str | None:
    """Return the lines of financial statements that a question is about, to be searched for.

    They come in the ``language`` of the documents, behind the question's names and years;
    ``None`` for a question that is about none. ``among_many``: the documents of several
    firms are asked, so that a firm in lower case must not be lost.

    >>> by_lines("Has the working capital of 3M grown in 2022?", "zh")
    '3M 2022 合并资产负债表：货币资金、流动资产合计、流动负债合计'
    >>> by_lines("How high is the tower?", "en") is None
    True
    """
    vocabulary = _vocabulary()
    named = vocabulary.named(question)
    statements = [owner.key for owner in named if isinstance(owner, _Statement)]
    figures = [owner for owner in named if owner in vocabulary.file.figure]
    if statements and not figures:
        figures = [owner for owner in named if owner in vocabulary.file.line]
    wanted: dict[Key, list[str]] = {key: [] for key in statements}
    for figure in figures:
        for lines in figure.lines:
            wanted.setdefault(lines.statement, []).append(_said(lines, language))
    if not wanted:
        return None
    titles = {statement.key: _said(statement, language) for statement in vocabulary.file.statement}
    colon, comma = ("：", "、") if language == "zh" else (": ", ", ")
    parts = [f"{titles[key]}{colon}{comma.join(lines)}" for key, lines in wanted.items()]
    rest = " ".join(vocabulary.pattern.sub(" ", question).split())
    if any(map(is_cjk, question)):
        # Chinese names are not told from other words: the rest of the question stands for them,
        # which the embedder understands across languages, too
        about = [rest] if language == "zh" or among_many else _LATIN.findall(rest)
        return " ".join([*about, *parts])
    about = [*_names(question, rest), *_years(question)]
    if about == _years(question) and among_many:
        said = [sentence for sentence in _SENTENCE.split(question) if vocabulary.named(sentence)]
        about = vocabulary.pattern.sub(" ", " ".join(said)).split()
    return " ".join([*about, *parts])


def _names(question: str, rest: str) -> Iterator[str]:
    """Yield whose figures they are, of a question in English."""
    sentences = _SENTENCE.split(question)
    found = dict.fromkeys(name for sentence in sentences for name in names_in(sentence))
    known = (name for name in found if not YEAR.search(name) and not _CURRENCY.match(name))
    yield from (name for name in known if name in rest)


def _years(question: str) -> list[str]:
    return list(dict.fromkeys(match[0].split()[-1] for match in YEAR.finditer(question)))


def _said(words: _Statement | _Lines, language: Language) -> str:
    return words.zh if language == "zh" else words.en


@cache
def _vocabulary() -> _Vocabulary:
    file = TypeAdapter(_File).validate_python(tomllib.loads(_BUILT_IN.read_text("utf-8")))
    everything: list[_Statement | _Figure] = [*file.statement, *file.figure, *file.line]
    english = _longest_first((name, owner) for owner in everything for name in owner.names_en)
    chinese = _longest_first((name, owner) for owner in everything for name in owner.names_zh)
    words = "|".join(f"({_spelt(name)})" for name, _ in english)
    signs = "|".join(f"({re.escape(name)})" for name, _ in chinese)
    pattern = rf"(?<![A-Za-z0-9])(?:{words})(?:s|es)?(?![A-Za-z0-9])|{signs}"
    owners = tuple(owner for _, owner in [*english, *chinese])
    return _Vocabulary(file, re.compile(pattern), owners)


def _longest_first(
    named: Iterable[tuple[str, _Statement | _Figure]],
) -> list[tuple[str, _Statement | _Figure]]:
    return sorted(named, key=lambda entry: -len(entry[0]))


def _spelt(name: str) -> str:
    """Return a pattern for an English name; see the file's head."""
    words = r"[\s-]+".join(map(re.escape, re.split(r"[ -]", name)))
    return words if name.isupper() else rf"(?i:{words})"
