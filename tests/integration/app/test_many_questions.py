"""Many questions, each in a thread of its own as on the screen: nothing is left open."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.app.app import App
from rag.types.answers import Answer, Finished
from tests.factories import settings
from tests.integration.app.test_app import until
from tests.pdfs import write_pdf
from ui.handlers import pumped

DESCRIPTORS = Path("/proc/self/fd")
WARM = 20  # questions before anything is counted: lazy imports, and what is opened once
OTHERS = 8  # what the app's own threads may open meanwhile; one left open a question is 130

pytestmark = pytest.mark.skipif(
    not DESCRIPTORS.is_dir(), reason="only Linux lists what a program has open"
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "lease.pdf", ["The monthly rent is 950 euros.", "Pets are not allowed."])
    made = App.open(settings(folder))
    made.start()
    until(lambda: made.state().model_state == "ready" and made.documents())
    until(lambda: made.state().sync_progress is None)
    yield made
    made.close()


def asked(app: App, question: str) -> Answer:
    """Ask as the screen does, and wait for the thread that answered to end."""
    events = pumped(lambda: app.ask(question, cancelled=lambda: False), tick_s=1)
    (answer,) = [event.answer for event in events if isinstance(event, Finished)]
    for thread in threading.enumerate():
        if thread.name == "answer":
            thread.join()
    return answer


def opened() -> int:
    return sum(1 for _ in DESCRIPTORS.iterdir())


@pytest.mark.parametrize("questions", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_questions_leave_nothing_open(app: App, questions: int) -> None:
    descriptors, threads = [], []
    for _ in range(questions):
        assert asked(app, "What is the monthly rent?").passages
        descriptors.append(opened())
        threads.append(threading.active_count())
    assert max(descriptors) < max(descriptors[:WARM]) + OTHERS
    assert max(threads) <= max(threads[:WARM]) + OTHERS
