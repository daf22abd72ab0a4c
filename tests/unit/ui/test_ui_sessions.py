"""Waiting that can be interrupted, and who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread

import pytest

from ui.handlers import pumped
from ui.tabs import Sessions


def test_a_pump_ticks_while_it_waits_and_passes_errors_on() -> None:
    go = Event()

    def source() -> Iterator[int]:
        yield 1
        go.wait()
        raise ValueError("from the thread")

    items = pumped(source, tick_s=0.001)
    assert next(items) == 1
    assert next(items) is None
    go.set()
    with pytest.raises(ValueError, match="from the thread"):
        list(items)


def test_a_pump_that_is_left_closes_its_source() -> None:
    closed = Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    items = pumped(source, tick_s=0.001)
    next(items)
    items.close()
    assert closed.wait(10)


def test_a_new_question_of_a_tab_stops_its_old_one() -> None:
    sessions = Sessions()
    old = sessions.ticket("tab")
    sessions.ticket("tab")
    assert old.stopped()
    assert not old.discarded
    new = sessions.ticket("tab")
    sessions.close("tab")
    assert new.stopped()
    assert new.discarded


def test_a_ticket_may_be_released_from_another_thread() -> None:
    sessions = Sessions()
    ticket = sessions.ticket("a")
    assert ticket.wait(0)
    worker = Thread(target=ticket.release)
    worker.start()
    worker.join()
    assert sessions.ticket("b").wait(0)
