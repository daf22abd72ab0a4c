"""A producer in a thread, read as an iterator: nothing hangs, nothing is lost."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from rag.generation.streaming import Bridge, OneAtATime, iterate, ticking

Emit = Callable[[int], None]
Stopped = Callable[[], bool]

PATIENCE_S = 10


def never() -> bool:
    return False


def count_for_ever(started: threading.Event, ended: threading.Event) -> Callable[..., None]:
    """Return a producer that goes on until it is told to stop."""

    def produce(emit: Emit, stopped: Stopped) -> None:
        number = 0
        while not stopped():
            emit(number)
            number += 1
            started.set()
        ended.set()

    return produce


def test_every_item_arrives_in_order() -> None:
    def produce(emit: Emit, stopped: Stopped) -> None:
        for number in range(1000):  # far more than may wait unread
            emit(number)

    assert list(iterate(produce, cancelled=never)) == list(range(1000))


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_what_the_producer_raises_is_raised_to_the_reader_after_its_items(
    error: BaseException,
) -> None:
    def produce(emit: Emit, stopped: Stopped) -> None:
        emit(1)
        emit(2)
        raise error

    iterator = iterate(produce, cancelled=never)
    assert (next(iterator), next(iterator)) == (1, 2)
    with pytest.raises(type(error)) as caught:
        next(iterator)
    assert caught.value is error


def test_a_producer_that_emits_nothing_ends_the_iterator() -> None:
    assert list(iterate(lambda emit, stopped: None, cancelled=never)) == []


def test_nothing_runs_before_the_first_item_is_asked_for() -> None:
    began = threading.Event()
    iterator: Iterator[int] = iterate(lambda emit, stopped: began.set(), cancelled=never)
    assert not began.is_set()
    assert list(iterator) == []
    assert began.is_set()


def test_closing_the_iterator_stops_the_producer() -> None:
    started, ended = threading.Event(), threading.Event()
    iterator = iterate(count_for_ever(started, ended), cancelled=never)
    assert next(iterator) == 0
    iterator.close()
    assert ended.is_set()


def test_dropping_the_iterator_stops_the_producer() -> None:
    started, ended = threading.Event(), threading.Event()
    iterator = iterate(count_for_ever(started, ended), cancelled=never)
    assert next(iterator) == 0
    del iterator
    gc.collect()
    assert ended.wait(PATIENCE_S)


def test_a_producer_that_waits_for_a_slow_reader_stops_when_the_reader_leaves() -> None:
    filled, ended = threading.Event(), threading.Event()

    def produce(emit: Emit, stopped: Stopped) -> None:
        for number in range(100_000):
            if number == 60:
                filled.set()
            emit(number)  # blocks: nobody takes them away
            if stopped():
                break
        ended.set()

    iterator = iterate(produce, cancelled=never)
    next(iterator)
    assert filled.wait(PATIENCE_S)
    iterator.close()
    assert ended.is_set()


def test_a_cancel_before_the_first_item_reaches_the_producer() -> None:
    cancel, waiting = threading.Event(), threading.Event()

    def produce(emit: Emit, stopped: Stopped) -> None:
        waiting.set()
        while not stopped():  # a long prompt is being read
            pass
        emit(-1)

    iterator = iterate(produce, cancelled=cancel.is_set)

    def change_my_mind() -> None:
        waiting.wait(PATIENCE_S)
        cancel.set()

    canceller = threading.Thread(target=change_my_mind)
    canceller.start()
    assert list(iterator) == [-1]
    canceller.join()


def test_an_error_of_the_cancel_question_itself_arrives() -> None:
    def broken() -> bool:
        raise LookupError("no session")

    def produce(emit: Emit, stopped: Stopped) -> None:
        stopped()

    with pytest.raises(LookupError, match="no session"):
        list(iterate(produce, cancelled=broken))


def test_a_producer_that_does_not_obey_is_left_behind_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release, ended = threading.Event(), threading.Event()

    def produce(emit: Emit, stopped: Stopped) -> None:
        emit(1)
        release.wait(PATIENCE_S)
        ended.set()

    iterator = ticking(produce, cancelled=never, tick_s=PATIENCE_S, patience_s=0.1)
    next(iterator)
    with caplog.at_level(logging.WARNING):
        iterator.close()
    assert not ended.is_set()
    assert "still ending" in caplog.text
    release.set()
    assert ended.wait(PATIENCE_S)


def test_an_error_after_the_reader_left_is_logged_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def produce(emit: Emit, stopped: Stopped) -> None:
        emit(1)
        while not stopped():
            pass
        raise RuntimeError("the device is gone")

    iterator = iterate(produce, cancelled=never)
    next(iterator)
    with caplog.at_level(logging.WARNING):
        iterator.close()
    assert "the device is gone" in caplog.text


def test_waiting_is_interrupted_by_ticks_and_leaves_no_thread_behind() -> None:
    go, here = threading.Event(), threading.active_count()

    def produce(emit: Emit, stopped: Stopped) -> None:
        emit(1)
        go.wait(PATIENCE_S)
        emit(2)

    items = ticking(produce, cancelled=never, tick_s=0.001)
    assert next(items) == 1
    assert next(items) is None
    go.set()
    assert [item for item in items if item is not None] == [2]
    items.close()
    for thread in threading.enumerate():
        if thread.name == "generation":
            thread.join(PATIENCE_S)
    assert threading.active_count() == here


def test_an_event_loop_hands_over_any_number_of_items_without_waiting() -> None:
    bridge: Bridge[int] = Bridge()
    for number in range(1000):
        bridge.put(number)
    bridge.end(ValueError("broken"))
    items = bridge.ticks(PATIENCE_S)
    assert [next(items) for _ in range(1000)] == list(range(1000))
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_a_reader_that_the_producer_s_own_thread_collects_holds_nothing_up() -> None:
    bridge: Bridge[int] = Bridge()
    with bridge._changed:  # as inside of ``emit``
        assert not bridge.abandon(0)
    bridge.emit(1)
    bridge.end()
    assert list(bridge.ticks(PATIENCE_S)) == []


def test_one_generation_waits_for_the_other() -> None:
    gate = OneAtATime()
    inside: list[int] = []
    most: list[int] = []

    def work(name: int) -> None:
        for _ in range(200):
            with gate.turn(never) as mine:
                assert mine
                inside.append(name)
                most.append(len(inside))
                inside.remove(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(most) == 400
    assert max(most) == 1


def test_waiting_for_the_model_can_be_cancelled() -> None:
    gate = OneAtATime()
    with gate.turn(never) as first:
        assert first
        with gate.turn(lambda: True) as second:
            assert not second
    with gate.turn(never) as third:  # the one in vain took nothing away
        assert third


def test_no_generation_begins_once_the_model_is_unloaded() -> None:
    gate = OneAtATime()
    gate.close()
    gate.close()
    with gate.turn(never) as mine:
        assert not mine


def test_unloading_waits_for_the_running_generation() -> None:
    gate = OneAtATime()
    running, ended = threading.Event(), threading.Event()

    def work() -> None:
        with gate.turn(never):
            running.set()
            while not gate.closed:
                pass
            ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(PATIENCE_S)
    gate.close()
    assert ended.is_set()
    thread.join()


def test_spare_time_is_what_nobody_holds_or_waits_for() -> None:
    gate, held, done = OneAtATime(), threading.Event(), threading.Event()

    def wanted() -> bool:
        return gate.wanted

    def use() -> None:
        with gate.turn(never):
            held.set()
            done.wait(PATIENCE_S)

    with gate.spare() as mine:
        assert mine
        with gate.spare() as second:
            assert not second
        assert not wanted()
        user = threading.Thread(target=use)
        user.start()
        while not wanted():
            assert user.is_alive()
    assert held.wait(PATIENCE_S)
    assert not wanted()
    with gate.spare() as while_in_use:
        assert not while_in_use
    done.set()
    user.join(PATIENCE_S)


def test_there_is_no_spare_time_once_the_model_is_unloaded() -> None:
    gate = OneAtATime()
    gate.close()
    with gate.spare() as mine:
        assert not mine
    assert gate.wanted
