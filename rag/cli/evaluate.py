"""``rag eval``: how good retrieval is on a set of questions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import Context, JsonOption, print_json, progress_bar
from rag.errors import ConfigError
from rag.words import Text

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.factory import Factory
    from rag.indexing.work import SpaceEngines
    from rag.measure.collections import Collection as TextCollection
    from rag.measure.retrieval import PageFigures, Search, TextFigures
    from rag.store.ledger import Ledger
    from rag.types import Passage, Progress

Report = Callable[["Progress"], None]
Folder = Annotated[
    Path | None, typer.Argument(help="a folder with PDFs and questions/*.jsonl, or a BEIR folder")
]


def evaluate(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    folder: Folder = None,
    *,
    beir: Annotated[bool, typer.Option("--beir", help="the folder is laid out as BEIR")] = False,
    squad: Annotated[
        Path | None, typer.Option("--squad", help="paragraphs and questions laid out as SQuAD")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", help="with --squad: the same in another language")
    ] = None,
    sets: Annotated[
        str, typer.Option("--sets", help="only these, separated by commas (names of .jsonl files)")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Measure retrieval on a set of questions; nothing of it goes into your own library."""
    context: Context = ctx.obj
    if squad is not None:
        texts = _texts(context, squad, questions)
        _show_texts(texts, as_json=as_json)
        return
    if folder is None:
        raise ConfigError(
            Text("Nothing is named to be measured.", "没有指定评测集。"),
            hint=Text(
                "Name a folder with PDFs and questions/*.jsonl, or a file with --squad.",
                "请给出包含 PDF 和 questions/*.jsonl 的文件夹，或用 --squad 指定文件。",
            ),
        )
    if beir:
        _show_texts(_texts(context, folder, None, beir=True), as_json=as_json)
        return
    _show_pages(context, *_pages(context, folder, sets.split(",") if sets else []), as_json=as_json)


def _texts(
    context: Context, source: Path, questions: Path | None, *, beir: bool = False
) -> tuple[TextFigures, dict[str, Any]]:
    from rag.measure.bench_library import folder_for
    from rag.measure.collections import load_beir, load_squad
    from rag.measure.retrieval import measure_texts
    from rag.measure.texts import index_texts

    collection: TextCollection = (
        load_beir(source) if beir else load_squad(source, questions=questions)
    )
    settings = context.settings.model_copy(update={"knowledge": folder_for(source)})
    with progress_bar(context) as report, _opened(settings, report) as (factory, ledger):
        engines = _wanted_space(factory, ledger)
        item_of = index_texts(
            ledger, engines, collection.items, report=report, cancelled=lambda: False
        )
        figures = measure_texts(
            collection,
            _search(factory, ledger, engines),
            item_of=item_of,
            told=_told(report, collection.name),
        )
        return figures, _space_json(engines)


def _pages(
    context: Context, source: Path, names: Sequence[str]
) -> tuple[list[PageFigures], dict[str, Any]]:
    from rag import wiring
    from rag.measure.bench_library import bring_pdfs, folder_for
    from rag.measure.retrieval import measure_pages
    from rag.measure.sets import load_sets

    load_sets(source)  # a wrong file is said before anything is indexed
    settings = context.settings.model_copy(update={"knowledge": folder_for(source)})
    bring_pdfs(source, settings.knowledge)
    with progress_bar(context) as report, _opened(settings, report) as (factory, ledger):
        library = wiring.library(factory, ledger, index=None)
        if ledger.active_space() is None:
            library.sync(report=report)
        else:
            library.rebuild(wanted=lambda space: wiring.is_wanted(factory, space), report=report)
        engines = wiring.space_engines(factory, ledger, ledger.active_space())
        documents = {
            Path(path).name: row.document_id
            for path, row in ledger.files().items()
            if row.document_id
        }
        search = _search(factory, ledger, engines)
        figures = []
        for found in load_sets(source, read_by_ocr=_read_by_ocr(ledger)):
            if names and found.name not in names:
                continue
            figures.append(
                measure_pages(found, search, documents=documents, told=_told(report, found.name))
            )
        return figures, _space_json(engines)


def _told(report: Report, name: str) -> Callable[[int, int], None]:
    from rag.types import Progress

    return lambda done, total: report(Progress("check", done, total, "questions", name))


@contextmanager
def _opened(settings: Settings, report: Report) -> Iterator[tuple[Factory, Ledger]]:
    from rag.factory import Factory
    from rag.store.owner import Owner

    owner = Owner(settings.data)
    factory = Factory(settings, report=report)
    ledger = factory.ledger()
    try:
        yield factory, ledger
    finally:
        ledger.close()
        factory.close()
        owner.release()


def _wanted_space(factory: Factory, ledger: Ledger) -> SpaceEngines:
    """Return the space of the present settings; those of other settings are kept beside it."""
    from rag import wiring

    for space in ledger.spaces().values():
        if wiring.is_wanted(factory, space):
            return wiring.space_engines(factory, ledger, space)
    return wiring.space_engines(factory, ledger, None)


def _search(factory: Factory, ledger: Ledger, engines: SpaceEngines) -> Search:
    from rag import wiring
    from rag.store.keeper import exact_index

    retriever = wiring.retriever(factory, ledger, engines, exact_index(ledger, engines.space))

    def search(question: str, k: int, documents: Collection[str] | None) -> Sequence[Passage]:
        return retriever.search(question, k=k, documents=documents).passages

    return search


def _read_by_ocr(ledger: Ledger) -> set[str]:
    rows = ledger.connection.execute(
        "SELECT DISTINCT f.path FROM files f JOIN pages p ON p.document_id = f.document_id"
        " WHERE p.state = 'ocr'"
    )
    return {Path(row[0]).name for row in rows}


def _space_json(engines: SpaceEngines) -> dict[str, Any]:
    space = engines.space
    return {
        "embedder": space.embedder,
        "dim": space.dim,
        "chunking": space.chunking,
        "analyser": space.analyser,
    }


def _show_texts(found: tuple[TextFigures, dict[str, Any]], *, as_json: bool) -> None:
    figures, space = found
    values = {
        "ndcg@10": figures.ndcg_at_10,
        "recall@100": figures.recall_at_100,
        "hit@1": figures.hit_at_1,
        "hit@5": figures.hit_at_5,
    }
    if as_json:
        row = {"n": figures.queries, **values, "seconds_per_question": figures.seconds_per_question}
        print_json({"sets": {figures.name: row}, "space": space, "model": None})
        return
    typer.echo(
        f"{figures.name}: {figures.queries} / {figures.texts}  "
        + "  ".join(f"{name} {value:.3f}" for name, value in values.items())
    )


def _show_pages(
    context: Context, figures: Sequence[PageFigures], space: dict[str, Any], *, as_json: bool
) -> None:
    if as_json:
        rows = {one.name: _page_json(one) for one in figures if one.questions}
        print_json({"sets": rows, "space": space, "model": None})
        return
    typer.echo(f"{'':14} {'':7} {'n':>5} {'hit@1':>6} {'hit@5':>6} {'hit@10':>6} {'mrr':>6}")
    for one in figures:
        if not one.questions:
            continue
        for mode in one.ranks:
            values = [one.hit(mode, k) for k in (1, 5, 10)] + [one.mrr(mode)]
            typer.echo(
                f"{one.name:14} {mode:7} {one.questions:5} "
                + " ".join(f"{value:6.3f}" for value in values)
            )
        if one.left_out:
            typer.echo("  " + _left_out(context, one))


def _left_out(context: Context, figures: PageFigures) -> str:
    parts = ", ".join(f"{reason} {count}" for reason, count in sorted(figures.left_out.items()))
    return context.say(Text(f"left out: {parts}", f"未计入：{parts}"))


def _page_json(figures: PageFigures) -> dict[str, Any]:
    modes: dict[str, Any] = {
        mode: {
            **{f"hit@{k}": round(figures.hit(mode, k), 4) for k in (1, 5, 10)},
            "mrr": round(figures.mrr(mode), 4),
        }
        for mode in figures.ranks
    }
    return {
        "n": figures.questions,
        **modes,
        "left_out": dict(figures.left_out),
        "seconds_per_question": round(figures.seconds_per_question, 4),
    }
