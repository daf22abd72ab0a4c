"""Memory that runs out costs speed, then size, and never the program: the fallback of steps."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rag.answering.oom_fallback import CALM, STEPS, OutOfMemoryFallback
from rag.answering.pipeline import AskSettings, RagPipeline
from rag.errors import OutOfMemory
from rag.generation.transformers.cache import Watch
from rag.generation.transformers.engine import TransformersGenerator
from rag.generation.transformers.loading import Loaded
from rag.protocols import TextGenerator
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.passages import LedgerPassages
from rag.text.messages import Text
from rag.types.answers import AnswerMessage, Delta, Event, Finished, Retrieved
from tests.fake_device import (
    WEIGHTS,
    CardEmbedder,
    CardGenerator,
    FakeCard,
    SmallCacheGenerator,
)
from tests.fake_reader import RuleReader, locator_over
from tests.integration.answering.test_whole_document import LEASE, Reader
from tests.libraries import PageLibrary
from tests.tiny_models import byte_tokenizer, tiny_llama

QUESTION = "What is the monthly rent?"
PAGES = [
    f"The monthly rent of flat {n} is {900 + n} euros, " + "and the garden is shared by all " * 10
    for n in range(8)
]
EMBEDDER = 200


class TightApp:
    """The real pipeline over one card, kept from question to question."""

    def __init__(
        self,
        library: PageLibrary,
        room: int,
        engine: Callable[[FakeCard], CardGenerator] = SmallCacheGenerator,
        *,
        max_tokens: int = 200,
        k: int = 5,
    ) -> None:
        self.card = FakeCard(WEIGHTS + EMBEDDER + room)
        self.small = CardEmbedder(self.card, EMBEDDER)
        self.model = engine(self.card)
        self.fallback = OutOfMemoryFallback(empty=self.card.empty, movable=lambda: [self.small])
        self._library = library
        self._settings = AskSettings(k=k, min_relevance=0.0, max_tokens=max_tokens)

    def ask(
        self, *, cancelled: Callable[[], bool] = lambda: False, question: str = QUESTION
    ) -> list[Event]:
        store = LedgerPassages(self._library.ledger, self._library.version)
        model: TextGenerator = self.model
        pipeline = RagPipeline(  # each question is wired anew
            retriever=self._library.retriever,
            generator=lambda _: model,
            highlighter=locator_over(Path(), store),
            embedder=self._library.embedder,
            analyser=self._library.analyser,
            settings=self._settings,
            fallback=self.fallback,
        )
        return list(pipeline.ask(question, cancelled=cancelled))


def steps(events: list[Event], kind: str = "lowered") -> list[str]:
    return [e.step for e in events if isinstance(e, AnswerMessage) and e.kind == kind]


def shown(events: list[Event]) -> str:
    """The text as a person sees it, who forgets what is void."""
    text = ""
    for event in events:
        if isinstance(event, AnswerMessage) and event.anew:
            text = ""
        if isinstance(event, Delta):
            text += event.text
    return text


def finished(events: list[Event]) -> Finished:
    last = events[-1]
    assert isinstance(last, Finished)
    return last


def prompt_of(app: TightApp) -> int:
    return app.model.asked[0][0]


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Each step collects garbage; what the test run itself has loaded need not be looked at."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> PageLibrary:
    made = PageLibrary(tmp_path_factory.mktemp("library"), HashingEmbedder())
    made.add("lease", PAGES)
    return made


@pytest.fixture(scope="module")
def full_prompt(library: PageLibrary) -> int:
    """Tokens of the prompt with five passages."""
    app = TightApp(library, 100_000)
    events = app.ask()
    assert steps(events) == []
    assert not finished(events).answer.notices
    return prompt_of(app)


# the room is given in bytes beside weights and embedder, as a share of what the question wants
LADDER = [
    (2.1, []),
    (1.9, ["caches", "cpu"]),  # the embedder's place is enough
    (1.2, ["caches", "cpu", "cache8"]),
    (0.6, ["caches", "cpu", "cache8", "passages"]),
]


@pytest.mark.parametrize(("share", "expected"), LADDER, ids=[str(s) for s, _ in LADDER])
def test_a_smaller_card_takes_more_steps_and_still_answers(
    library: PageLibrary, full_prompt: int, share: float, expected: list[str]
) -> None:
    app = TightApp(library, int(share * (full_prompt + 40)))
    events = app.ask()
    assert steps(events) == expected
    answer = finished(events).answer
    assert answer.text == shown(events)
    assert answer.text.split()[-1] == "word39"
    assert [notice.step for notice in answer.notices] == expected
    assert app.card.used <= app.card.total


def test_with_very_little_room_every_step_is_taken_once_in_order(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, 20)
    events = app.ask()
    assert steps(events) == list(STEPS)
    answer = finished(events).answer
    assert answer.text == shown(events)
    assert len(answer.passages) < 5
    assert len(answer.passages) + len(answer.dropped) == 5
    last = [event for event in events if isinstance(event, Retrieved)][-1]
    assert (last.passages, last.dropped) == (answer.passages, answer.dropped)


def test_where_nothing_helps_the_question_fails_and_the_next_one_works(
    library: PageLibrary,
) -> None:
    app = TightApp(library, 100_000)
    app.card.others = app.card.total - app.card.used  # a game has taken the rest
    with pytest.raises(OutOfMemory):
        app.ask()
    assert app.card.allocated == {"weights": WEIGHTS}
    app.card.others = 0
    assert finished(app.ask()).answer.text.startswith("word0")
    assert app.card.allocated == {"weights": WEIGHTS}


def test_memory_that_runs_out_amid_an_answer_begins_the_text_anew(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, 2 * full_prompt + 20, CardGenerator, k=5)
    app.small.to_cpu()
    app.card.empty()
    app.card.total -= EMBEDDER
    events = app.ask()
    first = next(e for e in events if isinstance(e, AnswerMessage))
    assert (first.kind, first.step, first.anew) == ("lowered", "caches", True)
    assert finished(events).answer.text == shown(events)
    assert finished(events).answer.usage.completion_tokens == 40


def test_what_an_engine_cannot_do_is_skipped_and_said(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, int(1.4 * full_prompt), CardGenerator)
    app.small.to_cpu()
    app.card.empty()
    app.card.total -= EMBEDDER
    events = app.ask()
    assert steps(events, "skipped") == ["cpu", "cache8"]
    assert steps(events) == ["caches", "passages"]
    told = [e.text for e in events if isinstance(e, AnswerMessage)]
    assert all(text.en.endswith(".") and text.zh.endswith("。") for text in told)


def test_what_was_lowered_stays_so_that_the_next_question_does_not_run_out(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, int(1.2 * full_prompt))
    assert steps(app.ask()) == ["caches", "cpu", "cache8"]
    assert [text.en for text in app.fallback.lowered] == [
        "the embedder works on the processor",
        "keys and values take 8 bits",
    ]
    refusals = app.card.refusals
    assert steps(app.ask()) == []
    assert app.card.refusals == refusals


def test_calm_questions_take_the_steps_back_one_at_a_time(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, int(1.2 * full_prompt))
    app.ask()
    app.card.total = 100_000  # the other program has ended
    raised = [steps(app.ask(), "raised") for _ in range(2 * CALM)]
    assert raised == [[], [], ["cache8"], [], [], ["cpu"]]
    assert app.fallback.lowered == ()
    assert app.small.on_card


def test_a_step_that_has_to_be_taken_again_is_taken_back_later(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, int(1.2 * full_prompt))
    app.ask()
    seen = [steps(app.ask(), "raised") for _ in range(CALM)]
    assert seen[-1] == ["cache8"]
    assert steps(app.ask()) == ["caches", "cache8"]  # it was too soon
    again = [steps(app.ask(), "raised") for _ in range(2 * CALM)]
    assert again == [[]] * (2 * CALM - 1) + [["cache8"]]


def test_a_stopped_question_says_nothing_about_memory(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, int(1.2 * full_prompt))
    app.ask()
    stopped = [app.ask(cancelled=lambda: True) for _ in range(2 * CALM)]
    assert [steps(events, "raised") for events in stopped] == [[]] * (2 * CALM)


def test_an_embedder_that_cannot_come_back_stays_where_it_is(
    library: PageLibrary, full_prompt: int
) -> None:
    app = TightApp(library, int(1.9 * full_prompt))
    assert steps(app.ask()) == ["caches", "cpu"]
    app.small._size = app.card.total
    for _ in range(CALM):
        app.ask()
    assert not app.small.on_card
    assert len(app.fallback.lowered) == 1


def test_a_question_that_does_not_fit_the_smaller_context_fails_for_want_of_memory(
    library: PageLibrary,
) -> None:
    app = TightApp(library, 0)
    long = QUESTION + " really" * 2000
    with pytest.raises(OutOfMemory):
        app.ask(question=long)
    assert finished(app.ask()).answer.text


class FullNow(TransformersGenerator):
    """The real engine, whose device runs out at chosen points: 0 is the prompt's first layer."""

    def __init__(self, *points: int) -> None:
        loaded = Loaded(tiny_llama(window=4096), byte_tokenizer(), None, 4096)
        super().__init__(loaded, name="tiny", context_tokens=4096, guess="never")
        self.points = list(points)
        self.prompts: list[int] = []
        self._forward = self._model.forward
        self._model.forward = self._limited

    def _run(self, prompt: list[int], ends: list[int], watch: Watch, work: Any) -> Exception | None:
        self.prompts.append(len(prompt))
        self.calls = 0
        self._kept.drop()
        return super()._run(prompt, ends, watch, work)

    def _limited(self, *args: Any, **kwargs: Any) -> Any:
        if self.points and self.calls == self.points[0]:
            self.points.pop(0)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if not self.calls or kwargs["input_ids"].shape[1] == 1:  # all of a prompt counts as one
            self.calls += 1
        return self._forward(*args, **kwargs)


def test_the_real_engine_runs_out_and_answers_with_less(library: PageLibrary) -> None:
    app = TightApp(library, 100_000, max_tokens=160)
    engine = FullNow(0, 3, 0, 0)  # in the prompt, after three tokens, in the prompt twice
    app.model = engine  # type: ignore[assignment]
    app.small.to_cpu()
    events = app.ask()
    taken = [(e.kind, e.step, e.anew) for e in events if isinstance(e, AnswerMessage)]
    assert taken[:4] == [
        ("lowered", "caches", False),
        ("skipped", "cpu", False),
        ("lowered", "cache8", True),
        ("lowered", "passages", False),
    ]
    answer = finished(events).answer
    assert answer.text == shown(events)
    assert engine.prompts[-1] < engine.prompts[0]
    again = finished(app.ask()).answer
    assert again.text == answer.text
    assert engine.points == []


def test_documents_that_are_read_whole_go_on_in_smaller_steps(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {"lease": LEASE})
    small = RuleReader(context_tokens=1200)
    full = small.stream

    def limited(messages: Any, **options: Any) -> Any:
        if small.count_tokens(messages) > 800:
            raise OutOfMemory(Text("Full.", "已满。"), hint=Text("Wait.", "请稍候。"))
        yield from full(messages, **options)

    small.stream = limited  # type: ignore[method-assign]
    events = reader.ask("Summarise lease", small, mode="whole")
    assert steps(events) == ["caches", "context"]
    answer = finished(events).answer
    assert answer.coverage is not None
    assert answer.coverage.read == answer.coverage.of
    assert [notice.step for notice in answer.notices if notice.kind == "lowered"] == steps(events)


def test_a_full_card_costs_the_quotation_and_nothing_else(
    library: PageLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = TightApp(library, 100_000)
    assert finished(app.ask()).answer.quotation is not None

    embed, asked = library.embedder.embed_passages, []

    def full_at_first(texts: Sequence[str]) -> Any:
        asked.append(texts)
        if len(asked) == 1:
            raise OutOfMemory(Text("Full.", "已满。"), hint=Text("Wait.", "请稍候。"))
        return embed(texts)

    monkeypatch.setattr(library.embedder, "embed_passages", full_at_first)
    answer = finished(app.ask()).answer
    assert answer.quotation is None
    assert answer.text


def test_a_full_card_moves_the_embedder_that_reads_the_question(
    library: PageLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = TightApp(library, 100_000)
    embed = library.embedder.embed_query

    def full(text: str) -> Any:
        app.card.take("question", 1)
        app.card.free("question")
        return embed(text)

    monkeypatch.setattr(library.embedder, "embed_query", full)
    app.card.others = app.card.total - app.card.used
    events = []
    with pytest.raises(OutOfMemory):  # the model finds no place
        events = app.ask(question=f"{QUESTION} Anew?")  # a question that nobody has asked before
    assert not events
    assert not app.small.on_card
