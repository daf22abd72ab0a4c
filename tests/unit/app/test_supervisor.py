"""Background parts: what one raises is shown, and it goes on or stays stopped as it should."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from rag.app.supervisor import STEADY_S, Part, Supervisor
from rag.errors import StoreError
from rag.text.messages import Text

PATIENCE_S = 10
TITLE = Text("Watching the clouds", "观云")


class Clock:
    """The time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def supervisor(
    stopping: threading.Event, *, pause_s: float = 0.001, clock: Callable[[], float] | None = None
) -> Supervisor:
    return Supervisor(stopping, first_pause_s=pause_s, clock=clock or Clock())


@pytest.mark.parametrize("error", [KeyError("weight"), SystemExit(3), MemoryError()])
def test_whatever_a_part_raises_is_said_with_a_remedy_in_both_languages(
    error: BaseException,
) -> None:
    def work() -> None:
        raise error

    parts = supervisor(threading.Event())
    parts.start(Part("clouds", TITLE, work, again=False))
    parts.join(timeout_s=PATIENCE_S)
    (failure,) = parts.failures
    assert "Watching the clouds failed" in failure.en
    assert type(error).__name__ in failure.en
    assert "Start the app anew" in failure.en
    assert "观云失败" in failure.zh
    assert "重新启动" in failure.zh


def test_our_own_errors_keep_their_words_and_their_remedy() -> None:
    def work() -> None:
        raise StoreError(
            Text("The disk is full.", "磁盘已满。"), hint=Text("Make room.", "请腾出空间。")
        )

    parts = supervisor(threading.Event())
    parts.start(Part("clouds", TITLE, work, again=False))
    parts.join(timeout_s=PATIENCE_S)
    assert parts.failures == (
        Text(
            "Watching the clouds failed. The disk is full. Make room.",
            "观云失败。磁盘已满。请腾出空间。",
        ),
    )


def test_a_part_begins_again_and_is_shown_as_failed_until_it_has_run_for_a_while() -> None:
    stopping, again, clock = threading.Event(), threading.Event(), Clock()
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("wires are crossed")
        again.set()
        stopping.wait(PATIENCE_S)

    parts = supervisor(stopping, clock=clock)
    parts.start(Part("clouds", TITLE, work))
    assert again.wait(PATIENCE_S)
    (failure,) = parts.failures
    assert "tried again" in failure.en
    clock.now += STEADY_S + 1
    assert parts.failures == ()
    stopping.set()
    parts.join(timeout_s=PATIENCE_S)
    assert len(calls) == 3


def test_a_part_that_ends_by_itself_after_it_began_again_has_not_failed() -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")

    parts = supervisor(threading.Event())
    parts.start(Part("clouds", TITLE, work))
    parts.join(timeout_s=PATIENCE_S)
    assert len(calls) == 2
    assert parts.failures == ()


def test_one_part_s_failure_leaves_the_others_at_work() -> None:
    stopping, asked, answered = threading.Event(), threading.Event(), threading.Event()

    def fails() -> None:
        raise RuntimeError

    def works() -> None:
        asked.wait(PATIENCE_S)
        answered.set()

    parts = supervisor(stopping)
    parts.start(Part("works", Text("Work", "工作"), works))
    parts.start(Part("fails", TITLE, fails, again=False))
    asked.set()
    assert answered.wait(PATIENCE_S)
    parts.join(timeout_s=PATIENCE_S)
    assert len(parts.failures) == 1


def test_nothing_begins_again_once_the_app_ends() -> None:
    stopping, failed = threading.Event(), threading.Event()
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        failed.set()
        raise RuntimeError

    parts = supervisor(stopping, pause_s=3600)
    parts.start(Part("clouds", TITLE, work))
    assert failed.wait(PATIENCE_S)
    stopping.set()
    parts.join(timeout_s=PATIENCE_S)
    assert calls == [1]
    assert len(parts.failures) == 1
