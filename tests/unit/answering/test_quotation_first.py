"""The place that best answers a question is quoted before the model; a weak one is not."""

from __future__ import annotations

import pytest

from rag.answering.quotation import Quoter
from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.retrieval.query.content_words import content_terms
from rag.types.answers import Passage
from rag.types.documents import Chunk

FIRST = (
    "The lease begins on 1 May 2020. The monthly rent is 950 euros and is due on the third day. "
    "Pets are not allowed in the house."
)
LEASE = (
    FIRST,
    "The garden is shared by all tenants. The rent may be raised once a year.",
)
ZH = ("显存带宽是每秒1008GB。位宽是384位。这张显卡的功耗为450瓦。",)


def quoted(question: str, texts: tuple[str, ...], *, about: bool = True) -> str | None:
    analyser, embedder = BilingualAnalyser(), HashingEmbedder()
    quoter = Quoter(
        lambda text: content_terms(text, analyser),
        analyser.terms,
        embed_query=embedder.embed_query,
        embed=embedder.embed_passages,
    )
    at, passages = 0, []
    for number, text in enumerate(texts, start=1):
        chunk = Chunk("d" * 64, at, at + len(text), number, number, text)
        passages.append(Passage(number, chunk, "lease.pdf", "lease.pdf"))
        at += len(text) + 1
    found = quoter.best(question, passages, about=lambda _: about)
    if found is None:
        return None
    (evidence,) = found.evidence
    assert "\n".join(texts)[evidence.start : evidence.end] == evidence.quote
    return evidence.quote


@pytest.mark.parametrize(
    ("question", "texts", "words"),
    [
        ("How much is the monthly rent?", LEASE, "950 euros"),
        ("When does the lease begin?", LEASE, "1 May 2020"),
        ("Are pets allowed in the house?", LEASE, "Pets are not allowed"),
        ("这张显卡的功耗是多少？", ZH, "450瓦"),
    ],
)
def test_the_sentence_that_answers_is_quoted(
    question: str, texts: tuple[str, ...], words: str
) -> None:
    quote = quoted(question, texts)
    assert quote is not None
    assert words in quote


def test_nothing_is_quoted_where_most_words_of_the_question_stand_nowhere() -> None:
    assert quoted("Which museum lent the bronze statue to the house?", LEASE) is None
    assert quoted("Is there a garden?", ()) is None


def test_nothing_is_quoted_from_a_document_about_something_else() -> None:
    assert quoted("How much is the monthly rent?", LEASE, about=False) is None


def test_odd_text_costs_the_quotation_at_most() -> None:
    assert quoted("\x00 ١٢٣ 192.168.0.1:8080 ﷽", ("\x00 192.168.0.1:8080 " * 5,)) is not None
