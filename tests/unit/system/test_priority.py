"""Our own work gives way to a question."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.process import WorkerProcesses
from rag.ingestion.workers.tasks import WorkerLimits
from rag.system.process import COMPUTING, READING, RECOGNITION, lower_thread
from rag.system.torch_cpu import CpuStreams

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux")
BEFORE = 0 if sys.platform != "linux" else os.getpriority(os.PRIO_PROCESS, 0)


def niceness(_: object = None) -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_lowered_thread_leaves_the_others_where_they_were() -> None:
    with ThreadPoolExecutor(1, initializer=lower_thread) as threads:
        assert threads.submit(niceness).result() == max(BEFORE, COMPUTING)
    assert niceness() == BEFORE


def test_a_thread_that_is_lower_still_is_not_lifted() -> None:
    with ThreadPoolExecutor(1, initializer=lambda: lower_thread(19)) as threads:
        threads.submit(lower_thread, 5).result()
        assert threads.submit(niceness).result() == 19


def test_passages_give_way_and_a_question_does_not() -> None:
    streams = CpuStreams()
    assert set(streams.map(niceness, range(8))) == {max(BEFORE, COMPUTING)}
    assert list(streams.map(niceness, ["one"])) == [BEFORE]


@pytest.mark.parametrize("lower", [READING, RECOGNITION])
def test_worker_processes_give_way(lower: int) -> None:
    workers = WorkerProcesses(count=1, niceness=lower)
    try:
        assert workers.send(niceness, limit_s=60).result() == min(19, BEFORE + lower)
    finally:
        workers.close()


def test_what_is_looked_at_waits_for_no_reading() -> None:
    pool = WorkerPool(workers=1, timeout_s=60, limits=WorkerLimits(page_s=20, memory_mb=256))
    kinds = (pool._viewers, pool._readers, pool._recognisers)
    assert [workers.niceness for workers in kinds] == [0, READING, RECOGNITION]
    pool.close()
