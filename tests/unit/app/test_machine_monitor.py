"""The machine is watched: heat slows answers down, idle memory goes back, an hour is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.app.container import Container
from rag.app.machine_monitor import HOUR, MachineMonitor, sample_of
from rag.app.supervisor import Scheduler
from rag.cli import app
from rag.hardware.memory import tidy
from rag.hardware.readings import MachineReadings
from rag.hardware.thermal import (
    LONGEST_S,
    MOST_REST,
    REASONS,
    HeatGuard,
    power_command,
    throttle_text,
)
from rag.protocols import HoldsParts, Share, parts_of
from rag.types.answers import Answer, AnswerMessage, Delta, Event, Finished
from rag.types.hardware import GpuReading, Holder, MemoryReading
from tests.fake_nvml import Card, ScriptedDriver
from tests.pdfs import write_pdf

MIB, GIB = 1 << 20, 1 << 30
MODEL_FREE = {
    "RAGDESK_EMBEDDER__MODEL": "hashing",
    "RAGDESK_GENERATOR__ENGINE": "echo",
    "RAGDESK_INGEST__WORKERS": "1",
    "RAGDESK_UI__LANGUAGE": "en",
}
CARD = GpuReading(0, temperature_c=60.0, slowdown_c=90.0, power_limit_w=450.0, power_floor_w=150.0)


def reading(*cards: GpuReading) -> MemoryReading:
    return MemoryReading(GIB, 4 * GIB, 16 * GIB, cpu_percent=20.0, gpus=cards)


class Time:
    """A clock that only sleeping and working move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def guard(self) -> HeatGuard:
        return HeatGuard(clock=self.clock, sleep=self.sleep)


def tokens(time: Time, look: Callable[[], bool], count: int, *, each_s: float = 0.05) -> float:
    """Decode ``count`` tokens, asking between them as engines do; return the seconds of pauses."""
    before = sum(time.slept)
    for _ in range(count):
        time.now += each_s
        assert look() is False
        assert look() is False  # some ask more than once
    return sum(time.slept) - before


def never() -> bool:
    return False


@pytest.mark.parametrize(
    ("temperature", "rest"),
    [(60, 0.0), (83, 0.0), (84, 0.25), (87, 1.0), (90, MOST_REST), (95, MOST_REST)],
)
def test_the_nearer_the_slowdown_the_longer_the_pauses(temperature: float, rest: float) -> None:
    time = Time()
    guard, look = time.guard(), None
    guard.see(reading(replace(CARD, temperature_c=float(temperature))))
    look = guard.watched(never)
    tokens(time, look, 1)
    assert tokens(time, look, 20) == pytest.approx(20 * 0.05 * rest, rel=0.01)
    assert (guard.note is not None) == (rest > 0)


def test_pauses_end_only_when_the_card_is_clearly_cooler() -> None:
    guard = Time().guard()
    noted = []
    for degrees in (83.0, 84.5, 82.0, 81.5, 80.9, 83.0):
        guard.see(reading(replace(CARD, temperature_c=degrees)))
        noted.append(guard.note is not None)
    assert noted == [False, True, True, True, False, False]


def test_what_is_said_names_the_degrees_and_a_command_that_is_only_shown() -> None:
    guard = Time().guard()
    guard.see(reading(replace(CARD, index=1, temperature_c=88.0)))
    assert guard.note is not None
    for words in (guard.note.en, guard.note.zh):
        assert "88 °C" in words
        assert "90 °C" in words
        assert "`sudo nvidia-smi -i 1 -pl 360`" in words


@pytest.mark.parametrize(
    ("limit", "floor", "command"),
    [
        (450.0, 150.0, "sudo nvidia-smi -i 0 -pl 360"),
        (170.0, 150.0, "sudo nvidia-smi -i 0 -pl 150"),
        (150.0, 150.0, ""),
        (None, None, ""),
        (100.0, None, "sudo nvidia-smi -i 0 -pl 80"),
    ],
)
def test_the_limit_that_is_proposed_can_be_set(
    limit: float | None, floor: float | None, command: str
) -> None:
    assert power_command(replace(CARD, power_limit_w=limit, power_floor_w=floor)) == command


def test_a_card_that_tells_no_threshold_is_believed_when_it_throttles_for_heat() -> None:
    time = Time()
    guard = time.guard()
    silent = replace(CARD, slowdown_c=None)
    guard.see(reading(replace(silent, throttle=("power_cap",))))
    assert guard.note is None
    guard.see(reading(replace(silent, throttle=("hw_thermal",))))
    look = guard.watched(never)
    tokens(time, look, 1)
    assert tokens(time, look, 10) == pytest.approx(0.5, rel=0.01)


def test_the_hottest_of_several_cards_decides() -> None:
    guard = Time().guard()
    guard.see(reading(CARD, replace(CARD, index=1, temperature_c=89.0)))
    assert guard.note is not None
    assert "-i 1" in guard.note.en


def test_stop_is_heard_within_a_pause_and_no_pause_is_long() -> None:
    time = Time()
    guard = time.guard()
    guard.see(reading(replace(CARD, temperature_c=90.0)))
    stopped = False
    look = guard.watched(lambda: stopped)
    look()
    time.now += 60.0  # a long prompt
    guard.see(reading(replace(CARD, temperature_c=90.0)))
    look()
    assert sum(time.slept) <= LONGEST_S + 0.01
    stopped, before = True, len(time.slept)
    time.now += 1.0
    assert look() is True
    assert len(time.slept) == before


def test_readings_that_stopped_coming_cause_no_pauses() -> None:
    time = Time()
    guard = time.guard()
    guard.see(reading(replace(CARD, temperature_c=90.0)))
    time.now += 10  # the driver hangs
    assert tokens(time, guard.watched(never), 20) == 0


def test_without_a_card_there_is_no_heat() -> None:
    guard = Time().guard()
    guard.see(reading())
    assert guard.note is None


# -- memory in pieces ----------------------------------------------------------------------


class Pieces:
    def __init__(self, *shares: Share) -> None:
        self.held = shares
        self.emptied = 0

    def shares(self) -> tuple[Share, ...]:
        return self.held

    def empty(self) -> None:
        self.emptied += 1


@pytest.mark.parametrize(
    ("allocated", "reserved", "emptied"),
    [
        (8 * GIB, 12 * GIB, 1),
        (8 * GIB, 10 * GIB, 0),  # a fifth: the next answer takes it again
        (1 * GIB, 1 * GIB + 500 * MIB, 0),
        (1 * GIB, 1 * GIB + 600 * MIB, 1),
        (0, 0, 0),
    ],
)
def test_idle_memory_is_given_back_above_a_threshold(
    allocated: int, reserved: int, emptied: int
) -> None:
    pieces = Pieces(Share("GPU-0", allocated, reserved))
    assert (tidy(pieces) > 0) == bool(emptied)
    assert pieces.emptied == emptied


def test_it_is_given_back_between_questions_and_never_during_one() -> None:
    pieces = Pieces(Share("GPU-0", GIB, 9 * GIB))
    scheduler = Scheduler(idle=lambda: tidy(pieces))
    with scheduler.question():
        with scheduler.question():
            assert pieces.emptied == 0
        assert pieces.emptied == 0, "another question is still being answered"
    assert pieces.emptied == 1


# -- one arbiter ---------------------------------------------------------------------------


def test_work_that_gives_way_waits_for_the_last_question() -> None:
    scheduler, done = Scheduler(), threading.Event()

    def work() -> None:
        scheduler.give_way(never)
        done.set()

    with scheduler.question():
        assert scheduler.asking
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.wait(0.05)
    thread.join(10)
    assert done.is_set()
    assert not scheduler.asking


def test_work_goes_on_where_tidying_after_a_question_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def tidied() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    scheduler = Scheduler(idle=tidied)
    with scheduler.question():
        pass
    assert not scheduler.asking
    scheduler.give_way(never)
    assert "illegal memory access" in caplog.text


def test_a_program_that_ends_waits_for_no_question() -> None:
    scheduler = Scheduler()
    with scheduler.question():
        scheduler.give_way(lambda: True)


# -- the last hour -------------------------------------------------------------------------


@dataclass
class Scripted:
    """Always the same reading."""

    found: MemoryReading

    def read(self, **_: object) -> MemoryReading:
        return self.found


def test_the_last_hour_is_kept_and_a_moment_more_forgets_the_first() -> None:
    now = [0.0]
    watch = MachineMonitor(Scripted(reading(CARD)), now=lambda: now[0])
    for second in range(HOUR + 2):
        now[0] = float(second)
        watch.look()
    assert [sample.at for sample in watch.history(2)] == [HOUR - 1.0, float(HOUR), HOUR + 1.0]
    whole = watch.history(10 * HOUR)
    assert (len(whole), whole[0].at, whole[0].card) == (HOUR, 2.0, True)


def test_without_a_card_the_computers_figures_are_kept() -> None:
    sample = sample_of(reading(), 1.0)
    assert (sample.card, sample.load, sample.used_bytes, sample.total_bytes) == (
        False, 20.0, 4 * GIB, 16 * GIB,
    )  # fmt: skip


class Weights:
    def memory_parts(self):
        return {"weights": 7 * GIB}


def test_many_who_ask_cause_one_reading_and_a_lost_driver_is_followed() -> None:
    driver, now = ScriptedDriver(cards=[Card(used=10 * GIB)]), [0.0]
    watch = MachineMonitor(
        MachineReadings(driver), lambda: parts_of([Weights()]), now=lambda: now[0]
    )
    first = watch.reading()
    assert watch.reading() is first
    assert first.held[0].bytes == 7 * GIB
    assert first.vram_model_bytes == 7 * GIB
    driver.installed = False
    now[0] = 3.0
    assert watch.reading().gpus == ()
    assert [sample.card for sample in watch.history(10)] == [True, False]


def test_pauses_are_told_once_in_an_answer_and_stay_with_it() -> None:
    driver = ScriptedDriver(cards=[Card(temperature=88)])
    watch = MachineMonitor(MachineReadings(driver))

    def events():
        yield Delta("a", 1)
        watch.look()
        yield Delta("b", 1)
        yield Delta("c", 1)
        yield Finished(Answer("?", "abc", "en", "weak", ()))

    told: list[Event] = list(watch.told(events()))
    assert [type(event) for event in told] == [Delta, AnswerMessage, Delta, Delta, Finished]
    last = told[-1]
    assert isinstance(last, Finished)
    assert [notice.kind for notice in last.answer.notices] == ["heat"]
    assert last.answer.memory is not None
    assert last.answer.memory.temperature_c == 88.0


def test_a_look_that_fails_beside_a_command_is_not_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    again, looks = threading.Event(), list[int]()

    def parts() -> dict[Holder, int]:
        looks.append(len(looks))
        if len(looks) == 2:
            raise RuntimeError("the driver was unloaded")
        if len(looks) == 3:
            again.set()
        return {}

    with MachineMonitor(MachineReadings(ScriptedDriver(cards=[])), parts).looking():
        assert again.wait(20)
    assert "the driver was unloaded" in caplog.text


def test_rag_ask_says_that_it_pauses_for_heat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pdf(tmp_path / "lease.pdf", ["The monthly rent is 950 euros."])
    for name, value in MODEL_FREE.items():
        monkeypatch.setenv(name, value)
    hot = ScriptedDriver(cards=[Card(temperature=88)])
    monkeypatch.setattr(Container, "readings", lambda _: MachineReadings(hot))
    words = ["--knowledge", str(tmp_path), "ask", "What is the monthly rent?"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "950 euros" in done.stdout
    assert done.stderr.count("88 °C") == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name == "watch"]
    kept = CliRunner().invoke(app, [*words, "--json"])
    found = json.loads(kept.stdout)
    assert [notice["kind"] for notice in found["notices"]] == ["heat"]
    assert found["memory"]["temperature_c"] == 88.0


def test_every_reason_for_throttling_has_words_in_both_languages() -> None:
    for key, words in REASONS.items():
        assert throttle_text(key) == words
        assert words.en.isascii()
        assert not words.zh.isascii()
    assert throttle_text("later_bit").en == "later_bit"


def test_an_engine_without_parts_adds_nothing() -> None:
    assert isinstance(Weights(), HoldsParts)
    assert parts_of([object(), None, Weights(), Weights()]) == {"weights": 14 * GIB}
