"""An answer is checked while it streams: through retrieval, model, evidence and pages."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Event as ThreadEvent
from threading import Thread
from threading import enumerate as enumerate_threads

import pytest

from rag.answering.highlights import Highlighter
from rag.answering.pipeline import NOTHING_LEFT, AskSettings, RagPipeline
from rag.generation.echo import EchoGenerator
from rag.protocols import Cancelled, PageViewer, never
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.passages import LedgerPassages
from rag.types.answers import (
    UNSURE,
    AnswerMessage,
    Checked,
    Delta,
    Event,
    Finished,
    Quoted,
    Retrieved,
)
from rag.types.documents import Box
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


def asking(  # noqa: PLR0913 - each test names what it is about
    folder: Path,
    text: str,
    *,
    drop: bool = False,
    question: str = "What is the monthly rent?",
    viewer: PageViewer | None = None,
    model: Speaker | None = None,
    cancelled: Cancelled = never,
) -> Generator[Event]:
    library = PageLibrary(folder, HashingEmbedder())
    library.add("lease", PAGES)
    store = LedgerPassages(library.ledger, library.version)
    pipeline = RagPipeline(
        retriever=library.retriever,
        generator=lambda _: model or Speaker(text),
        highlighter=Highlighter(folder, store, viewer) if viewer else locator_over(folder, store),
        embedder=library.embedder,
        analyser=library.analyser,
        settings=AskSettings(min_relevance=0.0, drop_unsupported=drop),
    )
    events = pipeline.ask(question, cancelled=cancelled)
    assert isinstance(events, Generator)
    return events


def asked(folder: Path, text: str, **options) -> list[Event]:
    return list(asking(folder, text, **options))


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


class Waiting:
    """A viewer that finds nothing until it may, or breaks."""

    def __init__(self, *, broken: bool = False) -> None:
        self.go, self.looked = ThreadEvent(), ThreadEvent()
        self.broken = broken

    def boxes(self, path: Path, spans, *, recipes: object = None):
        self.looked.set()
        self.go.wait(60)
        if self.broken:
            raise RuntimeError("a bug")
        return [(Box(page, 0, 0, 1, 1),) for page, _, _ in spans]

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        raise NotImplementedError


def threads() -> list[Thread]:
    return [thread for thread in enumerate_threads() if thread.name.startswith("places")]


def is_placed(event: Event) -> bool:
    return isinstance(event, Retrieved) and event.placed


def boxed(passages) -> list[bool]:
    return [bool(passage.boxes) for passage in passages]


@pytest.fixture
def viewer() -> Iterator[Waiting]:
    viewer = Waiting()
    yield viewer
    viewer.go.set()


def test_neither_passages_nor_text_wait_for_boxes_which_come_later(
    tmp_path: Path, viewer: Waiting
) -> None:
    events = asking(tmp_path, f"{RIGHT} Pets are not allowed. Yes.", viewer=viewer)
    first = next(events)
    assert isinstance(first, Retrieved)
    assert boxed(first.passages) == [False] * 3
    assert viewer.looked.wait(60)
    text = ""
    while not text.startswith(RIGHT):
        event = next(events)
        assert isinstance(event, Delta | AnswerMessage | Quoted)
        text += event.text if isinstance(event, Delta) else ""
    viewer.go.set()
    (places,) = threads()
    rest = list(events)
    answer = answer_of(rest)
    assert boxed(answer.passages) == [True] * 3
    told = [event.sentence for event in rest if isinstance(event, Checked)]
    assert tuple(told) == answer.sentences
    assert [bool(sentence.evidence[0].boxes) for sentence in told[:2]] == [True, True]
    places.join(60)
    assert not places.is_alive()


class Reader(Speaker):
    """Reads its prompt until it is told that this is enough."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.enough = ThreadEvent()

    def stream(self, messages, **options) -> Iterator[Delta]:
        while not self.enough.is_set():
            yield Delta("", 0, prompt_read=0.5)
        yield from super().stream(messages, **options)


def test_boxes_are_told_once_while_the_model_reads(tmp_path: Path, viewer: Waiting) -> None:
    model = Reader(RIGHT)
    events = asking(tmp_path, RIGHT, viewer=viewer, model=model)
    found, quoted, begun = next(events), next(events), next(events)
    assert isinstance(found, Retrieved)
    assert isinstance(quoted, Quoted)
    assert isinstance(begun, Delta)
    viewer.go.set()
    placed = next(filter(is_placed, events))
    assert isinstance(placed, Retrieved)
    assert [passage.id for passage in placed.passages] == [passage.id for passage in found.passages]
    assert boxed(placed.passages) == [True] * 3
    model.enough.set()
    assert [event for event in events if is_placed(event)] == []


def test_a_bug_in_finding_boxes_costs_the_boxes_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = Waiting(broken=True)
    viewer.go.set()
    answer = answer_of(list(asking(tmp_path, RIGHT, viewer=viewer)))
    assert answer.text.strip() == RIGHT
    assert answer.verdict == "supported"
    assert (boxed(answer.passages), answer.sentences[0].evidence[0].page) == ([False] * 3, 2)
    assert "no boxes for" in caplog.text


def test_a_question_that_is_closed_leaves_no_thread_that_finds_boxes(
    tmp_path: Path, viewer: Waiting
) -> None:
    events = asking(tmp_path, RIGHT, viewer=viewer)
    next(events)
    assert viewer.looked.wait(60)
    (places,) = threads()
    events.close()  # returns at once
    viewer.go.set()
    places.join(60)
    assert not places.is_alive()


def test_a_question_that_is_stopped_ends_without_boxes(tmp_path: Path, viewer: Waiting) -> None:
    stopped = ThreadEvent()
    events = asking(tmp_path, RIGHT, viewer=viewer, cancelled=stopped.is_set)
    found = next(events)
    stopped.set()
    answer = answer_of(list(events))
    assert isinstance(found, Retrieved)
    assert boxed(answer.passages) == [False] * 3
    assert (answer.text.strip(), answer.sentences[0].evidence[0].page) == (RIGHT, 2)
