"""Runs of an evaluation: their figures, how sure those are, and how one run compares with another.

What became of each question is kept as shares, from which every figure is computed.

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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.errors import ConfigError
from rag.indexing.questions.maker import Question, question_of
from rag.storage.evaluations import (
    EvaluationRow,
    evaluation_body,
    evaluation_questions,
    list_evaluations,
    put_evaluation,
)
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger

Share = tuple[float, float]
"""Part and whole of one question; a whole of 0 counts nothing."""
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


def by_language(outcomes: Sequence[QuestionOutcome]) -> dict[str, list[QuestionOutcome]]:
    """Return all outcomes under "", and those of each language where there are several."""
    languages = sorted({one.language for one in outcomes})
    found = {"": list(outcomes)}
    for language in languages if len(languages) > 1 else ():
        found[language] = [one for one in outcomes if one.language == language]
    return found


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
    set: str = ""
    language: str = ""  # "": all of them

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


# ---- runs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """One measurement. The settings of its row are all that it depends on but the documents."""

    row: EvaluationRow
    outcomes: Sequence[QuestionOutcome]
    left_out: Mapping[str, Mapping[str, int]]
    questions: Sequence[Question] = ()  # kept if they were made, not read from a file

    def of(self, name: str) -> list[QuestionOutcome]:
        """Return the outcomes of one set."""
        return [one for one in self.outcomes if one.set == name]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A run beside an earlier one: how each set, or one language of it, differs."""

    before: EvaluationRow
    settings: Mapping[str, tuple[Any, Any]]  # those that differ
    changes: tuple[Difference, ...]

    @property
    def fell(self) -> list[Difference]:
        """The figures that became worse by more than their interval."""
        return [change for change in self.changes if change.fell]


def keep(ledger: Ledger, run: EvaluationRun, *, documents: Mapping[str, str]) -> int:
    """Write a run into the ledger; return its number.

    ``documents`` gives the id of each file name that the run's own questions name.
    """
    body = {
        "left_out": {name: dict(reasons) for name, reasons in run.left_out.items()},
        "outcomes": [[o.set, o.id, o.language, o.shares] for o in run.outcomes],
    }
    made = [
        (documents[question.documents[0]], question.row())
        for question in run.questions
        if question.documents and question.documents[0] in documents
    ]
    return put_evaluation(ledger, run.row, body, made)


def load(ledger: Ledger, row: EvaluationRow) -> EvaluationRun:
    """Return a run as it was kept."""
    body = evaluation_body(ledger, row.id)
    outcomes = [
        QuestionOutcome(
            name, question, language, {k: (part, whole) for k, (part, whole) in shares.items()}
        )
        for name, question, language, shares in body["outcomes"]
    ]
    questions = [question_of(one, name=one["set"]) for one in evaluation_questions(ledger, row.id)]
    return EvaluationRun(row, outcomes, body["left_out"], questions)


def earlier(
    ledger: Ledger, source: str, *, named: str = "", sets: Iterable[str] = ()
) -> EvaluationRow:
    """Return the run to compare with: the one named (or numbered), else the last of these sets.

    Raises:
        ConfigError: there is none.
    """
    rows, wanted = list_evaluations(ledger, source), set(sets)
    if named:
        found = [row for row in rows if named in {row.name, str(row.id)}]
    else:
        found = [row for row in rows if wanted <= set(row.sets)]
    if found:
        return found[0]
    if named:
        raise ConfigError(
            Text(f"There is no run {named} of these sets.", f"没有名为 {named} 的评测记录。"),
            hint=Text("`rag eval --runs` lists them.", "`rag eval --runs` 可列出全部记录。"),
        )
    raise ConfigError(
        Text("There is no earlier run of these sets.", "这些评测集还没有以前的记录。"),
        hint=Text(
            "Run it once without --compare; every run is kept.",
            "请先不加 --compare 运行一次；每次结果都会保存。",
        ),
    )


def compare(before: EvaluationRun, after: EvaluationRun) -> RunComparison:
    """Compare two runs, set by set; and by language where a set has several.

    Raises:
        ConfigError: they have no question in common.
    """
    changes = [
        replace(found, set=name, language=language)
        for name in after.row.sets
        for language, spoken in by_language(after.of(name)).items()
        for found in differences(before.of(name), spoken)
    ]
    if not changes:
        raise ConfigError(
            Text(
                f"Run {before.row.id} asked none of these questions.",
                f"第 {before.row.id} 次评测没有问过这些问题。",
            ),
            hint=Text(
                "Choose another one with --against; `rag eval --runs` lists them.",
                "请用 --against 选择另一次；`rag eval --runs` 可列出全部记录。",
            ),
        )
    now = after.row.settings
    pairs = {  # those of a model that only one of them asked say nothing
        key: (old, now[key])
        for key, old in before.row.settings.items()
        if key in now and old != now[key]
    }
    return RunComparison(before.row, pairs, tuple(changes))
