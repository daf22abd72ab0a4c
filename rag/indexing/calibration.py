"""Asks a library questions made of its own text, with their answers and without.

Done when a library has been indexed, and again when it has changed much.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from rag.indexing.questions import questions_apart
from rag.odd_text import attempt
from rag.retrieve.calibration import Calibrations, Trial, calibrate
from rag.retrieve.relevance import log_odds
from rag.types import Progress
from rag.words import detect_language

if TYPE_CHECKING:
    from rag.evaluation.sets import Question
    from rag.protocols import Cancelled, PassageStore
    from rag.retrieve.fusion import Found
    from rag.retrieve.retriever import HybridRetriever
    from rag.store.ledger import Ledger

_QUESTIONS, _LEAST = 120, 24
_PASSAGES = 12  # for each question: a small library is not worth as many
_SEED = 1
_DEEP = 200  # passages of each leg, so that some are left when a document is hidden
_BUDGET_S = 30.0  # very large libraries are slow to look through; fewer questions do, too


def ask_all(
    ledger: Ledger,
    retriever: HybridRetriever,
    store: PassageStore,
    *,
    report: Callable[[Progress], None],
    cancelled: Cancelled,
) -> Calibrations | None:
    """Return what the questions tell, by language; ``None`` if it was cancelled."""
    began = monotonic()
    documents = _documents(ledger)
    trials: list[Trial] = []
    _, passages = store.document_frequency([])
    most = min(_QUESTIONS, max(_LEAST, passages // _PASSAGES))
    for question in questions_apart(ledger, most=most, seed=_SEED):
        if cancelled():
            return None
        if monotonic() - began > _BUDGET_S:
            break
        trial = attempt(
            partial(ask, retriever, store, question, documents[question.documents[0]]),
            instead=None,
            what="a question that the library asks itself",
        )
        if trial is not None:
            trials.append(trial)
        report(Progress("check", len(trials), most, "questions"))
    return calibrate(trials)


def ask(
    retriever: HybridRetriever, store: PassageStore, question: Question, document: str
) -> Trial | None:
    """Search for a question with its answer and without; ``None`` if that is not to be told.

    Without its document or pages, as the question says.
    """
    legs = retriever.legs(question.text, k=_DEEP, documents=None)
    places = store.places([i for i, _ in (*legs.lexical, *legs.dense)])
    answers = {i for i, place in places.items() if _answers(place, document, question.pages)}
    hidden = answers
    if question.taken_out == "document":
        hidden = {i for i, (of, _) in places.items() if of == document}
    words, meaning = _without(legs.lexical, hidden), _without(legs.dense, hidden)
    if not meaning:
        return None
    rest = replace(legs, lexical=words, dense=meaning, nearest=meaning[0][1])
    return Trial(
        detect_language(question.text),
        log_odds(retriever.judge(question.text, legs)),
        log_odds(retriever.judge(question.text, rest)),
        bool(legs.lexical) and legs.lexical[0][0] in answers,
        legs.dense[0][0] in answers,
        astray=legs.across_languages,
    )


def _answers(place: tuple[str, int], document: str, pages: Collection[int]) -> bool:
    """Say whether a passage that begins on this page is the answer's, or reaches into it."""
    return place[0] == document and (place[1] in pages or place[1] + 1 in pages)


def _without(found: Found, hidden: Collection[int]) -> Found:
    return [one for one in found if one[0] not in hidden]


def _documents(ledger: Ledger) -> dict[str, str]:
    """Return the id of each file's name, as questions call it."""
    return {
        path.rpartition("/")[2]: row.document_id
        for path, row in ledger.files().items()
        if row.document_id
    }
