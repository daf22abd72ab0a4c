"""Asks a library about itself: what counts as "not in the documents" there.

A library that has been indexed is asked questions made of its own text, with their answers and
without; again when it has changed much. What came of it is kept in the ledger for each index
version: it speaks of one embedder and one way of cutting.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from rag.errors import IndexMismatch, ModelError
from rag.retrieval.relevance import Calibrations, Trial, as_rows, calibrate, log_odds, of_rows
from rag.text.language import detect_language
from rag.text.parse_errors import attempt
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.indexing.questions.maker import Question
    from rag.protocols import Cancelled, PassageStore
    from rag.retrieval.fusion import Found
    from rag.retrieval.retriever import HybridRetriever
    from rag.storage.ledger import Ledger
    from rag.types.documents import IndexVersion

logger = logging.getLogger(__name__)

_GREW = 0.25  # share of passages by which a library is another one
_METHOD = 1  # another number asks every library again
_QUESTIONS, _LEAST = 120, 24
_PASSAGES = 12  # for each question: a small library is not worth as many
_SEED = 1
_DEEP = 200  # passages of each retriever, so that some are left when a document is hidden
_BUDGET_S = 30.0  # very large libraries are slow to look through; fewer questions do, too


def kept(ledger: Ledger, version: IndexVersion) -> Calibrations:
    """Return what is known of an index version, by language; empty if it has not been asked."""
    known = _known(ledger, version)
    with suppress(TypeError):  # what another version wrote
        return of_rows(known["languages"]) if known else {}
    return {}


def keep(ledger: Ledger, version: IndexVersion, found: Calibrations) -> None:
    """Remember what has been found out about an index version as it is."""
    row = {
        "method": _METHOD,
        "passages": ledger.chunk_count(version),
        "languages": as_rows(found),
    }
    ledger.set_meta(_key(version), json.dumps(row))


def is_due(ledger: Ledger, version: IndexVersion) -> bool:
    """Say whether an index version has not been asked, or has changed much since."""
    passages = ledger.chunk_count(version)
    known = _known(ledger, version)
    before = known["passages"] if known else 0
    return abs(passages - before) > _GREW * before


def when_due(
    ledger: Ledger,
    retriever: Callable[[IndexVersion], HybridRetriever],
    report: Callable[[Progress], None],
    cancelled: Cancelled,
) -> None:
    """Ask the active index version by a ``retriever`` of it, if it has not been asked as it is.

    What is indexed is indexed, whether its embedder is to be had just now or not: without it the
    index version is asked another time.
    """
    version = ledger.active_version()
    if version is None or cancelled() or not is_due(ledger, version):
        return
    from rag.storage.passages import LedgerPassages

    store = LedgerPassages(ledger, version)
    try:
        found = ask_all(ledger, retriever(version), store, report=report, cancelled=cancelled)
    except (ModelError, IndexMismatch) as error:
        logger.warning("the library could not be asked about itself: %s", error)
        return
    if found is not None:
        keep(ledger, version, found)


def ask_all(
    ledger: Ledger,
    retriever: HybridRetriever,
    store: PassageStore,
    *,
    report: Callable[[Progress], None],
    cancelled: Cancelled,
) -> Calibrations | None:
    """Return what the questions tell, by language; ``None`` if it was cancelled."""
    # loaded late: a sync that asks nothing does not wait for it
    from rag.indexing.questions.maker import questions_apart

    began = monotonic()
    trials: list[Trial] = []
    _, passages = store.document_frequency([])
    most = min(_QUESTIONS, max(_LEAST, passages // _PASSAGES))
    for question, document in questions_apart(ledger, most=most, seed=_SEED):
        if cancelled():
            return None
        if monotonic() - began > _BUDGET_S:
            break
        trial = attempt(
            partial(ask, retriever, store, question, document),
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
    rankings = retriever.rankings(question.text, k=_DEEP, documents=None)
    places = store.places([i for i, _ in (*rankings.lexical, *rankings.dense)])
    answers = {i for i, place in places.items() if _answers(place, document, question.pages)}
    hidden = answers
    if question.taken_out == "document":
        hidden = {i for i, (of, _) in places.items() if of == document}
    words, meaning = _without(rankings.lexical, hidden), _without(rankings.dense, hidden)
    if not meaning:
        return None
    rest = replace(rankings, lexical=words, dense=meaning, nearest=meaning[0][1])
    return Trial(
        detect_language(question.text),
        log_odds(retriever.judge(question.text, rankings)),
        log_odds(retriever.judge(question.text, rest)),
        bool(rankings.lexical) and rankings.lexical[0][0] in answers,
        rankings.dense[0][0] in answers,
        astray=rankings.across_languages,
    )


def _answers(place: tuple[str, int], document: str, pages: Collection[int]) -> bool:
    """Say whether a passage that begins on this page is the answer's, or reaches into it."""
    return place[0] == document and (place[1] in pages or place[1] + 1 in pages)


def _without(found: Found, hidden: Collection[int]) -> Found:
    return [one for one in found if one[0] not in hidden]


def _key(version: IndexVersion) -> str:
    return f"calibration {version.id}"


def _known(ledger: Ledger, version: IndexVersion) -> dict[str, Any] | None:
    known: dict[str, Any] | None = json.loads(ledger.meta(_key(version)) or "null")
    return known if known and known.get("method") == _METHOD else None
