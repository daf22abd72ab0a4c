"""An answer is checked while it streams: through retrieval, model, evidence and pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.asking import AskSettings
from rag.generate.echo import EchoGenerator
from rag.notice import UNSURE
from rag.pipeline import NOTHING_LEFT, RagPipeline
from rag.retrieve.hashing import HashingEmbedder
from rag.store.passages import LedgerPassages
from rag.types import Checked, Delta, Event, Finished
from tests.fake_reader import locator_over
from tests.libraries import PageLibrary

RIGHT = "The monthly rent is 950 euros."
WRONG = "The monthly rent is 590 euros."
PAGES = ["The lease begins in May 2020. Pets are not allowed.", RIGHT, "The garden is shared."]


class Speaker(EchoGenerator):
    """Says what it was told to, a word at a time."""

    def __init__(self, text: str) -> None:
        self._words = [f"{word} " for word in text.split(" ")]

    def stream(self, messages, *, max_tokens, temperature, cancelled) -> Iterator[Delta]:
        yield from (Delta(word, 1) for word in self._words)
        yield Delta("", 0, "stop")


def asked(
    folder: Path, text: str, *, drop: bool = False, question: str = "What is the monthly rent?"
) -> list[Event]:
    library = PageLibrary(folder, HashingEmbedder())
    library.add("lease", PAGES)
    pipeline = RagPipeline(
        retriever=library.retriever,
        generator=lambda _: Speaker(text),
        locator=locator_over(folder, LedgerPassages(library.ledger, library.space)),
        embedder=library.embedder,
        analyser=library.analyser,
        settings=AskSettings(min_relevance=0.0, drop_unsupported=drop),
    )
    return list(pipeline.ask(question))


def answer_of(events):
    assert isinstance(events[-1], Finished)
    return events[-1].answer


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_each_sentence_is_told_before_the_answer_is_finished(tmp_path: Path) -> None:
    events = asked(tmp_path, f"{RIGHT} {WRONG} Pets are not allowed.")
    answer = answer_of(events)
    told = [event.sentence for event in events if isinstance(event, Checked)]
    assert tuple(told) == answer.sentences
    assert [sentence.verdict for sentence in told] == ["supported", "unsupported", "supported"]
    assert told[1].reason == "number:590 euros"
    assert [sentence.evidence[0].page for sentence in told] == [2, 2, 1]
    assert text_of(events) == answer.text
    assert answer.text[told[1].start : told[1].end] == WRONG


def test_what_is_unsupported_can_be_left_out(tmp_path: Path) -> None:
    events = asked(tmp_path, f"{WRONG} {RIGHT} {WRONG}", drop=True)
    answer = answer_of(events)
    assert text_of(events) == answer.text
    assert answer.text.strip() == RIGHT
    assert (answer.left_out, answer.verdict) == (2, "supported")
    assert answer.usage.completion_tokens == 18


@pytest.mark.parametrize("drop", [True, False])
def test_an_answer_without_any_support_says_so(tmp_path: Path, *, drop: bool) -> None:
    events = asked(tmp_path, WRONG, drop=drop)
    answer = answer_of(events)
    assert answer.verdict == "unsupported"
    assert text_of(events) == answer.text == (NOTHING_LEFT.en if drop else f"{WRONG} ")


@pytest.mark.parametrize(
    ("question", "unsure"),
    [("What is the monthly rent?", False), ("Who pays the rent of the neighbours?", True)],
)
def test_a_warning_comes_before_an_answer_from_passages_that_match_in_part(
    tmp_path: Path, question: str, *, unsure: bool
) -> None:
    events = asked(tmp_path, RIGHT, question=question)
    first = next(i for i, event in enumerate(events) if isinstance(event, Delta))
    assert (UNSURE in events[:first]) == unsure
    answer = answer_of(events)
    assert answer.notices == ((UNSURE,) if unsure else ())
    assert (answer.relevance < AskSettings().sure_relevance) == unsure
