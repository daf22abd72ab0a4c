"""How likely it is that the best passages hold an answer.

The same question is asked as the library is, and with its answer hidden. Where the two lie
apart is where the gate before the model belongs: contracts that share their words answer
unanswerable questions with far nearer passages than encyclopaedia articles do. And an embedder
that does not find what words find at once has not learnt the language. The figures behind the
constants are in docs/decisions.md, "A gate and a fusion for each library".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, pstdev
from typing import Any

from rag.text.messages import Language

LEAST = 12
"""Questions of a language; fewer say nothing."""
_EASIER = 4.5  # log-odds; people's questions share fewer words with their answers than these do
_KEPT, _REFUSED = 0.05, 0.95  # shares: of the answerable at most, of the others as many as need be
_LOWEST = -2.2  # log-odds, a probability of .1; below it nothing is refused on this account
_GATE = math.log(0.3 / 0.7)  # the default of retrieve.min_relevance
_HALF = 0.5
_UNKNOWN, _KNOWN = 0.2, 0.4  # hit@1 by meaning as a share of that by words: none and full trust


@dataclass(frozen=True, slots=True)
class Trial:
    """What one question showed: log-odds of an answer, with it and without; first hits."""

    language: Language
    there: float
    hidden: float
    by_words: bool  # the answer's passage was the first that words found
    by_meaning: bool
    astray: bool = False  # the nearest in meaning were passages of another language


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one library and one language.

    ``threshold`` is where the log-odds of an answer, as fitted on other libraries, tell apart
    what this one holds and what it does not; ``None`` leaves them as they are. ``meaning`` is
    how far the list found by meaning is trusted, 0 to 1.
    """

    threshold: float | None = None
    meaning: float = 1.0
    questions: int = 0

    @property
    def knows_the_language(self) -> bool:
        """Whether the embedder does; else what lies near a question says nothing."""
        return self.meaning >= _HALF

    def log_odds(self, fitted: float) -> float:
        """Return log-odds that pass the gate where this library's questions do.

        ``fitted`` are those of other libraries.
        """
        return fitted if self.threshold is None else fitted - self.threshold + _GATE


UNKNOWN = Calibration()
Calibrations = Mapping[Language, Calibration]


def calibrate(trials: Sequence[Trial]) -> dict[Language, Calibration]:
    """Return what trials tell, for each language with ``LEAST`` of them.

    The threshold refuses no more than it must to refuse nineteen of twenty questions whose
    answer is hidden, and stays well below all but the lowest twentieth of the others.
    """
    found: dict[Language, Calibration] = {}
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        own = [trial for trial in trials if trial.language == language]
        if len(own) < LEAST:
            continue
        words = sum(t.by_words for t in own)
        share = sum(t.by_meaning for t in own) / words if words else 1.0
        meaning = min(1.0, max(0.0, (share - _UNKNOWN) / (_KNOWN - _UNKNOWN)))
        found[language] = Calibration(_threshold(own), meaning, len(own))
    return found


def _threshold(own: Sequence[Trial]) -> float | None:
    """Return where the gate lies; ``None`` if too many questions were led astray to tell."""
    straight = [trial for trial in own if not trial.astray]
    if len(straight) < LEAST:
        return None
    there, hidden = sorted(t.there for t in straight), sorted(t.hidden for t in straight)
    last = len(straight) - 1
    refused = hidden[min(last, math.ceil(_REFUSED * len(straight)))]
    return max(_LOWEST, min(there[int(_KEPT * len(straight))] - _EASIER, refused))


def as_rows(found: Calibrations) -> dict[str, dict[str, Any]]:
    """Return it as JSON has it."""
    return {language: asdict(one) for language, one in found.items()}


def of_rows(rows: Mapping[Language, Mapping[str, Any]]) -> Calibrations:
    """Return what ``as_rows`` gave.

    Raises:
        TypeError: it is of another make.
    """
    return {language: Calibration(**row) for language, row in rows.items()}


PROBES: Mapping[Language, tuple[str, ...]] = {
    "en": (
        "How long should I boil an egg?",
        "Which bird lays the largest eggs?",
        "Who painted the ceiling of the Sistine Chapel?",
        "How far is the moon from the earth?",
        "What do pandas eat?",
        "Which river flows through Cairo?",
        "How do I tune a violin?",
        "When did the dinosaurs die out?",
    ),
    "zh": (
        "鸡蛋要煮多长时间？",
        "哪种鸟下的蛋最大？",
        "西斯廷教堂的天顶画是谁画的？",
        "月球离地球有多远？",
        "大熊猫吃什么？",
        "哪条河流经开罗？",
        "小提琴怎么调音？",
        "恐龙是什么时候灭绝的？",
    ),
}
"""Questions that hardly any library answers, on topics far apart: what they find, by meaning,
is what any question finds. Cosines of unrelated texts differ by model, language and library
(about .80 in English and .88 in Chinese with e5), so no fixed cosine could tell."""

_LEAST_FLOOR = 0.3  # a smaller cosine is chance: in a library of a few passages probes find none
# Logistic regression over the evaluation sets: tests/eval/fit_relevance.py, which also prints
# the share of questions refused at several thresholds.
_INTERCEPT, _COVERAGE, _HEADROOM, _ACROSS = -1.67, 9.36, 16.42, 3.56


@dataclass(frozen=True, slots=True)
class Signs:
    """What a search shows about whether an answer is there.

    ``coverage`` is the largest share of the question's words, by rarity, in one of the best
    passages. ``headroom`` says how far the nearest passage lies above what unrelated
    questions find: 0 is as near as those, 1 is the same text. Across languages hardly a word
    can be covered, and its absence says nothing. ``unheard_of`` says that the question
    names a model number that stands nowhere in the library.
    """

    coverage: float
    headroom: float
    across_languages: bool = False
    unheard_of: bool = False


def relevance(signs: Signs, calibration: Calibration = UNKNOWN) -> float:
    """Return the probability, 0 to 1, that the passages hold an answer.

    ``calibration`` is the library's own, for questions in the language of their answer.
    """
    if signs.unheard_of:
        return 0.0
    fitted = log_odds(signs)
    logit = fitted if signs.across_languages else calibration.log_odds(fitted)
    return 1 / (1 + math.exp(-logit))


def log_odds(signs: Signs) -> float:
    """Return the log-odds of an answer, as fitted on the evaluation sets."""
    return (
        _INTERCEPT
        + _COVERAGE * signs.coverage
        + _HEADROOM * signs.headroom
        + _ACROSS * signs.across_languages
    )


def floor_of(cosines: Sequence[float]) -> float:
    """Return the cosine that few unrelated questions exceed: median + 2 standard deviations.

    ``cosines`` are what each probe's nearest passage has. Two deviations made the same
    coefficients fit English, Chinese and models with much noise; none did not.
    """
    return max(_LEAST_FLOOR, median(cosines) + 2 * pstdev(cosines))


def headroom(cosine: float, *, floor: float) -> float:
    """Return how far a cosine lies above ``floor``, as a share of what is possible."""
    return (cosine - floor) / (1 - floor) if floor < 1 else 0.0


def coverage(
    terms: Sequence[str],
    passages: Collection[Collection[str]],
    *,
    frequency: Mapping[str, int],
    total: int,
) -> float:
    """Return the largest share of the terms' rarity that one passage holds, 0 to 1.

    ``frequency`` says in how many of the ``total`` chunks a term occurs. A term that occurs
    nowhere is the rarest of all and counts as missing.
    """
    weights = {term: rarity(frequency.get(term, 0), total) for term in terms}
    whole = sum(weights.values())
    if whole <= 0:
        return 0.0
    return (
        max((sum(weights[t] for t in weights.keys() & set(held)) for held in passages), default=0.0)
        / whole
    )


def rarity(frequency: int, total: int) -> float:
    """Return BM25's inverse document frequency, ln(1 + (N - n + .5) / (n + .5))."""
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
