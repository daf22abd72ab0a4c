"""Asks sets of questions of a library, for ``rag eval``: searches, the gate, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.cli.wanted import Wanted
    from rag.evaluation.answers import AnswerFigures, Ask
    from rag.evaluation.outcomes import Outcome
    from rag.evaluation.searching import Searching
    from rag.evaluation.sets import Question, QuestionSet
    from rag.factory import Factory
    from rag.indexing.work import SpaceEngines
    from rag.protocols import TextGenerator
    from rag.store.ledger import Ledger
    from rag.types import Answer, Progress
Report = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """A library that is measured."""

    factory: Factory
    ledger: Ledger
    engines: SpaceEngines
    report: Report

    def documents(self) -> dict[str, str]:
        """Return the id of each file name."""
        return {
            Path(path).name: row.document_id
            for path, row in self.ledger.files().items()
            if row.document_id
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the questions."""

    outcomes: Sequence[Outcome]
    left_out: Mapping[str, Mapping[str, int]] | None = None
    answered: Sequence[AnswerFigures] = ()
    model: str | None = None
    questions: Sequence[Question] = ()  # made for this run


def measure_sets(bench: Bench, sets: Sequence[QuestionSet], wanted: Wanted) -> Found:
    """Search for every question; ask a model some of them, if that is wanted."""
    from rag.evaluation.outcomes import merged, of_answers, of_gate, of_pages
    from rag.evaluation.retrieval import measure_pages

    documents = bench.documents()
    search = searching(bench.factory, bench.ledger, bench.engines)
    outcomes: list[Outcome] = []
    with _without_what_is_taken_out(bench, sets, documents) as other:
        hidden = searching(other.factory, other.ledger, other.engines)
        for found in sets:
            pages = measure_pages(
                found, search, documents=documents, told=told(bench.report, found.name)
            )
            gated = [
                (q, (hidden if q.taken_out else search).refuses(q.text)) for q in found.questions
            ]
            outcomes += merged(of_pages(pages), of_gate(found.name, gated))
        left_out = {
            found.name: {str(reason): count for reason, count in found.left_out.items()}
            for found in sets
        }
        if not wanted.answers:
            return Found(outcomes, left_out)
        answered, model = _answers(bench, other, sets, wanted)
    shares = [one for figures in answered for one in of_answers(figures)]
    return Found(merged(outcomes, shares), left_out, answered, model)


@contextmanager
def _without_what_is_taken_out(
    bench: Bench, sets: Sequence[QuestionSet], documents: Mapping[str, str]
) -> Iterator[Bench]:
    """Give a copy of the library without what questions say is taken out; itself if nothing."""
    from rag.store.reduced import Part, reduced

    parts = [
        Part(documents[q.documents[0]], q.pages if q.taken_out == "pages" else None)
        for found in sets
        for q in found.questions
        if q.taken_out and q.documents and q.documents[0] in documents
    ]
    if not parts:
        yield bench
        return
    with reduced(bench.ledger, parts) as ledger:
        yield replace(bench, ledger=ledger)


def _answers(
    bench: Bench, other: Bench, sets: Sequence[QuestionSet], wanted: Wanted
) -> tuple[list[AnswerFigures], str]:
    from rag.evaluation.answers import evenly, measure_answers

    generator = bench.factory.generator()
    whole = _asker(bench, generator, wanted)
    hidden = whole if other is bench else _asker(other, generator, wanted)

    def ask(question: Question) -> Answer:
        return (hidden if question.taken_out else whole)(question)

    try:
        found = [
            measure_answers(
                s.name, evenly(s.questions, wanted.limit), ask, told=told(bench.report, s.name)
            )
            for s in sets
        ]
    finally:
        generator.close()
    return found, generator.name


def _asker(bench: Bench, generator: TextGenerator, wanted: Wanted) -> Ask:
    from rag import wiring
    from rag.store.keeper import exact_index
    from rag.types import Finished

    documents = bench.documents()
    pipeline = wiring.pipeline(
        bench.factory,
        bench.ledger,
        index=lambda space: exact_index(bench.ledger, space),
        generator=lambda _: generator,
    )

    def ask(question: Question) -> Answer:
        own = documents.get(question.documents[0]) if question.documents else None
        scope = [own] if wanted.single and own else None
        *_, last = pipeline.ask(question.text, documents=scope)
        assert isinstance(last, Finished), "a stream of events ends with Finished"
        return last.answer

    return ask


def searching(factory: Factory, ledger: Ledger, engines: SpaceEngines) -> Searching:
    """Return what searches a library with exact vector search, so that no index adds errors."""
    from rag import wiring
    from rag.evaluation.searching import Searching
    from rag.store.keeper import exact_index

    retriever = wiring.retriever(factory, ledger, engines, exact_index(ledger, engines.space))
    return Searching(retriever, min_relevance=factory.settings.retrieve.min_relevance)


def told(report: Report, name: str) -> Callable[[int, int], None]:
    """Return what shows how many questions are done."""
    from rag.types import Progress

    return lambda done, total: report(Progress("check", done, total, "questions", name))
