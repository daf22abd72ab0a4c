"""Beside a busy process llama.cpp keeps to the cores that are left; alone it has them all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.generation.llamacpp.cores import WINDOW_S, Cores, ThreadNames, left_to_us
from rag.generation.llamacpp.engine import LlamaCppGenerator
from rag.types.answers import Message
from tests.tiny_models import llama_gguf

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads are placed on Linux only")
ASKED = [Message("user", "Why is the sky blue?")]


@pytest.mark.parametrize(
    ("others", "threads", "cpus", "left"),
    [
        (0.0, 2, 2, None),
        (0.4, 2, 2, None),  # it computes now and then
        (0.6, 2, 2, 1),
        (1.0, 2, 2, 1),
        (4.0, 2, 2, 1),  # one is always taken
        (-0.3, 2, 2, None),  # clocks that were not read at once
        (1.0, 4, 8, None),  # hyperthreads are free
        (5.0, 4, 8, 3),
        (1.0, 1, 1, None),
    ],
)
def test_as_many_cores_are_kept_to_as_others_leave(
    others: float, threads: int, cpus: int, left: int | None
) -> None:
    assert left_to_us(others, threads=threads, cpus=cpus) == left


class Machine:
    """A machine of two cores whose clock and load are told."""

    def __init__(self) -> None:
        self.at = 0.0
        self.computed = 0.0
        self.placed: list[int | str | None] = []
        self.cores = Cores(
            threads=2, cpus=2, place=self.placed.append, rest=lambda: self.placed.append("rest"),
            others_s=lambda: self.computed, now=lambda: self.at,
        )  # fmt: skip

    def passes(self, seconds: float, *, others: float) -> None:
        self.at += seconds
        self.computed += others * seconds


def test_an_answer_begins_where_the_load_before_it_says() -> None:
    machine = Machine()
    machine.passes(3, others=1)
    with machine.cores.answering():
        assert machine.placed == [1]
    assert machine.placed == [1, "rest"]


def test_it_moves_when_the_load_changes_meanwhile_and_only_then() -> None:
    machine = Machine()
    with machine.cores.answering():
        for others in (0, 0, 1, 1, 1, 0, 0):
            machine.passes(WINDOW_S, others=others)
            machine.cores.look()
    assert machine.placed == [None, 1, None, "rest"]


def test_a_glance_too_short_to_tell_decides_nothing() -> None:
    machine = Machine()
    with machine.cores.answering():
        machine.passes(WINDOW_S / 2, others=2)
        machine.cores.look()
    assert machine.placed == [None, "rest"]


def test_it_rests_after_an_answer_that_failed() -> None:
    machine = Machine()
    with pytest.raises(ValueError, match="broken"), machine.cores.answering():
        raise ValueError("broken")
    assert machine.placed == [None, "rest"]


@contextmanager
def loaded(folder: Path) -> Iterator[LlamaCppGenerator]:
    generator = LlamaCppGenerator.load(
        llama_gguf(folder / "tiny.gguf"), name="tiny", context_tokens=256, threads=2
    )
    yield generator
    generator.close()


def say(generator: LlamaCppGenerator) -> str:
    deltas = generator.stream(ASKED, max_tokens=12, temperature=0, cancelled=lambda: False)
    return "".join(delta.text for delta in deltas)


def engine_threads() -> list[int]:
    tasks = Path("/proc/self/task")
    return [int(t.name) for t in tasks.iterdir() if (t / "comm").read_text().startswith("llama-")]


@linux
@pytest.mark.skipif("len(os.sched_getaffinity(0)) < 2")
def test_the_engines_own_threads_move_and_the_text_stays(tmp_path: Path) -> None:
    before, mine = set(engine_threads()), os.sched_getaffinity(0)
    with loaded(tmp_path) as generator:
        found = set(engine_threads()) - before
        assert len(found) >= 2
        cores = generator._cores
        cores._seen, cores._others_s = (0.0, 0.0), lambda: 0.0
        alone = say(generator)
        assert all(os.sched_getaffinity(thread) == mine for thread in found)
        cores._seen, cores._others_s = (0.0, 0.0), time.monotonic  # one core, all the time
        assert say(generator) == alone
        assert all(len(os.sched_getaffinity(thread)) == 1 for thread in found)
        assert os.sched_getaffinity(0) == mine


@linux
def test_a_questions_threads_are_not_nicer_than_the_app(tmp_path: Path) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    before = set(engine_threads())
    with loaded(tmp_path) as generator:
        say(generator)
        found = set(engine_threads()) - before
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in found} == {own}


@linux
def test_the_thread_that_loads_keeps_its_name() -> None:
    task = Path("/proc/thread-self/comm")
    before = task.read_text()
    names = ThreadNames(99)
    with names.given():
        assert len(names.ids()) == 1
    assert task.read_text() == before
    assert names.ids() == []


def test_openmp_spins_by_default_though_torch_is_told_to_sleep() -> None:
    code = (
        "import os, rag.generation.llamacpp.loading;"
        "print(os.environ['GOMP_SPINCOUNT'], os.environ['OMP_WAIT_POLICY'])"
    )
    for given, expected in ({}, "300000"), ({"GOMP_SPINCOUNT": "7"}, "7"):
        left = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
        said = subprocess.check_output(
            [sys.executable, "-c", code], env={**left, "OMP_WAIT_POLICY": "passive", **given},
            text=True,
        )  # fmt: skip
        assert said.split() == [expected, "passive"]
