"""``rag eval``: how good retrieval and answers are on a set of questions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.context import Context, JsonOption, progress_bar
from rag.cli.figures import Measured, answer_lines, show_pages, show_texts
from rag.errors import ConfigError
from rag.words import Text

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.factory import Factory
    from rag.indexing.work import SpaceEngines
    from rag.measure.answers import AnswerFigures
    from rag.measure.collections import Collection as TextCollection
    from rag.measure.retrieval import Search, TextFigures
    from rag.measure.sets import Question, QuestionSet
    from rag.store.ledger import Ledger
    from rag.types import Answer, Passage, Progress
Report = Callable[["Progress"], None]
Folder = Annotated[
    Path | None, typer.Argument(help="a folder with PDFs and questions/*.jsonl, or a BEIR folder")
]
Beir = Annotated[bool, typer.Option("--beir", help="the folder is laid out as BEIR")]
Squad = Annotated[
    Path | None, typer.Option("--squad", help="paragraphs and questions laid out as SQuAD")
]
Questions = Annotated[
    Path | None, typer.Option("--questions", help="with --squad: the same in another language")
]
Sets = Annotated[
    str, typer.Option("--sets", help="only these, separated by commas (names of .jsonl files)")
]
RetrievalOnly = Annotated[
    bool, typer.Option("--retrieval-only", help="ask no model: no citations, no answers")
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, help="answers asked for in each set (0: all of them)")
]
Single = Annotated[
    bool, typer.Option("--single", help="answer each question from its own document alone")
]

Details = Annotated[
    Path | None, typer.Option("--details", help="write each answer there, one object a line")
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a folder is measured."""

    sets: tuple[str, ...]  # none named: all
    limit: int  # answers a set
    single: bool
    answers: bool


def evaluate(  # noqa: PLR0913 - each is an option of the command
    ctx: typer.Context,
    folder: Folder = None,
    *,
    beir: Beir = False,
    squad: Squad = None,
    questions: Questions = None,
    sets: Sets = "",
    retrieval_only: RetrievalOnly = False,
    limit: Limit = 20,
    single: Single = False,
    details: Details = None,
    as_json: JsonOption = False,
) -> None:
    """Measure retrieval and answers on a set of questions, beside your own library."""
    context: Context = ctx.obj
    if squad is not None:
        texts = _texts(context, squad, questions)
        show_texts(texts, as_json=as_json)
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
        show_texts(_texts(context, folder, None, beir=True), as_json=as_json)
        return
    wanted = Wanted(tuple(sets.split(",")) if sets else (), limit, single, not retrieval_only)
    if details is not None:
        details.write_text("", "utf-8")  # a path that cannot be written is said now
    found = _pages(context, folder, wanted)
    if details is not None:
        details.write_text("".join(map(answer_lines, found.answers)), "utf-8")
    show_pages(context, found, as_json=as_json)


def _texts(
    context: Context, source: Path, questions: Path | None, *, beir: bool = False
) -> tuple[TextFigures, dict[str, Any]]:
    from rag.measure.bench_library import folder_for
    from rag.measure.collections import load_beir, load_squad
    from rag.measure.retrieval import measure_texts
    from rag.measure.texts import index_texts
    from rag.protocols import never

    collection: TextCollection = (
        load_beir(source) if beir else load_squad(source, questions=questions)
    )
    settings = context.settings.model_copy(update={"knowledge": folder_for(source)})
    with progress_bar(context) as report, _opened(settings, report) as (factory, ledger):
        engines = _wanted_space(factory, ledger)
        item_of = index_texts(ledger, engines, collection.items, report=report, cancelled=never)
        figures = measure_texts(
            collection,
            _search(factory, ledger, engines),
            item_of=item_of,
            told=_told(report, collection.name),
        )
        return figures, _space_json(engines)


def _pages(context: Context, source: Path, wanted: Wanted) -> Measured:
    from rag import wiring
    from rag.measure.bench_library import bring_pdfs, folder_for
    from rag.measure.retrieval import measure_pages
    from rag.measure.sets import load_sets

    _check_names(load_sets(source), wanted)  # what is wrong is said before anything is indexed
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
        sets = [
            found
            for found in load_sets(source, read_by_ocr=_read_by_ocr(ledger))
            if not wanted.sets or found.name in wanted.sets
        ]
        pages = [
            measure_pages(found, search, documents=documents, told=_told(report, found.name))
            for found in sets
        ]
        answers: list[AnswerFigures] = []
        model: str | None = None
        if wanted.answers:
            answers, model = _answers(factory, ledger, sets, documents, wanted, report)
        return Measured(pages, answers, _space_json(engines), model)


def _check_names(sets: Sequence[QuestionSet], wanted: Wanted) -> None:
    known = [found.name for found in sets]
    if unknown := [name for name in wanted.sets if name not in known]:
        raise ConfigError(
            Text(f"There is no set {unknown[0]}.", f"没有名为 {unknown[0]} 的评测集。"),
            hint=Text(f"There are: {', '.join(known)}.", f"现有：{', '.join(known)}。"),
        )


def _answers(
    factory: Factory,
    ledger: Ledger,
    sets: Sequence[QuestionSet],
    documents: Mapping[str, str],
    wanted: Wanted,
    report: Report,
) -> tuple[list[AnswerFigures], str]:
    from rag import wiring
    from rag.measure.answers import evenly, measure_answers
    from rag.store.keeper import exact_index
    from rag.types import Finished

    generator = factory.generator()
    pipeline = wiring.pipeline(
        factory,
        ledger,
        index=lambda space: exact_index(ledger, space),
        generator=lambda _: generator,
    )

    def ask(question: Question) -> Answer:
        own = documents.get(question.documents[0]) if question.documents else None
        scope = [own] if wanted.single and own else None
        *_, last = pipeline.ask(question.text, documents=scope)
        assert isinstance(last, Finished), "a stream of events ends with Finished"
        return last.answer

    try:
        found = [
            measure_answers(
                s.name, evenly(s.questions, wanted.limit), ask, told=_told(report, s.name)
            )
            for s in sets
        ]
    finally:
        generator.close()
    return found, generator.name


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
    return {key: value for key, value in asdict(engines.space).items() if key != "id"}
