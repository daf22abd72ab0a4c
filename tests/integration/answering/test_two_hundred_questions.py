"""Two hundred questions in one process, half of them stopped: memory stays where it is."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

from rag.answering.oom_fallback import OutOfMemoryFallback
from rag.answering.pipeline import AskSettings, RagPipeline
from rag.generation.transformers.engine import TransformersGenerator
from rag.generation.transformers.loading import Loaded
from rag.protocols import TextGenerator
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.passages import LedgerPassages
from rag.types.answers import Answer, Delta, Finished
from tests.fake_device import WEIGHTS, CardEmbedder, FakeCard, SmallCacheGenerator
from tests.fake_reader import locator_over
from tests.libraries import PageLibrary
from tests.tiny_models import byte_tokenizer, tiny_llama

pytestmark = pytest.mark.slow
QUESTIONS = 200
WARM = 40  # questions before memory is counted: caches fill, and lazy imports come in
MIB = 1 << 20


def pages(count: int = 30) -> list[str]:
    return [
        f"The rent of flat {n} is {900 + n} euros. " + f"Room {n} has a door. " * 6
        for n in range(count)
    ]


@pytest.fixture
def library(tmp_path: Path) -> PageLibrary:
    made = PageLibrary(tmp_path, HashingEmbedder())
    made.add("lease", pages())
    return made


def asked(
    library: PageLibrary,
    model: TextGenerator,
    after: Callable[[int], float],
    *,
    fallback: OutOfMemoryFallback | None = None,
) -> tuple[list[float], int]:
    """Ask; return what ``after`` measured after each question, and how many were stopped."""
    chance = random.Random(7)
    store = LedgerPassages(library.ledger, library.version)
    pipeline = RagPipeline(
        retriever=library.retriever,
        generator=lambda _: model,
        highlighter=locator_over(Path(), store),
        embedder=library.embedder,
        analyser=library.analyser,
        settings=AskSettings(k=3, min_relevance=0.0, max_tokens=24),
        fallback=fallback,
    )
    measured, stopped = [], 0
    for number in range(QUESTIONS):
        stop_after = chance.randrange(0, 20) if number % 2 else None
        answer = one(pipeline, f"What is the rent of flat {number % 30}?", stop_after)
        stopped += answer.finish == "cancelled"
        measured.append(after(number))
    return measured, stopped


def one(pipeline: RagPipeline, question: str, stop_after: int | None) -> Answer:
    tokens = 0

    def cancelled() -> bool:
        return stop_after is not None and tokens >= stop_after

    for event in pipeline.ask(question, cancelled=cancelled):
        if isinstance(event, Delta):
            tokens += event.tokens
        if isinstance(event, Finished):
            return event.answer
    raise AssertionError("an answer always finishes")


def slope(values: Sequence[float]) -> tuple[float, float]:
    """Return the change a question after the warm-up, and its standard error."""
    y = np.array(values[WARM:])
    x = np.arange(len(y)) - (len(y) - 1) / 2
    change = float((x * y).sum() / (x * x).sum())
    rest = y - y.mean() - change * x
    return change, float(np.sqrt((rest**2).sum() / (len(y) - 2) / (x * x).sum()))


def test_resident_memory_does_not_grow(
    library: PageLibrary, capsys: pytest.CaptureFixture[str]
) -> None:
    model = TransformersGenerator(
        Loaded(tiny_llama(window=4096), byte_tokenizer(), None, 4096),
        name="tiny",
        context_tokens=4096,
    )
    process = psutil.Process()

    def resident(number: int) -> float:
        gc.collect()
        return float(process.memory_info().rss)

    measured, stopped = asked(library, model, resident)
    change, error = slope(measured)
    with capsys.disabled():
        print(
            f"\nresident: {change / 1024:+.1f} kB a question (± {error / 1024:.1f}), "
            f"{measured[WARM] / MIB:.0f} MB after {WARM} questions, {measured[-1] / MIB:.0f} MB "
            f"after {QUESTIONS}; {stopped} were stopped"
        )
    assert stopped >= QUESTIONS // 3
    # what the kernel gives and takes back comes in steps; a kept prompt would be 200 kB a question
    assert change < max(3 * error, 40 * 1024)
    model.close()


@pytest.mark.parametrize("room", [100_000, 600], ids=["roomy", "short of memory"])
def test_the_cards_memory_does_not_grow(
    library: PageLibrary, room: int, capsys: pytest.CaptureFixture[str]
) -> None:
    card = FakeCard(WEIGHTS + 200 + room)
    small = CardEmbedder(card)
    fallback = OutOfMemoryFallback(empty=card.empty, movable=lambda: [small])
    model = SmallCacheGenerator(card)
    gc.freeze()  # each step of the fallback collects garbage
    measured, stopped = asked(
        library, model, lambda _: float(card.used - card.kept), fallback=fallback
    )
    gc.unfreeze()
    change, _ = slope(measured)
    with capsys.disabled():
        print(f"\ncard with {room} bytes of room: {change:+.3f} bytes a question")
    assert stopped >= QUESTIONS // 3
    assert "kv" not in card.allocated
    assert max(measured[WARM:]) <= WEIGHTS + 200
    assert card.peak <= card.total
    if room == 100_000:
        assert change == 0
    else:  # the embedder leaves and comes back, and nothing else changes
        assert set(measured[WARM:]) <= {WEIGHTS, WEIGHTS + 200}
