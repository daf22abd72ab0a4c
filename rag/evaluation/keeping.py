"""Keeps what ``rag eval`` measured in the ledger, and finds what to compare it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rag.cli.wanted import Measured, Wanted
from rag.errors import StoreError

if TYPE_CHECKING:
    from rag.cli.context import Context
    from rag.evaluation.measuring import Bench, Found
    from rag.evaluation.runs import Run
    from rag.store.evaluations import EvaluationRow
    from rag.store.ledger import Ledger


def source_name(wanted: Wanted) -> str:
    """Return what the runs over a source are kept under."""
    from rag.evaluation.runs import OWN

    return OWN if wanted.own else wanted.source.name


def find_earlier(ledger: Ledger, wanted: Wanted, sets: Sequence[str]) -> EvaluationRow | None:
    """Return the run to compare with. Asked first: that there is none need not wait an hour.

    Raises:
        ConfigError: there is none.
    """
    from rag.evaluation.runs import earlier

    if not wanted.compares:
        return None
    return earlier(ledger, source_name(wanted), named=wanted.against, sets=sets)


def list_runs(context: Context, wanted: Wanted) -> list[EvaluationRow]:
    """Return the runs over a source, the latest first."""
    from rag.evaluation.library import folder_for
    from rag.store.evaluations import list_evaluations
    from rag.store.ledger import Ledger

    folder = context.settings.knowledge if wanted.own else folder_for(wanted.source)
    file = context.settings.model_copy(update={"knowledge": folder}).data / "library.db"
    if not file.is_file():
        return []
    ledger = Ledger(file, read_only=True)
    try:
        return list_evaluations(ledger, source_name(wanted))
    finally:
        ledger.close()


def finished(bench: Bench, found: Found, before: EvaluationRow | None, wanted: Wanted) -> Measured:
    """Compare what was found with the run before, and keep it.

    What was measured is shown even if it cannot be kept.
    """
    from rag.evaluation.runs import compare, load

    run = _run(bench, found, wanted)
    comparison = compare(load(bench.ledger, before), before, run) if before else None
    unkept, number = None, 0
    try:
        number = _keep(bench, run)
    except StoreError as error:
        unkept = error.message
    space = {key: value for key, value in asdict(bench.engines.space).items() if key != "id"}
    return Measured(run, space, found.model, comparison, found.answered, number, unkept)


def _keep(bench: Bench, run: Run) -> int:
    """Write the run, also into a library that another process owns and this one only reads."""
    from rag.evaluation.runs import keep
    from rag.store.ledger import Ledger

    ledger = Ledger(bench.ledger.path)
    try:
        return keep(ledger, run, documents=bench.documents())
    finally:
        ledger.close()


def _run(bench: Bench, found: Found, wanted: Wanted) -> Run:
    """Return a run with all the settings that its figures depend on."""
    from importlib.metadata import version

    from rag import wiring
    from rag.evaluation.runs import Run

    settings = bench.factory.settings
    kept: dict[str, Any] = {
        "version": version("ragdesk"),
        "reader": wiring.fingerprint(bench.factory).reader,
        **{key: value for key, value in asdict(bench.engines.space).items() if key != "id"},
        "passages": bench.ledger.chunk_count(bench.engines.space),
    }
    sections = {"retrieve": settings.retrieve.model_dump(mode="json")}
    if settings.reranker.model:
        sections["reranker"] = settings.reranker.model_dump(mode="json")
    if found.model is not None:
        kept |= {"model": found.model, "single": wanted.single}
        sections["generator"] = settings.generator.model_dump(mode="json", exclude={"model"})
    for section, values in sections.items():
        kept |= {f"{section}.{key}": value for key, value in values.items()}
    return Run(
        source_name(wanted),
        kept,
        list(found.outcomes),
        found.left_out or {},
        tuple(found.questions),
        name=wanted.name,
    )
