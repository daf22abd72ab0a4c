"""Reading ahead: the newest draft, in spare time only, and nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from rag.app.questions import Prefetch, PrefetchContext
from rag.errors import ModelError
from rag.generation.echo import EchoGenerator
from rag.text.messages import Language, Text
from rag.types.answers import Message, TypedDraft

WAIT_S = 10


class Reader(EchoGenerator):
    """Notes what it is to read ahead, and reads until it is told to go on or to stop."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.began, self.go_on = threading.Semaphore(0), threading.Event()
        self.ended = threading.Semaphore(0)
        self.cancelled: list[bool] = []

    def prepare(self, messages: Sequence[Message], *, cancelled: Callable[[], bool]) -> None:
        self.read.append(messages[-1].content)
        self.began.release()
        while not cancelled() and not self.go_on.wait(0.01):
            continue
        self.cancelled.append(cancelled())
        self.ended.release()


@dataclass
class App:
    """The app around it; everything can be set."""

    reader: Reader = field(default_factory=Reader)
    stopping: threading.Event = field(default_factory=threading.Event)
    answering: bool = False
    syncing: bool = False
    broken: bool = False
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.ahead = Prefetch(
            PrefetchContext(
                model=lambda: self.reader,
                prompt=lambda draft, _: self._prompt(draft),
                rules=self._rules,
                idle=lambda: not self.answering and not self.syncing,
                undisturbed=lambda: not self.syncing and not self.stopping.is_set(),
            ),
            stopping=self.stopping,
        )
        self.thread = threading.Thread(target=self.ahead.run)

    def _prompt(self, draft: TypedDraft) -> list[Message] | None:
        if self.broken:
            raise ModelError(Text("broken", "坏了"), hint=Text("mend it", "请修理"))
        if draft.question in self.unknown:
            return None
        return [Message("user", f"{len(draft.history)} {draft.question}")]

    def _rules(self, language: Language) -> list[Message]:
        return [Message("system", f"rules {language}")]

    def reading(self) -> str:
        """Wait until something is being read, and return it."""
        assert self.reader.began.acquire(timeout=WAIT_S)
        return self.reader.read[-1]

    def ended(self) -> bool:
        """Wait until the reading has ended, and return whether it was cancelled."""
        assert self.reader.ended.acquire(timeout=WAIT_S)
        return self.reader.cancelled[-1]


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    made.thread.start()
    yield made
    made.stopping.set()
    made.reader.go_on.set()
    made.thread.join(WAIT_S)
    assert not made.thread.is_alive()


def test_what_is_typed_is_read_with_its_history(app: App) -> None:
    app.reader.go_on.set()
    app.ahead.typed(TypedDraft("Who pays?", history=(Message("user", "Who signs?"),)))
    assert app.reading() == "1 Who pays?"
    assert not app.ended()


def test_a_newer_draft_ends_the_reading_of_an_older_one(app: App) -> None:
    app.ahead.typed(TypedDraft("Who pays"))
    assert app.reading() == "0 Who pays"
    assert app.ahead.busy
    app.ahead.typed(TypedDraft("Who pays the rent"))
    assert app.ended()
    assert app.reading() == "0 Who pays the rent"


def test_of_many_drafts_only_the_newest_is_read(app: App) -> None:
    app.syncing = True
    for question in ("W", "Wh", "Who"):
        app.ahead.typed(TypedDraft(question))
    app.syncing = False
    assert app.reading() == "0 Who"
    assert app.reader.read == ["0 Who"]


@pytest.mark.parametrize("under_way", ["answering", "syncing"])
def test_nothing_is_read_while_something_else_is_under_way(app: App, under_way: str) -> None:
    setattr(app, under_way, True)
    app.ahead.typed(TypedDraft("Who pays?"))
    assert not app.reader.began.acquire(timeout=0.3)
    setattr(app, under_way, False)
    assert app.reading() == "0 Who pays?"


def test_a_sync_that_begins_interrupts_the_reading_which_then_goes_on(app: App) -> None:
    app.ahead.typed(TypedDraft("Who pays?"))
    app.reading()
    app.syncing = True
    assert app.ended()
    app.syncing = False
    assert app.reading() == "0 Who pays?"


def test_a_question_that_is_asked_ends_the_reading_for_good(app: App) -> None:
    app.ahead.typed(TypedDraft("Who pays?"))
    app.reading()
    app.ahead.asked()
    assert app.ended()
    assert not app.reader.began.acquire(timeout=0.3)


def test_before_anything_else_the_rules_are_read_in_the_page_s_language(app: App) -> None:
    app.reader.go_on.set()
    app.ahead.typed(TypedDraft("", language="zh"))
    assert app.reading() == "rules zh"
    app.ended()
    app.ahead.typed(TypedDraft("", language="zh"))
    assert not app.reader.began.acquire(timeout=0.3)  # it would only lose what came later


def test_a_draft_without_passages_reads_the_rules_at_most(app: App) -> None:
    app.unknown = ("谁", "谁付")
    app.reader.go_on.set()
    app.ahead.typed(TypedDraft("谁"))
    assert app.reading() == "rules zh"
    app.ended()
    app.ahead.typed(TypedDraft("谁付"))
    assert not app.reader.began.acquire(timeout=0.3)


def test_after_an_answer_rules_alone_are_not_read(app: App) -> None:
    app.ahead.asked()
    app.ahead.typed(TypedDraft(""))
    assert not app.reader.began.acquire(timeout=0.3)


def test_what_cannot_be_read_ahead_is_left_to_the_question(app: App) -> None:
    app.broken = True
    app.ahead.typed(TypedDraft("Who pays?"))
    assert not app.reader.began.acquire(timeout=0.3)
    app.broken = False
    app.ahead.typed(TypedDraft("Who pays the rent?"))
    assert app.reading() == "0 Who pays the rent?"


def test_switched_off_it_does_not_even_wait_for_the_model() -> None:
    def model() -> None:
        raise AssertionError

    around = PrefetchContext(model, lambda *_: None, lambda _: [], lambda: True, lambda: True)
    ahead = Prefetch(around, stopping=threading.Event(), on=False)
    ahead.typed(TypedDraft("Who pays?"))
    ahead.run()
    assert not ahead.busy


def test_without_a_model_it_ends() -> None:
    def failed() -> None:
        raise ModelError(Text("gone", "没有了"), hint=Text("get it", "请下载"))

    for model in (lambda: None, failed):
        around = PrefetchContext(model, lambda *_: None, lambda _: [], lambda: True, lambda: True)
        Prefetch(around, stopping=threading.Event()).run()
