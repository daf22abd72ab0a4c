"""What became of each question, as shares from which every figure is computed.

A figure is a sum of parts over a sum of wholes: a mean has wholes of 1, a precision counts
only what was refused. So one arithmetic gives the figures, their intervals and differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.evaluation.sets import Question
from rag.words import detect_language

if TYPE_CHECKING:
    from rag.evaluation.answers import AnswerFigures
    from rag.evaluation.retrieval import PageFigures, TextFigures

Share = tuple[float, float]
"""Part and whole of one question; a whole of 0 counts nothing."""
CUTS = (1, 5, 10)
SECONDS = ("seconds.search", "seconds.answer")
FEWER = ("false_refusals",)
"""What a figure's name ends with if less of it is better."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question of one set, with its share of each figure that it counts for."""

    set: str
    id: str
    language: str
    shares: Mapping[str, Share]


def value(outcomes: Iterable[Outcome], figure: str) -> float | None:
    """Return a figure; ``None`` if no question counts for it.

    >>> value([Outcome("s", "1", "en", {"f": (1, 1)}), Outcome("s", "2", "en", {"f": (0, 1)})], "f")
    0.5
    """
    shares = [outcome.shares[figure] for outcome in outcomes if figure in outcome.shares]
    whole = sum(share[1] for share in shares)
    return sum(share[0] for share in shares) / whole if whole else None


def counted(outcomes: Iterable[Outcome], figure: str) -> int:
    """Return how many questions count for a figure."""
    return sum(1 for outcome in outcomes if outcome.shares.get(figure, (0.0, 0.0))[1])


def figures_of(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the names of all figures, in the order in which they first come."""
    return list(dict.fromkeys(name for outcome in outcomes for name in outcome.shares))


def merged(*parts: Iterable[Outcome]) -> list[Outcome]:
    """Join what was measured of the same questions by different means, in order."""
    found: dict[tuple[str, str], Outcome] = {}
    for part in parts:
        for one in part:
            before = found.get((one.set, one.id))
            shares = {**before.shares, **one.shares} if before else one.shares
            found[one.set, one.id] = Outcome(one.set, one.id, one.language, shares)
    return list(found.values())


def of_pages(figures: PageFigures) -> list[Outcome]:
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


def of_gate(name: str, gated: Iterable[tuple[Question, bool]]) -> list[Outcome]:
    """Return what the gate before the model came to: each question with whether it was refused."""
    return [
        _outcome(name, question, refusal("gate", question, refused=refused))
        for question, refused in gated
    ]


def of_answers(figures: AnswerFigures) -> list[Outcome]:
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


def of_texts(figures: TextFigures) -> list[Outcome]:
    """Return what retrieval of short texts came to."""
    return [
        Outcome(
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


def _outcome(name: str, question: Question, shares: Mapping[str, Share]) -> Outcome:
    return Outcome(name, question.id, question.language, shares)
