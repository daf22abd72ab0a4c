"""Measuring for ``rag eval``: sets of questions about PDFs, and collections of texts.

Each is indexed with the present settings in a library of its own, beside the person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rag.cli.context import Context, progress_bar
from rag.cli.wanted import Measured, Wanted
from rag.errors import ConfigError
from rag.evaluation.measuring import Bench, Found, Report, measure_sets, searching, told
from rag.words import Text

if TYPE_CHECKING:
    from rag.evaluation.sets import QuestionSet
    from rag.factory import Factory
    from rag.indexing.work import SpaceEngines
    from rag.store.ledger import Ledger


def measure_collection(context: Context, wanted: Wanted) -> Measured:
    """Measure retrieval of short texts."""
    from rag.evaluation.collections import load_beir, load_squad
    from rag.evaluation.keeping import find_earlier, finished
    from rag.evaluation.outcomes import of_texts
    from rag.evaluation.retrieval import measure_texts
    from rag.evaluation.texts import index_texts
    from rag.protocols import never

    source = wanted.source
    collection = (
        load_squad(source, questions=wanted.questions) if wanted.squad else load_beir(source)
    )
    with opened(context, source) as (factory, ledger, report):
        before = find_earlier(ledger, wanted, [collection.name])
        engines = _wanted_space(factory, ledger)
        item_of = index_texts(ledger, engines, collection.items, report=report, cancelled=never)
        figures = measure_texts(
            collection,
            searching(factory, ledger, engines),
            item_of=item_of,
            told=told(report, collection.name),
        )
        found = Found(of_texts(figures))
        return finished(Bench(factory, ledger, engines, report), found, before, wanted)


def measure_folder(context: Context, wanted: Wanted) -> Measured:
    """Measure retrieval of pages and, unless that is all, answers."""
    from rag.evaluation.keeping import find_earlier, finished
    from rag.evaluation.sets import load_sets

    source = wanted.source
    chosen = _chosen(load_sets(source), wanted)  # what is wrong is said before any indexing
    with opened(context, source) as (factory, ledger, report):
        before = find_earlier(ledger, wanted, [found.name for found in chosen])
        bench = brought(source, factory, ledger, report)
        sets = _chosen(load_sets(source, read_by_ocr=_read_by_ocr(ledger)), wanted)
        return finished(bench, measure_sets(bench, sets, wanted), before, wanted)


def brought(source: Path, factory: Factory, ledger: Ledger, report: Report) -> Bench:
    """Bring the library of a folder of PDFs up to date with it and with the settings."""
    from rag import wiring
    from rag.evaluation.library import bring_pdfs

    bring_pdfs(source, factory.settings.knowledge)
    library = wiring.library(factory, ledger, index=None)
    if ledger.active_space() is None:
        library.sync(report=report)
    else:
        library.rebuild(wanted=lambda space: wiring.is_wanted(factory, space), report=report)
    engines = wiring.space_engines(factory, ledger, ledger.active_space())
    return Bench(factory, ledger, engines, report)


def _chosen(sets: Sequence[QuestionSet], wanted: Wanted) -> list[QuestionSet]:
    known = [found.name for found in sets]
    if unknown := [name for name in wanted.sets if name not in known]:
        raise ConfigError(
            Text(f"There is no set {unknown[0]}.", f"没有名为 {unknown[0]} 的评测集。"),
            hint=Text(f"There are: {', '.join(known)}.", f"现有：{', '.join(known)}。"),
        )
    return [found for found in sets if not wanted.sets or found.name in wanted.sets]


@contextmanager
def opened(context: Context, source: Path) -> Iterator[tuple[Factory, Ledger, Report]]:
    """Open the library that measures a source; nobody else may measure it meanwhile.

    Raises:
        LibraryBusy: somebody does.
    """
    from rag.evaluation.library import folder_for
    from rag.factory import Factory
    from rag.store.owner import Owner

    settings = context.settings.model_copy(update={"knowledge": folder_for(source)})
    owner = Owner(settings.data)
    try:
        with progress_bar(context) as report:
            factory = Factory(settings, report=report)
            ledger = factory.ledger()
            try:
                yield factory, ledger, report
            finally:
                ledger.close()
                factory.close()
    finally:
        owner.release()


def _wanted_space(factory: Factory, ledger: Ledger) -> SpaceEngines:
    """Return the space of the present settings; those of other settings are kept beside it."""
    from rag import wiring

    for space in ledger.spaces().values():
        if wiring.is_wanted(factory, space):
            return wiring.space_engines(factory, ledger, space)
    return wiring.space_engines(factory, ledger, None)


def _read_by_ocr(ledger: Ledger) -> set[str]:
    rows = ledger.connection.execute(
        "SELECT DISTINCT f.path FROM files f JOIN pages p ON p.document_id = f.document_id"
        " WHERE p.state = 'ocr'"
    )
    return {Path(row[0]).name for row in rows}
