"""How torch is fastest on a CPU: the type it computes in, and a batch for each core.

Cores that share a batch wait for each other at the end of every operation, and the slowest sets
the pace; with a batch each they do not (docs/decisions.md has the figures).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from rag.system.process import lower_thread

Batch = TypeVar("Batch")
Result = TypeVar("Result")

_BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")
MOST = 8  # streams: each holds the activations of its batch. More than two cores: not measured


def cpu_dtype() -> torch.dtype:
    """Return bfloat16 where the CPU multiplies it, else float32.

    Without such units bfloat16 takes several times longer than float32; with them embedding takes
    two thirds (AVX-512) or less than half (AMX) of its time, and the vectors stay as they are
    (cosine above .9999; docs/decisions.md, "A forward pass of our own").
    """
    # asked of new versions of torch only; older ones do not tell
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if any(able.get(unit) for unit in _BFLOAT16_UNITS) else torch.float32


class CpuStreams:
    """As many threads as torch would use cores, each of which uses one, and one more.

    That one is for a question, which must not wait behind the passages of a document. One core
    computes it: several would wait for each other at every operation, which on a machine that
    also reads documents or runs a model takes ten times as long (docs/decisions.md).
    """

    def __init__(self) -> None:
        self.count = min(torch.get_num_threads(), MOST)
        self._threads = _one_core_threads("embed-core", self.count, start=lower_thread)
        self._single = _one_core_threads("embed-question", 1, start=lambda: None)

    def map(self, call: Callable[[Batch], Result], batches: Sequence[Batch]) -> Iterable[Result]:
        """Call for each batch; results in order. A single one overtakes all others."""
        return (self._single if len(batches) == 1 else self._threads).map(call, batches)


def _one_core_threads(name: str, count: int, *, start: Callable[[], None]) -> ThreadPoolExecutor:
    started = threading.Barrier(count)
    threads = ThreadPoolExecutor(count, name, initializer=_use_one_core, initargs=(started, start))
    for _ in range(count):  # all now, and not one by one as work comes
        threads.submit(int)
    return threads


def _use_one_core(started: threading.Barrier, start: Callable[[], None]) -> None:
    """Limit the calling thread alone: ``torch.set_num_threads`` would limit later ones too."""
    start()
    torch.get_num_threads()  # torch sets a new thread's number when it is first asked
    threadpool_limits(1, user_api="openmp")
    started.wait()
