"""How sure a figure is, and whether it fell: the bootstrap over questions.

Questions are drawn anew with replacement, as many as there are, 2,000 times; the middle 95 %
of the figures that come out are the interval (the percentile method: Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 13). Two runs over the same questions are compared
with the same draws for both, so that hard questions are hard for both (the paired bootstrap:
Koehn, Statistical Significance Tests for Machine Translation Evaluation, EMNLP 2004).

What it cannot do: where every question came out alike the interval has no width, however few
there are; and of forty figures that did not change in truth, one will seem to have fallen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rag.evaluation.outcomes import FEWER, SECONDS, Outcome, counted, figures_of

DRAWS = 2000
_BLOCK = 250  # draws at a time: 20 MB of counts for 10,000 questions
_MIDDLE = (2.5, 97.5)  # percentiles
Interval = tuple[float, float]
Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]


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


def intervals(outcomes: Sequence[Outcome]) -> dict[str, Interval]:
    """Return the 95 % interval of each figure that has a value."""
    names = [name for name in figures_of(outcomes) if counted(outcomes, name)]
    if not names:
        return {}
    drawn = _figures(*_shares(outcomes, names))
    return {name: _middle(drawn[:, column]) for column, name in enumerate(names)}


def differences(before: Iterable[Outcome], after: Iterable[Outcome]) -> list[Difference]:
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


def _difference(name: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> Difference | None:
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    if not all(counted(side, name) for side in sides):
        return None
    parts, wholes = zip(*(_shares(side, [name]) for side in sides), strict=True)
    drawn = _figures(np.hstack(parts), np.hstack(wholes))  # (draws, 2)
    low, high = _middle(drawn[:, 1] - drawn[:, 0])
    old, new = (float(p.sum() / w.sum()) for p, w in zip(parts, wholes, strict=True))
    return Difference(name, len(pairs), old, new, low, high)


def _shares(outcomes: Sequence[Outcome], names: Sequence[str]) -> tuple[Rows, Rows]:
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
