"""``rag ask`` shows how far the prompt is read, and nothing of it among the answer."""

from __future__ import annotations

from pathlib import Path

from rag.cli.answers import _prompt_read
from rag.cli.context import Context
from rag.types import Delta, Event, Retrieved
from tests.factories import settings


def test_progress_of_the_prompt_goes_to_the_bar_and_the_rest_passes(tmp_path: Path) -> None:
    events: list[Event] = [
        Retrieved(()),
        Delta("", 0, prompt_read=0.5),
        Delta("", 0, prompt_read=1.0),
        Delta("Yes", 1),
        Delta("", 0, "stop"),
    ]
    context = Context(settings(tmp_path), "en", None)
    assert list(_prompt_read(context, iter(events))) == [events[0], events[3], events[4]]
