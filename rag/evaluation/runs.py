"""Runs: what was measured, how, and when; and how one compares with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rag.errors import ConfigError
from rag.evaluation.figures import Difference, QuestionOutcome, differences
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
    from rag.evaluation.library import MeasuredLibrary
    from rag.storage.ledger import Ledger


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """One measurement. ``settings`` are all that its figures depend on but the documents."""

    source: str
    settings: Mapping[str, Any]
    outcomes: Sequence[QuestionOutcome]
    left_out: Mapping[str, Mapping[str, int]]
    questions: Sequence[Question] = ()  # kept if they were made, not read from a file
    name: str = ""
    id: int = 0
    at: float = 0.0

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of its sets, those without a single question too."""
        return tuple(dict.fromkeys([*self.left_out, *(one.set for one in self.outcomes)]))

    def of(self, name: str) -> list[QuestionOutcome]:
        """Return the outcomes of one set."""
        return [one for one in self.outcomes if one.set == name]


@dataclass(frozen=True, slots=True)
class FigureChange:
    """How one set, or one language of it, differs from the run before."""

    set: str
    language: str  # "": all of them
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A run beside an earlier one."""

    before: EvaluationRow
    settings: Mapping[str, tuple[Any, Any]]  # those that differ
    changes: tuple[FigureChange, ...]

    @property
    def fell(self) -> list[tuple[FigureChange, Difference]]:
        """The figures that became worse by more than their interval."""
        return [(c, d) for c in self.changes for d in c.differences if d.fell]


def space_values(measured: MeasuredLibrary) -> dict[str, Any]:
    """Return embedder, dimensions, cutting and analyser of the space that is measured."""
    values = asdict(measured.engines.space)
    del values["id"]
    return values


def settings_of(measured: MeasuredLibrary, *, model: str | None, single: bool) -> dict[str, Any]:
    """Return all the settings that figures depend on; those of answers if a ``model`` gave any."""
    from rag.app import wiring

    settings = measured.container.settings
    kept = {
        "version": version("ragdesk"),
        "reader": wiring.wanted_version(measured.container).reader,
        **space_values(measured),
        "passages": measured.ledger.chunk_count(measured.engines.space),
    }
    sections = {"retrieve": settings.retrieve.model_dump(mode="json")}
    if settings.reranker.model:
        sections["reranker"] = settings.reranker.model_dump(mode="json")
    if model is not None:
        kept |= {"model": model, "single": single}
        sections["generator"] = settings.generator.model_dump(mode="json", exclude={"model"})
    for section, values in sections.items():
        kept |= {f"{section}.{key}": value for key, value in values.items()}
    return kept


def keep(
    ledger: Ledger, run: EvaluationRun, *, documents: Mapping[str, str] = MappingProxyType({})
) -> int:
    """Write a run into the ledger; return its number.

    ``documents`` gives the id of each file name that the run's own questions name.
    """
    body = {
        "left_out": {name: dict(reasons) for name, reasons in run.left_out.items()},
        "outcomes": [[o.set, o.id, o.language, o.shares] for o in run.outcomes],
    }
    row = EvaluationRow(0, 0.0, run.name, run.source, dict(run.settings), run.sets)
    made = [
        (documents[question.documents[0]], question.row())
        for question in run.questions
        if question.documents and question.documents[0] in documents
    ]
    return put_evaluation(ledger, row, body, made)


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
    return EvaluationRun(
        row.source,
        row.settings,
        outcomes,
        body["left_out"],
        questions,
        row.name,
        row.id,
        row.at,
    )


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


def compare(before: EvaluationRun, row: EvaluationRow, after: EvaluationRun) -> RunComparison:
    """Compare two runs, set by set; and by language where a set has several.

    Raises:
        ConfigError: they have no question in common.
    """
    changes = []
    for name in after.sets:
        old, new = before.of(name), after.of(name)
        if found := differences(old, new):
            changes.append(FigureChange(name, "", tuple(found)))
        languages = sorted({one.language for one in new})
        for language in languages if len(languages) > 1 else ():
            spoken = [one for one in new if one.language == language]
            if found := differences(old, spoken):
                changes.append(FigureChange(name, language, tuple(found)))
    if not changes:
        raise ConfigError(
            Text(
                f"Run {row.id} asked none of these questions.",
                f"第 {row.id} 次评测没有问过这些问题。",
            ),
            hint=Text(
                "Choose another one with --against; `rag eval --runs` lists them.",
                "请用 --against 选择另一次；`rag eval --runs` 可列出全部记录。",
            ),
        )
    pairs = {  # those of a model that only one of them asked say nothing
        key: (old, after.settings[key])
        for key, old in before.settings.items()
        if key in after.settings and old != after.settings[key]
    }
    return RunComparison(row, pairs, tuple(changes))
