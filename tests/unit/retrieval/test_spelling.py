"""A slip of the keyboard is searched for as the documents spell it; an unknown name is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.retrieval.embedding.hashing import HashingEmbedder
from tests.libraries import PageLibrary

PAGES = [
    "The annual meeting takes place on 3 May.",
    "Either party may give notice of termination in writing.",
    "The deposit is returned within a month.",
]


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("rules", PAGES)
    return made


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("when is the anual meting", 1),
        ("how is notise of terminatoin given", 2),
        ("is the depositt returned", 3),
    ],
)
def test_a_slip_finds_what_was_meant_and_says_what_was_searched(
    library: PageLibrary, question: str, page: int
) -> None:
    found = library.retriever.search(question, k=1)
    assert found.passages[0].chunk.first_page == page
    assert found.also is not None
    assert found.also.kind == "spelled"


def test_words_are_shown_as_they_stand_in_the_documents(tmp_path: Path) -> None:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("firm", ["Companies. A Company pays its policies.", "This company notifies them."])
    for asked, read in (
        ("what does the compny pay", "what does the company pay"),
        ("what do compnies pay", "what do companies pay"),
        ("who notifeis them", "who notifies them"),
    ):
        found = made.retriever.search(asked, k=1)
        assert found.also is not None
        assert found.also.text == read


@pytest.mark.parametrize(
    "question",
    [
        "when is the annual meeting",
        "Who is Annuel Depozit?",  # a name stays one that nobody knows
        "what of RTX-5090 and ABC12",
        "xyzzy plugh frobnicate",
        "押金什么时候退",
    ],
)
def test_words_that_are_known_names_and_nonsense_stay_as_they_are(
    library: PageLibrary, question: str
) -> None:
    assert library.retriever.search(question, k=1).also is None


def test_the_other_party_is_no_slip(tmp_path: Path) -> None:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("work", ["The employee and the payee sign first."])
    for question in ("who is the employer", "who is the payer"):
        assert made.retriever.search(question, k=1).also is None
