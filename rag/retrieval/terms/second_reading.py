"""The second reading of a question that names terms of a trade: other words to search for.

"Has the quick ratio improved?" is answered by a balance sheet that never says "quick ratio".
Such a question is also searched for by the lines that the figure is computed from, under the
names that documents give them, and a question that says "LTV" by "loan to value". Which terms
there are is told by term files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from rag.retrieval.query.content_words import YEAR, names_in
from rag.retrieval.terms.files import (
    Entry,
    Figure,
    Lines,
    Section,
    Synonyms,
    TermFile,
    shipped_term_files,
    spelling,
)
from rag.text.language import is_cjk
from rag.text.messages import Language
from rag.types.answers import AlsoSearched

# Measured with the shipped terms: docs/decisions.md, "Figures that no report states".
_TRUST = 0.85  # in the second reading, where no passage holds the question's own words
_FEW, _MOST = 0.5, 0.6  # share of these words, by rarity, in one passage: full trust, and none
_STRANGE, _KNOWN = 0.25, 0.35  # share of the reading's words in one passage: no trust, and full

_LATIN = re.compile(r"[A-Za-z0-9][\w&-]*", re.ASCII)
_CURRENCY = re.compile(r"(?:USD|EUR|GBP|CNY|RMB|HKD|JPY|US)\Z")
_REASONS = re.compile(
    r"\b(?:why|drove|driv(?:e|es|en|ing|ers?)|caus(?:e|es|ed)|reasons?|explain|components?"
    r"|polic(?:y|ies)|recogni[sz]e[sd]?)\b|为什么|为何|原因|因素|驱动|导致|构成|政策|如何确认|怎么确认",
    re.IGNORECASE,
)  # lines give figures, not what lies behind them
_SENTENCE = re.compile(r"(?<=[.?!:;])\s+|(?<=[。？！：；])")


def trust_in(coverage: float, of_reading: float = 1.0) -> float:
    """Return how far to trust the second reading, 0 to 1; the question itself gets the rest.

    ``coverage`` is the largest share of the question's words, by rarity, in one of the best
    passages: one that states the figure holds most of them. ``of_reading`` is the same of the
    second reading's words: where there are no statements, no passage holds even a third of
    the words of their lines.
    """
    unstated = (_MOST - coverage) / (_MOST - _FEW)
    there = (of_reading - _STRANGE) / (_KNOWN - _STRANGE)
    return _TRUST * min(1.0, max(0.0, unstated)) * min(1.0, max(0.0, there))


@dataclass(frozen=True, slots=True, eq=False)
class _Owner:
    """What a name stands for: an entry of a file."""

    entry: Entry
    file: TermFile
    beside_section: bool = False  # counts only where a question names a section, too


class Terms:
    """The terms of some files, looked for in questions."""

    def __init__(self, files: Sequence[TermFile]) -> None:
        """Where two ``files`` give one name lines or a section, the first of them counts."""
        owners: dict[str, tuple[str, list[_Owner]]] = {}
        for owner in (owner for file in files for owner in _entries(file)):
            for name in (*owner.entry.names_en, *owner.entry.names_zh):
                _, known = owners.setdefault(spelling(name), (name, []))
                if isinstance(owner.entry, Synonyms) or all(map(_is_synonyms, known)):
                    known.append(owner)
        by_beginning = sorted(
            owners.values(), key=lambda named: (_beginning(named[0]), -len(named[0]))
        )
        latin = [named for named in by_beginning if not any(map(is_cjk, named[0]))]
        chinese = [named for named in by_beginning if any(map(is_cjk, named[0]))]
        self._named = [*latin, *chinese]  # of each of the pattern's groups
        self._pattern = _pattern([name for name, _ in latin], [name for name, _ in chinese])

    def second_reading(
        self, question: str, language: Language, *, among_many: bool = True
    ) -> AlsoSearched | None:
        """Return what else a question is to be searched for; ``None`` if it names no term.

        It comes in the ``language`` of the documents. The lines of figures stand behind the
        question's names and years; other names stand in the place of the question's own.
        ``among_many``: several documents are asked, so that what they are about must not be
        lost, such as a firm in lower case.

        >>> of_finance = shipped_terms()
        >>> of_finance.second_reading("Has the working capital of 3M grown in 2022?", "zh").text
        '3M 2022 合并资产负债表：货币资金、流动资产合计、流动负债合计'
        >>> of_finance.second_reading("How high is the tower?", "en") is None
        True
        """
        if (parts := self._lines(question, language)) is not None:
            about = self._about(question, language, among_many=among_many)
            others = [_joined(names, language) for names in self._others(question, language)]
            return AlsoSearched("computed_from", " ".join([*about, *parts, *others]))
        renamed = self._renamed(question, language)
        if renamed == question:
            return None
        if _only_latin(question, language, among_many=among_many):
            renamed = " ".join(_LATIN.findall(renamed))
        return AlsoSearched("also_called", " ".join(renamed.split()))

    def _lines(self, question: str, language: Language) -> list[str] | None:
        """Return the lines of the figures that a question names, a text for each section."""
        named = self._figures(question)
        wanted: dict[Section | None, list[str]] = {
            owner.entry: [] for owner in named if isinstance(owner.entry, Section)
        }
        figures = [owner for owner in named if not owner.beside_section]
        if not any(isinstance(owner.entry, Figure) for owner in figures) and wanted:
            figures = named
        for owner in figures:
            for lines in owner.entry.lines if isinstance(owner.entry, Figure) else ():
                section = owner.file.sections.get(lines.section)
                wanted.setdefault(section, []).append(_said(lines, language))
        colon = "：" if language == "zh" else ": "
        return [
            f"{_said(section, language)}{colon if section else ''}{_joined(lines, language)}"
            for section, lines in wanted.items()
        ] or None

    def _about(self, question: str, language: Language, *, among_many: bool) -> list[str]:
        """Return what stays of a question whose figures are looked for by their lines."""
        rest = " ".join(self._without_figures(question).split())
        if any(map(is_cjk, question)):
            # Chinese names are not told from other words: the rest of the question stands for
            # them, which the embedder understands across languages, too
            only_latin = _only_latin(question, language, among_many=among_many)
            return _LATIN.findall(rest) if only_latin else [rest]
        about = [*_names(question, rest), *_years(question)]
        if about == _years(question) and among_many:
            said = [sentence for sentence in _SENTENCE.split(question) if self._figures(sentence)]
            about = self._without_figures(" ".join(said)).split()
        return about

    def _figures(self, question: str) -> list[_Owner]:
        """Return the figures, lines and sections that are named, each once, in their order.

        A sentence that wants one explained names none.
        """
        found = [
            owner
            for sentence in _SENTENCE.split(question)
            if not _REASONS.search(sentence)
            for match in self._pattern.finditer(sentence)
            for owner in self._owners(match)
            if not _is_synonyms(owner)
        ]
        return list(dict.fromkeys(found))

    def _without_figures(self, question: str) -> str:
        def kept(match: re.Match[str]) -> str:
            return match[0] if all(map(_is_synonyms, self._owners(match))) else " "

        return self._pattern.sub(kept, question)

    def _renamed(self, question: str, language: Language) -> str:
        """Return the question with the other names of what it names."""

        def other(match: re.Match[str]) -> str:
            names = self._other_names(match, language)
            return _joined(names, language) if names else match[0]

        return self._pattern.sub(other, question)

    def _others(self, question: str, language: Language) -> Iterator[list[str]]:
        found = (self._other_names(match, language) for match in self._pattern.finditer(question))
        yield from filter(None, found)

    def _other_names(self, match: re.Match[str], language: Language) -> list[str]:
        own, _ = self._named[(match.lastindex or 1) - 1]
        names = [
            name
            for owner in self._owners(match)
            if isinstance(owner.entry, Synonyms)
            for name in (owner.entry.names_zh if language == "zh" else owner.entry.names_en)
        ]
        return [name for name in dict.fromkeys(names) if spelling(name) != spelling(own)]

    def _owners(self, match: re.Match[str]) -> list[_Owner]:
        return self._named[(match.lastindex or 1) - 1][1]


@cache
def shipped_terms() -> Terms:
    """Return the terms that come with the app."""
    return Terms(shipped_term_files())


def _entries(file: TermFile) -> Iterator[_Owner]:
    for entries in (file.named_sections, file.figures):
        yield from (_Owner(entry, file) for entry in entries)
    yield from (_Owner(entry, file, beside_section=True) for entry in file.lines)
    yield from (_Owner(entry, file) for entry in file.synonyms)


def _is_synonyms(owner: _Owner) -> bool:
    return isinstance(owner.entry, Synonyms)


def _beginning(name: str) -> str:
    return name[0].casefold()


def _pattern(latin: Sequence[str], chinese: Sequence[str]) -> re.Pattern[str]:
    """Return one pattern for all names, each with a group of its own, which is empty."""
    words, signs = _any_of(latin, _spelt), _any_of(chinese, re.escape)
    parts = [rf"(?<![A-Za-z0-9])(?:{words})(?:s|es)?(?![A-Za-z0-9])"] if words else []
    parts += [signs] if signs else []
    return re.compile("|".join(parts) or r"(?!)")


def _any_of(names: Sequence[str], spelt: Callable[[str], str]) -> str:
    """Return a pattern that tries those names only of which the first character is there.

    Trying each name at each character took tenths of a second for a long question.
    """
    alternatives = []
    for _, alike in groupby(names, _beginning):
        group = list(alike)
        first = "|".join(map(spelt, dict.fromkeys(name[0] for name in group)))
        whole = "|".join(f"{spelt(name)}()" for name in group)
        alternatives.append(f"(?=(?i:{first}))(?:{whole})")
    return "|".join(alternatives)


def _spelt(name: str) -> str:
    """Return a pattern for a name in Latin letters; ``spelling`` says which are alike."""
    words = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", name)))
    return words if name.isupper() else rf"(?i:{words})"


def _only_latin(question: str, language: Language, *, among_many: bool) -> bool:
    """Tell whether the Chinese words of a question are of no use in the documents asked."""
    return any(map(is_cjk, question)) and language != "zh" and not among_many


def _names(question: str, rest: str) -> Iterator[str]:
    """Yield whose figures they are, of a question in English."""
    sentences = _SENTENCE.split(question)
    found = dict.fromkeys(name for sentence in sentences for name in names_in(sentence))
    known = (name for name in found if not YEAR.search(name) and not _CURRENCY.match(name))
    yield from (name for name in known if name in rest)


def _years(question: str) -> list[str]:
    return list(dict.fromkeys(match[0].split()[-1] for match in YEAR.finditer(question)))


def _said(words: Section | Lines | None, language: Language) -> str:
    """Return the words of a language, or of the other where a file has none in it."""
    if words is None:
        return ""
    return (words.zh or words.en) if language == "zh" else (words.en or words.zh)


def _joined(names: Sequence[str], language: Language) -> str:
    return ("、" if language == "zh" else ", ").join(names)
