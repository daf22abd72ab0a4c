"""Everything that takes a document's, a question's or an answer's text apart, by name."""

from __future__ import annotations

from collections.abc import Callable

from rag.answering.explain import finding as quotation
from rag.answering.whole_document.notes import note_lines
from rag.evaluation.scoring import numbers, score_answer
from rag.generation.prompt import build_messages, neutralise
from rag.indexing.questions.facts import facts_of
from rag.indexing.questions.wording import worded
from rag.ingestion.chunking import RecursiveChunker
from rag.ingestion.pdf.page_text import vocabulary
from rag.ingestion.pdf.tables import find_tables
from rag.ingestion.pdf.text_quality import verdict
from rag.retrieval.analyser import BilingualAnalyser, join_broken_lines
from rag.retrieval.query.content_words import content_terms, model_numbers, names_in, weighed_terms
from rag.retrieval.query.follow_ups import readings
from rag.retrieval.query.named_places import named_documents, named_pages
from rag.retrieval.query.question_kind import question_kind
from rag.retrieval.query.question_words import talk_by_words, told_by_words
from rag.retrieval.query.whole_document import may_be_whole, whole_task
from rag.retrieval.terms.second_reading import shipped_terms
from rag.storage.near_duplicates import sketch
from rag.text.language import detect_language
from rag.text.messages import shown, undrawn
from rag.text.quantities import Place, gaps, quantities, quantity_terms
from rag.text.quantities.units import units_in
from rag.text.sentences import split_prose, split_sentences
from rag.types.answers import Message
from rag.types.documents import Heading
from rag.verification.arithmetic import calculations
from rag.verification.linker import link
from rag.verification.wording import (
    bare,
    exchanged,
    is_refusal,
    names,
    negations,
    opposites,
    without_pages,
)
from tests.factories import document, passage
from ui.views.answer import blocks, settled

_CLAIM = 100  # characters: an answer's sentences are short
_ANALYSER = BilingualAnalyser()
_CHUNKER = RecursiveChunker(
    tokens=64, overlap=8, max_tokens=128, count=lambda text: len(text) // 4 + 2
)


def _cut(text: str) -> object:
    return _CHUNKER.split(document(text, headings=(Heading(1, text[:60], 1),)))


def _questions(text: str) -> object:
    facts = facts_of(text, 1, [Heading(1, text[:60], 1)])
    return [worded(fact, seed="1", document=name) for fact in facts for name in ("", "a lease")]


def _checked(text: str) -> object:
    return link(
        text[:_CLAIM],
        [passage(text)] if text else [],
        terms=_ANALYSER.terms,
        page_of=lambda _passage, _offset: 1,
        question=text,
    )


def _drawn(text: str) -> object:
    return list(blocks(text)), settled(text)


def _weighed(text: str) -> object:
    return weighed_terms(text, content_terms(text, _ANALYSER), dict.fromkeys(text.split(), 1))


_QUESTION = 160  # characters; a longer question is of no kind
question_kind("?")  # reads its rules, which takes longer than a question does

READERS: dict[str, Callable[[str], object]] = {
    "quantities": quantities,
    "index terms of quantities": quantity_terms,
    "comparison": lambda text: gaps(quantities(text[:_CLAIM]), Place(text, text, text)),
    "units": units_in,
    "analyser": _ANALYSER.terms,
    "tables": find_tables,
    "verdict": verdict,
    "page text": lambda text: vocabulary([text]),
    "chunker": _cut,
    "broken lines": join_broken_lines,
    "near-duplicates": lambda text: sketch([text]),
    "questions of the library": _questions,
    "sentences": split_sentences,
    "prose": split_prose,
    "names": names,
    "sums": calculations,
    "negations": lambda text: (negations(text), list(opposites(text, text))),
    "exchanged": lambda text: list(exchanged(text[:_CLAIM], quantities(text[:_CLAIM]), text)),
    "bare": lambda text: (bare(text), without_pages(text, {"1"})),
    "refusal": is_refusal,
    "claim check": _checked,
    "neutralised": neutralise,
    "prompt": lambda text: build_messages(text, [passage(text)], history=[Message("user", text)]),
    "notes": note_lines,
    "quotation": lambda text: quotation.Quotation(text).places(text),
    "named documents": lambda text: named_documents(text, {"1": ["lease.pdf"], "2": ["3M"]}),
    "named pages": named_pages,
    "named firms": names_in,
    "model numbers": lambda text: model_numbers(text, _ANALYSER),
    "words of a question": _weighed,
    "follow-up": lambda text: readings(text, [Message("user", text)]),
    "terms of a trade": lambda text: [
        shipped_terms().second_reading(text, language) for language in ("en", "zh")
    ],
    "whole question": lambda text: (may_be_whole(text), whole_task(text, documents=2)),
    "kind of question": lambda text: (
        question_kind(text[:_QUESTION]),
        talk_by_words(text),
        told_by_words(text),
    ),
    "language": lambda text: (detect_language(text), undrawn(text), shown(text)),
    "markup": _drawn,
    "score": lambda text: (score_answer(text, [text, "5"]), numbers(text)),
}
