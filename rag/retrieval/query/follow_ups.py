"""What a follow-up question refers to, by rules: no model is asked.

"And in 2022?" and "它的功耗呢？" can only be searched together with what was asked before. The
question alone is one reading of it, the question completed from the turns before is another,
and passages are found for both. A question that names its own subject has no second reading,
so a change of topic is not dragged back to the old one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from operator import mul

from rag.retrieval.query.content_words import YEAR, names_in
from rag.text.language import detect_language, is_cjk
from rag.types.answers import Message

_EVEN = 0.5
_LENT = 240  # characters of a chain of follow-ups; what began it names the subject

_LEAD = re.compile(
    r"^\s*(?:(?:and|or|also|so|then|but|what about|how about|what of|same for)\b"
    r"|那么|那(?![个款种些本年场次家位张台块时里样])|还有|以及|另外|然后|再|而)[\s,，:：]*",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:it|its|they|their|them|he|his|him|she|her)\b"
    r"|它|(?<![其吉])他(?!人)|她|其(?![他中实余])|[这那]|(?<!应)该|(?<![因彼如])此"
    r"|前者|后者|上述|同样",
    re.IGNORECASE,
)
# These refer to something only where the question names nothing: "that", "is there" and "one"
# stand in many a question of its own.
_WEAK_PRONOUN = re.compile(
    r"\b(?:this|that|these|those|there|both|either|the (?:same|former|latter|other)|others?"
    r"|ones?)\b",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(r"呢\s*[？?]?\s*\Z")
_WHOLE = r"(?<![A-Za-z0-9]){}(?![A-Za-z0-9])(?:['’]s?)?"
_END = " \t\n?？。.!！,，;；:："


# Fitted on conversations: docs/decisions.md, "Follow-ups among questions that stand alone".
_BY_WORDS = (0.96, 1.41, 1.60, -6.82, -1.59, 5.00)
"""Weights of: says so, refers, ends as an ellipsis, length, is Chinese; and the constant."""
_BY_SEARCH = (0.72, 1.53, 1.48, -4.43, -0.94, -0.32, -0.21, -1.40, 1.54, -3.13, 8.26)
"""The same and: content words, and of the question alone its coverage, relevance, the coverage of
the completed question, and the best passage's score."""
_ALONE, _SURE = 0.2, 0.7  # probabilities below and above which nothing is in doubt
_TRUST = 0.85  # in the completed reading of what surely is a follow-up
_LONG = {"en": 60, "zh": 20}  # characters of a question that has all it needs
_LONGEST = 4.0  # times that; longer says no more
_MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Readings:
    """How a question may be read: alone, and completed from the turns before.

    ``says_so``: its words tell that it is a follow-up; else it only may be one.
    """

    alone: str
    completed: str | None = None
    says_so: bool = False
    refers: bool = False  # a word stands for something said before
    ellipsis: bool = False

    @property
    def likely(self) -> float:
        """How likely it is a follow-up, by its words alone."""
        return _sigmoid(_weighed(self._signs, _BY_WORDS)) if self.completed else 0.0

    def trust(
        self, *, words: int, coverage: float, relevance: float, completed: float, best: float
    ) -> float:
        """Return how far to trust the completed reading, 0 to 1; the other one gets the rest.

        ``words`` are the question's content words; ``coverage``, ``relevance`` and ``best`` (the
        score of the first passage) are what searching it alone gave, ``completed`` is the coverage
        of the completed one. A question that finds itself needs nothing of the turns before.
        """
        if self.completed is None:
            return 0.0
        signs = (*self._signs, min(words, _MOST_WORDS), coverage, relevance, completed, best)
        likely = _sigmoid(_weighed(signs, _BY_SEARCH))
        return _TRUST * min(1.0, max(0.0, (likely - _ALONE) / (_SURE - _ALONE)))

    @property
    def _signs(self) -> tuple[float, ...]:
        chinese = any(map(is_cjk, self.alone))
        length = min(_LONGEST, len(self.alone) / _LONG["zh" if chinese else "en"])
        return self.says_so, self.refers, self.ellipsis, length, chinese


def _weighed(signs: Sequence[float], weights: Sequence[float]) -> float:
    return float(sum(map(mul, signs, weights))) + weights[-1]


def _sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


def readings(question: str, history: Sequence[Message] = ()) -> Readings:
    """Return how ``question`` may be read after the turns of ``history``.

    Only what the person asked counts; answers may be wrong.

    >>> turns = [Message("user", "What was Boeing's revenue in 2018?")]
    >>> readings("And in 2022?", turns).completed
    "What was Boeing's revenue, in 2022?"
    >>> readings("What was 3M's revenue in 2018?", turns).completed is None
    True
    """
    asked = [turn.content for turn in history if turn.role == "user" and turn.content.strip()]
    whole: str | None = None
    for earlier in asked:
        read = _read(earlier, whole)
        whole = read.completed if read.completed and read.likely > _EVEN else earlier
    return _read(question, whole)


def _read(question: str, before: str | None) -> Readings:
    if before is None or not question.strip() or question.strip() == before.strip():
        return Readings(question)
    own = _LEAD.sub("", question)
    names = names_in(question)
    refers, ellipsis = _refers(own, names), _ELLIPSIS.search(question) is not None
    says_so = refers or own != question or ellipsis
    # who changes the language and gives no sign begins anew, or asks the same thing again
    begins = names or detect_language(question) != detect_language(before)
    if begins and not says_so:
        return Readings(question)
    lent = _lent(before, own, [] if refers else names)
    comma = "，" if detect_language(before) == "zh" else ", "
    completed = f"{lent}{comma}{own}" if lent else own
    return Readings(question, completed, says_so, refers, ellipsis)


def _refers(own: str, names: Sequence[str]) -> bool:
    """Tell whether a word of the question stands for something said before it.

    After a name of the question itself a pronoun means that name; letters such as CBD are a
    term as often as a name.
    """
    subjects = [own.find(name) for name in names if not name.isupper()]
    first = min((at for at in subjects if at >= 0), default=len(own))
    if any(match.start() < first for match in _PRONOUN.finditer(own)):
        return True
    return not names and _WEAK_PRONOUN.search(own) is not None


def _lent(before: str, own: str, names: Sequence[str]) -> str:
    """Return what the question before lends, without what the new one puts in its place."""
    if YEAR.search(own):
        before = YEAR.sub(" ", before)
    if names:
        for name in names_in(before):
            if name not in names:
                before = re.sub(_WHOLE.format(re.escape(name)), " ", before)
    return " ".join(before.split())[:_LENT].strip(_END)
