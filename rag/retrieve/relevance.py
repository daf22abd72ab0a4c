"""How likely it is that the best passages hold an answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, pstdev

from rag.retrieve.calibration import UNKNOWN, Calibration
from rag.text.messages import Language

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
