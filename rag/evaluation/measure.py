"""The use cases of ``rag eval``: sets about PDFs, collections of texts, the person's own library.

Sets and collections are indexed with the present settings in a library of their own. Every
question is searched for and put to the gate before the model; a model is asked some of them, if
that is wanted. What came of it is compared with an earlier run, and kept in the ledger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rag.errors import ConfigError, StoreError
from rag.evaluation import asking, library, runs
from rag.evaluation.asking import Answered, Ask
from rag.evaluation.datasets import (
    QuestionSet,
    evenly,
    load_beir,
    load_set,
    load_sets,
    load_squad,
    without_unread,
)
from rag.evaluation.library import MeasuredLibrary, Report
from rag.evaluation.runs import EvaluationRun, QuestionOutcome, RunComparison
from rag.evaluation.scoring import contains
from rag.generation.prompt import build_messages
from rag.indexing.questions.maker import OWN, Question, make_questions
from rag.protocols import never
from rag.storage.evaluations import EvaluationRow, list_evaluations
from rag.storage.ledger import Ledger
from rag.storage.ocr_pages import waiting_pages
from rag.text.language import detect_language
from rag.text.messages import Text
from rag.types.answers import Message, Passage
from rag.types.documents import Chunk

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.protocols import TextGenerator
    from rag.types.answers import Answer


_OTHER_WORDS = Text(
    "Say this question in other words. Keep every name and number. Answer with one question"
    " and nothing else.\n\n{}",
    "把下面的问题换一种说法。保留所有名称和数字。只回答一个问题，不要写别的。\n\n{}",
)
_OLDER = Text(
    "This run is not kept: an older version of RAG Desk made the library. `rag sync` brings it up"
    " to date.",
    "本次评测未保存：资料库由旧版 RAG Desk 建立。运行 `rag sync` 即可更新。",
)
_LONGEST = 2.5  # times the question that it was made of
_TOKENS = 80
_AROUND = 600  # characters on each side of what the question was made of


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and what is made of it."""

    folder: Path | None = None
    beir: bool = False
    squad: Path | None = None
    questions: Path | None = None
    sets: tuple[str, ...] = ()  # none named: all
    limit: int = 20  # answers a set
    single: bool = False
    answers: bool = True
    own: bool = False
    size: int = 100  # questions made
    seed: int = 1
    rephrase: bool = False
    write: Path | None = None
    compare: bool = False
    against: str = ""
    name: str = ""

    @property
    def source(self) -> Path:
        """The folder or file that is measured.

        Raises:
            ConfigError: nothing is named.
        """
        found = self.squad or self.folder
        if found is None:
            raise ConfigError(
                Text("Nothing is named to be measured.", "没有指定评测集。"),
                hint=Text(
                    "Name a folder with PDFs and questions/*.jsonl, a file with --squad, or --own"
                    " for your own documents.",
                    "请给出包含 PDF 和 questions/*.jsonl 的文件夹，用 --squad 指定文件，"
                    "或用 --own 评测你自己的文档。",
                ),
            )
        return found

    @property
    def source_name(self) -> str:
        """What the runs over the source are kept under."""
        return OWN if self.own else self.source.name


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the questions."""

    outcomes: Sequence[QuestionOutcome]
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    answered: Sequence[Answered] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A run with what is shown beside it."""

    run: EvaluationRun
    version: Mapping[str, Any]
    comparison: RunComparison | None
    answered: Sequence[Answered]
    number: int  # of the run in the ledger
    unkept: Text | None  # why it could not be written there


def measure(
    settings: Settings, options: Options, *, report: Report, notify: Callable[[Text], None]
) -> Measured:
    """Measure what the options name; ``notify`` hears what a person should know before.

    Raises:
        RagError: there is nothing to measure, or nothing to compare it with.
    """
    if options.own:
        with library.opened_own(settings, report=report, notify=notify) as own:
            return _measure_own(own, options)
    if options.squad is not None or options.beir:
        return _measure_collection(settings, options, report)
    return _measure_folder(settings, options, report)


def list_runs(settings: Settings, options: Options) -> list[EvaluationRow]:
    """Return the runs over a source, the latest first."""
    folder = settings.knowledge if options.own else library.folder_for(options.source)
    file = settings.model_copy(update={"knowledge": folder}).data / "library.db"
    if not file.is_file():
        return []
    with closing(Ledger(file, read_only=True)) as ledger:
        return list_evaluations(ledger, options.source_name)


def _measure_collection(settings: Settings, options: Options, report: Report) -> Measured:
    """Measure retrieval of short texts."""
    source = options.source
    collection = (
        load_squad(source, questions=options.questions) if options.squad else load_beir(source)
    )
    with library.opened(settings, source, report=report) as (container, ledger):
        before = _earlier(ledger, options, [collection.name])
        texts = library.for_texts(container, ledger, report)
        item_of = asking.index_texts(
            ledger, texts.engines, collection.items, report=report, cancelled=never
        )
        told = texts.told(collection.name)
        found = asking.measure_texts(collection, texts.searching(), item_of=item_of, told=told)
        return _finished(texts, Found(found), before, options)


def _measure_folder(settings: Settings, options: Options, report: Report) -> Measured:
    """Measure retrieval of pages and, unless that is all, answers."""
    source = options.source
    chosen = _chosen(load_sets(source), options)  # what is wrong is said before any indexing
    with library.opened(settings, source, report=report) as (container, ledger):
        before = _earlier(ledger, options, [found.name for found in chosen])
        pages = library.brought(
            source, container, ledger, report, recognised=settings.ingest.ocr == "auto"
        )
        sets = _chosen(load_sets(source, read_by_ocr=_read_by_ocr(ledger)), options)
        unread = _unread(ledger)
        sets = [without_unread(found, unread) for found in sets]
        return _finished(pages, _measure_sets(pages, sets, options), before, options)


def _measure_own(own: MeasuredLibrary, options: Options) -> Measured:
    """Make questions, or take those of a file or of the run to compare with, and ask them."""
    before = _earlier(own.ledger, options, [OWN])
    questions = _own_questions(own, options, before)
    if options.write is not None:
        lines = (json.dumps(one.row(), ensure_ascii=False) for one in questions)
        options.write.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    found = _measure_sets(own, [QuestionSet(OWN, tuple(questions), {})], options)
    return _finished(own, found, before, options, questions)


def _chosen(sets: Sequence[QuestionSet], options: Options) -> list[QuestionSet]:
    known = [found.name for found in sets]
    if unknown := [name for name in options.sets if name not in known]:
        raise ConfigError(
            Text(f"There is no set {unknown[0]}.", f"没有名为 {unknown[0]} 的评测集。"),
            hint=Text(f"There are: {', '.join(known)}.", f"现有：{', '.join(known)}。"),
        )
    return [found for found in sets if not options.sets or found.name in options.sets]


def _read_by_ocr(ledger: Ledger) -> set[str]:
    rows = ledger.connection.execute(
        "SELECT DISTINCT f.path FROM files f JOIN pages p ON p.document_id = f.document_id"
        " WHERE p.state = 'ocr'"
    )
    return {Path(row[0]).name for row in rows}


def _unread(ledger: Ledger) -> dict[str, set[int]]:
    """Return by file name the pages that no text recognition has read."""
    waiting = waiting_pages(ledger, failed_too=True)
    return {
        Path(path).name: set(waiting[row.document_id])
        for path, row in ledger.files().items()
        if row.document_id in waiting
    }


# ---- asking -------------------------------------------------------------------------------


def _measure_sets(whole: MeasuredLibrary, sets: Sequence[QuestionSet], options: Options) -> Found:
    """Search for every question; ask a model some of them, if that is wanted."""
    documents, search = whole.documents(), whole.searching()
    left_out = {found.name: found.left_out for found in sets}
    outcomes: list[QuestionOutcome] = []
    with _without_what_is_taken_out(whole, sets, documents) as other:
        hidden = other.searching()
        for found in sets:
            told = whole.told(found.name)
            pages = asking.measure_pages(found, search, documents=documents, told=told)
            gated = []
            for q in found.questions:
                refused = (hidden if q.taken_out else search).refuses(q.text)
                gated.append(asking.outcome(q, asking.refusal("gate", q, refused=refused)))
            outcomes += runs.merged(pages, gated)
        if not options.answers:
            return Found(outcomes, left_out)
        answered, model = _answers(whole, other, sets, options)
    outcomes = runs.merged(outcomes, map(asking.of_answer, answered))
    return Found(outcomes, left_out, answered, model)


@contextmanager
def _without_what_is_taken_out(
    whole: MeasuredLibrary, sets: Sequence[QuestionSet], documents: Mapping[str, str]
) -> Iterator[MeasuredLibrary]:
    """Give a copy of the library without what questions say is taken out; itself if nothing."""
    parts = [
        (documents[q.documents[0]], q.pages if q.taken_out == "pages" else None)
        for found in sets
        for q in found.questions
        if q.taken_out and q.documents and q.documents[0] in documents
    ]
    if not parts:
        yield whole
        return
    with library.reduced(whole.ledger, parts) as ledger:
        yield replace(whole, ledger=ledger)


def _answers(
    whole: MeasuredLibrary, other: MeasuredLibrary, sets: Sequence[QuestionSet], options: Options
) -> tuple[list[Answered], str]:
    """Ask a model some questions of each set; also return its name."""
    with closing(whole.container.generator()) as generator:
        of_whole = _asker(whole, generator, single=options.single)
        of_rest = of_whole if other is whole else _asker(other, generator, single=options.single)

        def ask(question: Question) -> Answer:
            return (of_rest if question.taken_out else of_whole)(question)

        found = [
            answered
            for one in sets
            for answered in asking.measure_answers(
                evenly(one.questions, options.limit), ask, told=whole.told(one.name)
            )
        ]
        return found, generator.name


def _asker(asked: MeasuredLibrary, generator: TextGenerator, *, single: bool) -> Ask:
    from rag.app import wiring
    from rag.types.answers import Finished

    documents = asked.documents()
    parts = wiring.question_parts(asked.container, asked.ledger, generator=lambda _: generator)

    def ask(question: Question) -> Answer:
        own = documents.get(question.documents[0]) if question.documents else None
        scope = [own] if single and own else None
        *_, last = parts.pipeline.ask(question.text, documents=scope)
        assert isinstance(last, Finished), "a stream of events ends with Finished"
        return last.answer

    return ask


# ---- questions of the person's own documents ----------------------------------------------


def _own_questions(
    own: MeasuredLibrary, options: Options, before: EvaluationRow | None
) -> Sequence[Question]:
    """Return the questions to ask; those of an earlier run, so that both answer the same."""
    if options.questions is not None:
        return [replace(q, set=OWN) for q in load_set(options.questions).questions]
    if before is not None:
        known = own.documents()
        kept = [q for q in runs.load(own.ledger, before).questions if q.documents[0] in known]
        return kept or _nothing_to_ask(Text(
            f"The documents that run {before.id} asked about are not there any more.",
            f"第 {before.id} 次评测所问的文档已经不在了。",
        ))  # fmt: skip
    told = own.told("making questions")
    made = make_questions(own.ledger, size=options.size, seed=options.seed, told=told)
    if options.rephrase:
        made = _rephrased(own, made)
    return made or _nothing_to_ask(Text(
        "Nothing in your documents can be asked about by rule: they hold too little text.",
        "文档中的文字太少，无法按规则提出问题。",
    ))  # fmt: skip


def _nothing_to_ask(words: Text) -> NoReturn:
    raise ConfigError(
        words,
        hint=Text(
            "Add documents, or ask questions of your own with --questions FILE.",
            "请添加文档，或用 --questions FILE 给出自己的问题。",
        ),
    )


def _rephrased(own: MeasuredLibrary, questions: Sequence[Question]) -> list[Question]:
    documents = own.documents()

    def page_text(file: str, page: int) -> str:
        row = own.ledger.connection.execute(
            "SELECT text FROM pages WHERE document_id = ? AND number = ?", (documents[file], page)
        ).fetchone()
        return str(row[0]) if row else ""

    with closing(own.container.generator()) as generator:
        told = own.told("other words")
        return list(rephrased(questions, generator, page_text=page_text, told=told))


def rephrased(
    questions: Sequence[Question],
    generator: TextGenerator,
    *,
    page_text: Callable[[str, int], str],
    told: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Question]:
    """Yield each question, in the model's words where those are good.

    The rules' own wording stays wherever the model's is no question, loses a number, gives the
    answer away, or cannot be answered from the passage by the same model. ``page_text`` gives the
    text of a page, by the file's name and the page's number.
    """
    for number, question in enumerate(questions, start=1):
        prompt = _OTHER_WORDS.say(detect_language(question.text)).format(question.text)
        said = _said(generator, [Message("user", prompt)])
        other = said.strip().split("\n")[0].strip(' "“”')
        good = keeps(question, other) and _answerable(question, other, generator, page_text)
        yield replace(question, text=other) if good else question
        told(number, len(questions))


def keeps(question: Question, other: str) -> bool:
    """Say whether another wording asks the same, as far as rules can tell.

    >>> asked = "What were sales in 2018?"
    >>> asked = Question("1", "own", "en", ("a.pdf",), asked, ("5",), (1,), answerable=True)
    >>> keeps(asked, "How much was sold in 2018?"), keeps(asked, "How much was sold?")
    (True, False)
    """
    given_away = any(answer and contains(other, answer) for answer in question.answers)
    same_numbers = set(re.findall(r"\d+", question.text)) <= set(re.findall(r"\d+", other))
    term = question.evidence[0] if question.kind == "definition" else ""
    return (
        other.endswith(("?", "？"))
        and other != question.text
        and len(other) <= _LONGEST * len(question.text)
        and detect_language(other) == question.language
        and same_numbers
        and not given_away
        and term.lower() in other.lower()
    )


def _answerable(
    question: Question, other: str, generator: TextGenerator, page_text: Callable[[str, int], str]
) -> bool:
    if question.kind not in {"sentence", "table"}:
        return True  # there is no short answer to compare with
    passage = _passage(question, page_text)
    answer = _said(generator, build_messages(other, [passage]))
    return any(contains(answer, gold) for gold in question.answers)


def _passage(question: Question, page_text: Callable[[str, int], str]) -> Passage:
    page, file = question.pages[0], question.documents[0]
    text = page_text(file, page)
    at = max(0, text.find(question.evidence[0][:12]) if question.evidence else 0)
    start, end = max(0, at - _AROUND), at + _AROUND
    chunk = Chunk("", start, end, page, page, text[start:end])
    return Passage(0, chunk, file, file)


def _said(generator: TextGenerator, messages: Sequence[Message]) -> str:
    pieces = generator.stream(messages, max_tokens=_TOKENS, temperature=0.0, cancelled=never)
    return "".join(piece.text for piece in pieces)


# ---- the run and the one before -----------------------------------------------------------


def _earlier(ledger: Ledger, options: Options, sets: Sequence[str]) -> EvaluationRow | None:
    """Return the run to compare with. Asked first: that there is none need not wait an hour.

    Raises:
        ConfigError: there is none.
    """
    if not options.compare and not options.against:
        return None
    return runs.earlier(ledger, options.source_name, named=options.against, sets=sets)


def _finished(
    measured: MeasuredLibrary,
    found: Found,
    before: EvaluationRow | None,
    options: Options,
    questions: Sequence[Question] = (),
) -> Measured:
    """Compare what was found with the run before, and keep it with the ``questions`` made for it.

    What was measured is shown even if it cannot be kept.
    """
    settings = measured.settings(model=found.model, single=options.single)
    # those without a single question too
    sets = tuple(dict.fromkeys([*found.left_out, *(one.set for one in found.outcomes)]))
    row = EvaluationRow(0, 0.0, options.name, options.source_name, settings, sets)
    run = EvaluationRun(row, found.outcomes, found.left_out, questions)
    comparison = runs.compare(runs.load(measured.ledger, before), run) if before else None
    number, unkept = _keep(measured, run)
    version = measured.version()
    return Measured(run, version, comparison, found.answered, number, unkept)


def _keep(measured: MeasuredLibrary, run: EvaluationRun) -> tuple[int, Text | None]:
    """Return the number that the run is kept under; 0, and why, if it cannot be."""
    if measured.ledger.is_older:  # measuring is no reason to change it
        return 0, _OLDER
    try:
        # also in a library that another process owns and this one only reads
        with closing(Ledger(measured.ledger.path)) as ledger:
            return runs.keep(ledger, run, documents=measured.documents()), None
    except StoreError as error:
        return 0, error.message
