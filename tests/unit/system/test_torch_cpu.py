from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rag.system.torch_cpu import CpuStreams


@pytest.fixture
def streams() -> CpuStreams:
    return CpuStreams()


def threads_of_torch(_: object = None) -> int:
    return torch.get_num_threads()


def test_a_stream_uses_one_core_and_other_threads_keep_theirs(streams: CpuStreams) -> None:
    before = threads_of_torch()
    assert set(streams.map(threads_of_torch, range(8))) == {1}
    assert threads_of_torch() == before
    with ThreadPoolExecutor(1) as another:
        assert another.submit(threads_of_torch).result() == before


def test_a_single_batch_overtakes_those_that_wait_and_has_one_core(streams: CpuStreams) -> None:
    free = threading.Event()
    waiting = streams.map(lambda _: free.wait(30), range(4 * streams.count + 2))
    assert list(streams.map(threads_of_torch, ["one"])) == [1]
    free.set()
    assert all(waiting)


def test_results_come_in_the_order_of_the_batches(streams: CpuStreams) -> None:
    assert list(streams.map(lambda n: n * n, range(50))) == [n * n for n in range(50)]


def test_what_a_batch_raises_reaches_the_caller(streams: CpuStreams) -> None:
    with pytest.raises(ZeroDivisionError):
        list(streams.map(lambda n: 1 // n, [1, 0, 2]))
