"""``rag ask`` shows how far the prompt is read, and nothing of it among the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.cli.ask import _print_doubts, answer_json
from rag.cli.context import Context, print_notice, shown_progress
from rag.text.messages import Text
from rag.types.answers import Answer, AnswerMessage, Delta, Event, Retrieved, Sentence
from rag.types.progress import Progress
from tests.factories import settings


def test_progress_of_the_prompt_goes_to_the_bar_and_the_rest_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Progress] = []
    closed: list[int] = []

    @contextmanager
    def bar(_: Context) -> Iterator[Callable[[Progress], None]]:
        yield told.append
        closed.append(len(told))

    monkeypatch.setattr("rag.cli.context.progress_bar", bar)
    events: list[Event] = [
        Retrieved(()),
        Delta("", 0, prompt_read=0.5),
        Delta("", 0, prompt_read=1.0),
        Delta("Yes", 1),
        Delta("", 0, "stop"),
    ]
    context = Context(settings(tmp_path), "en", None)
    passed = []
    for event in shown_progress(context, iter(events)):
        passed.append(event)
        assert bool(closed) is isinstance(event, Delta), "the bar makes room for the text"
    assert passed == [events[0], events[3], events[4]]
    assert [(progress.done, progress.total) for progress in told] == [(50, 100), (100, 100)]


def test_it_is_said_which_sentences_are_not_supported_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "It is big. It has 45 GB. It is red."
    sentences = (
        Sentence(0, 10, "supported"),
        Sentence(11, 24, "unsupported", reason="number:45 GB"),
        Sentence(25, 35, "weak", reason="wording"),
    )
    answer = Answer("?", text, "en", "weak", (), (), sentences, left_out=2)
    _print_doubts(Context(settings(tmp_path), "en", None), answer)
    told = capsys.readouterr().out
    assert "It is big." not in told
    assert "✗ It has 45 GB.\n    45 GB does not stand there." in told
    assert "? It is red.\n    Only some of its words stand there." in told
    assert "no passage supports it: 2" in told


def test_what_the_machine_makes_different_is_said_beside_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = Context(settings(tmp_path), "zh", None)
    print_notice(context, AnswerMessage("skipped", Text("Skipped.", "跳过。"), "cpu"))
    print_notice(context, AnswerMessage("lowered", Text("Again.", "重试。"), "passages", anew=True))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "· 跳过。\n\n· 重试。\n"


def test_the_answer_as_json_holds_its_notices() -> None:
    notice = AnswerMessage("lowered", Text("Again.", "重试。"), "passages")
    shape = answer_json(Answer("?", "Yes.", "en", "weak", (), notices=(notice,)))
    assert shape["notices"] == [
        {"kind": "lowered", "step": "passages", "en": "Again.", "zh": "重试。"}
    ]
