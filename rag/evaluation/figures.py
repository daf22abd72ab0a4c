"""What became of each question, as shares from which every figure is computed; how sure it is.

A figure is a sum of parts over a sum of wholes: a mean has wholes of 1, a precision counts
only what was refused. So one arithmetic gives the figures, their intervals and differences.

The intervals are the bootstrap over questions. Questions are drawn anew with replacement, as
many as there are, 2,000 times; the middle 95 % of the figures that come out are the interval
(the percentile method: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13). Two runs over the same questions are compared with the same draws for both, so that hard
questions are hard for both (the paired bootstrap: Koehn, Statistical Significance Tests for
Machine Translation Evaluation, EMNLP 2004).

What it cannot do: where every question came out alike the interval has no width, however few
there are; and of forty figures that did not change in truth, one will seem to have fallen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rag.text.language import detect_language

if TYPE_CHECKING:
    from rag.evaluation.retrieval import PageFigures, TextFigures
    from rag.evaluation.scoring import AnswerFigures
    from rag.indexing.questions.maker import Question

Share = tuple[float, float]
"""Part and whole of one question; a whole of 0 counts nothing."""
CUTS = (1, 5, 10)
SECONDS = ("seconds.search", "seconds.answer")
FEWER = ("false_refusals",)
"""What a figure's name ends with if less of it is better."""
DRAWS = 2000
_BLOCK = 250  # draws at a time: 20 MB of counts for 10,000 questions
_MIDDLE = (2.5, 97.5)  # percentiles
Interval = tuple[float, float]
Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """One question of one set, with its share of each figure that it counts for."""

    set: str
    id: str
    language: str
    shares: Mapping[str, Share]


def value(outcomes: Iterable[QuestionOutcome], figure: str) -> float | None:
    """Return a figure; ``None`` if no question counts for it.

    >>> right = QuestionOutcome("s", "1", "en", {"f": (1, 1)})
    >>> wrong = QuestionOutcome("s", "2", "en", {"f": (0, 1)})
    >>> value([right, wrong], "f")
    0.5
    """
    shares = [outcome.shares[figure] for outcome in outcomes if figure in outcome.shares]
    whole = sum(share[1] for share in shares)
    return sum(share[0] for share in shares) / whole if whole else None


def counted(outcomes: Iterable[QuestionOutcome], figure: str) -> int:
    """Return how many questions count for a figure."""
    return sum(1 for outcome in outcomes if outcome.shares.get(figure, (0.0, 0.0))[1])


def figures_of(outcomes: Iterable[QuestionOutcome]) -> list[str]:
    """Return the names of all figures, in the order in which they first come."""
    return list(dict.fromkeys(name for outcome in outcomes for name in outcome.shares))


def merged(*parts: Iterable[QuestionOutcome]) -> list[QuestionOutcome]:
    """Join what was measured of the same questions by different means, in order."""
    found: dict[tuple[str, str], QuestionOutcome] = {}
    for part in parts:
        for one in part:
            before = found.get((one.set, one.id))
            shares = {**before.shares, **one.shares} if before else one.shares
            found[one.set, one.id] = QuestionOutcome(one.set, one.id, one.language, shares)
    return list(found.values())


def of_pages(figures: PageFigures) -> list[QuestionOutcome]:
    """Return what retrieval of pages came to: hit@k, and 1 / rank of the first hit."""
    found = []
    for number, question in enumerate(figures.asked):
        shares: dict[str, Share] = {}
        for mode, ranks in figures.ranks.items():
            rank = ranks[number]
            for k in CUTS:
                shares[f"{mode}.hit@{k}"] = (float(rank is not None and rank <= k), 1.0)
            shares[f"{mode}.mrr"] = (1 / rank if rank else 0.0, 1.0)
        shares[SECONDS[0]] = (figures.seconds[number], 1.0)
        found.append(_outcome(figures.name, question, shares))
    return found


def of_gate(name: str, gated: Iterable[tuple[Question, bool]]) -> list[QuestionOutcome]:
    """Return what the gate before the model came to: each question with whether it was refused."""
    return [
        _outcome(name, question, refusal("gate", question, refused=refused))
        for question, refused in gated
    ]


def of_answers(figures: AnswerFigures) -> list[QuestionOutcome]:
    """Return what answers came to: right pages cited, short answers, refusals."""
    found = []
    for one in figures.answered:
        shares = refusal("abstention", one.question, refused=one.refused)
        if one.right_page is not None and one.question.pages:
            shares["citation.page_precision"] = (float(one.right_page), 1.0)
        if one.score is not None:
            shares["answer.exact"] = (one.score.exact, 1.0)
            shares["answer.contains"] = (one.score.contains, 1.0)
            shares["answer.f1"] = (one.score.f1, 1.0)
            shares["answer.grade"] = (one.score.grade, 1.0)
        shares[SECONDS[1]] = (one.seconds, 1.0)
        found.append(_outcome(figures.name, one.question, shares))
    return found


def of_texts(figures: TextFigures) -> list[QuestionOutcome]:
    """Return what retrieval of short texts came to."""
    return [
        QuestionOutcome(
            figures.name,
            one.query.id,
            detect_language(one.query.text),
            {
                "ndcg@10": (one.ndcg_at_10, 1.0),
                "recall@100": (one.recall_at_100, 1.0),
                **{
                    f"hit@{k}": (float(one.rank is not None and one.rank <= k), 1.0)
                    for k in CUTS[:2]
                },
                SECONDS[0]: (one.seconds, 1.0),
            },
        )
        for one in figures.found
    ]


def refusal(prefix: str, question: Question, *, refused: bool) -> dict[str, Share]:
    """Return a question's shares of precision, recall and F1 of refusing.

    F1 = 2 x right / (refused + without an answer), summed over questions.
    """
    without = not question.answerable
    right = float(refused and without)
    return {
        f"{prefix}.precision": (right, float(refused)),
        f"{prefix}.recall": (right, float(without)),
        f"{prefix}.f1": (2 * right, float(refused) + float(without)),
        f"{prefix}.false_refusals": (float(refused and not without), float(not without)),
    }


def _outcome(name: str, question: Question, shares: Mapping[str, Share]) -> QuestionOutcome:
    return QuestionOutcome(name, question.id, question.language, shares)


# ---- how sure a figure is -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of the same questions in two runs. ``low`` and ``high`` bound after - before."""

    figure: str
    questions: int  # that count for it
    before: float
    after: float
    low: float
    high: float

    @property
    def fell(self) -> bool:
        """Whether it became worse by more than chance explains."""
        return self.low > 0 if self.figure.endswith(FEWER) else self.high < 0

    @property
    def rose(self) -> bool:
        """Whether it became better by more than chance explains."""
        return self.high < 0 if self.figure.endswith(FEWER) else self.low > 0


def intervals(outcomes: Sequence[QuestionOutcome]) -> dict[str, Interval]:
    """Return the 95 % interval of each figure that has a value."""
    names = [name for name in figures_of(outcomes) if counted(outcomes, name)]
    if not names:
        return {}
    drawn = _figures(*_shares(outcomes, names))
    return {name: _middle(drawn[:, column]) for column, name in enumerate(names)}


def differences(
    before: Iterable[QuestionOutcome], after: Iterable[QuestionOutcome]
) -> list[Difference]:
    """Compare two runs over the questions that both asked, figure by figure.

    A question counts for a figure only if it did so in both runs, unless the figure is one of
    refusals, whose wholes depend on what was refused. Seconds are not compared.
    """
    earlier = {(one.set, one.id): one for one in before}
    pairs = [(earlier[key], one) for one in after if (key := (one.set, one.id)) in earlier]
    found = []
    for name in figures_of(new for _, new in pairs):
        both = [(a, b) for a, b in pairs if name in a.shares and name in b.shares]
        if name not in SECONDS and (difference := _difference(name, both)):
            found.append(difference)
    return found


def _difference(
    name: str, pairs: Sequence[tuple[QuestionOutcome, QuestionOutcome]]
) -> Difference | None:
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    if not all(counted(side, name) for side in sides):
        return None
    parts, wholes = zip(*(_shares(side, [name]) for side in sides), strict=True)
    drawn = _figures(np.hstack(parts), np.hstack(wholes))  # (draws, 2)
    low, high = _middle(drawn[:, 1] - drawn[:, 0])
    old, new = (float(p.sum() / w.sum()) for p, w in zip(parts, wholes, strict=True))
    return Difference(name, len(pairs), old, new, low, high)


def _shares(outcomes: Sequence[QuestionOutcome], names: Sequence[str]) -> tuple[Rows, Rows]:
    """Return parts and wholes, each of shape ``(questions, figures)``."""
    shares = np.array([[one.shares.get(name, (0.0, 0.0)) for name in names] for one in outcomes])
    return shares[:, :, 0], shares[:, :, 1]


def _figures(parts: Rows, wholes: Rows) -> Rows:
    """Return the figures of each draw, shape ``(DRAWS, figures)``; nan where nothing counts."""
    count = len(parts)
    random = np.random.default_rng(0)
    blocks = []
    for _ in range(DRAWS // _BLOCK):
        times = random.multinomial(count, np.full(count, 1 / count), size=_BLOCK).astype(float)
        whole = times @ wholes
        blocks.append(
            np.divide(times @ parts, whole, out=np.full_like(whole, np.nan), where=whole > 0)
        )
    return np.vstack(blocks)


def _middle(drawn: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, _MIDDLE)
    return float(low), float(high)
