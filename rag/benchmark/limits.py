"""Measures what a device can do at most: bytes a second, multiplications a second.

torch does both on every core of a CPU and on a CUDA card. A card works while the program goes
on, so its time is taken by events on the card itself; nobody has measured one with this yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Protocol

import psutil
import torch

COPY_BYTES = 1 << 30
"""One buffer: several times the largest cache of a server's processor (some have 500 MB)."""
QUICK_BYTES = 256 << 20
_LEAST_BYTES = 64 << 20
_SIDES = (512, 1024, 2048, 4096)
"""Sides of the square matrices: larger ones are tried while the last took too little time."""
_ENOUGH_S = 0.25
_ROUNDS = 5  # the best of them counts: a limit is what nothing else disturbed
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Timer(Protocol):
    """Says how long work takes."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Do the work and return its time."""
        ...


class CpuTimer:
    """The clock on the wall: on a CPU, work is done when the call returns."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Do the work and return its time."""
        began = perf_counter()
        work()
        return perf_counter() - began


class CudaTimer:
    """Two events in the card's own stream; ``cuda`` is ``torch.cuda``, or a script of it."""

    def __init__(self, cuda: Any = torch.cuda) -> None:
        self._cuda = cuda

    def seconds(self, work: Callable[[], object]) -> float:
        """Do the work and return the card's time for it."""
        began, ended = (self._cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        work()
        ended.record()
        self._cuda.synchronize()
        return float(began.elapsed_time(ended)) / 1000  # it counts milliseconds


def measure(
    device: str, *, timer: Timer | None = None, copy_bytes: int = COPY_BYTES
) -> dict[str, Any]:
    """Return ``copy_bytes_per_s``, ``read_bytes_per_s`` and ``flops`` by precision.

    ``device`` is "cpu" or "cuda"; ``timer`` is that device's own if ``None``; less than
    ``copy_bytes`` are copied where memory is short.
    """
    clock = timer or (CudaTimer() if device == "cuda" else CpuTimer())
    if device != "cuda":
        torch.set_num_threads(max(torch.get_num_threads(), os.cpu_count() or 1))
    size = min(copy_bytes, _room(device))
    return {
        "device": device,
        "copy_bytes_per_s": _copy(device, clock, size),
        "read_bytes_per_s": _read(device, clock, size),
        "flops": _flops(device, clock),
    }


def devices() -> list[str]:
    """Return what can be measured here."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _room(device: str) -> int:
    if device == "cuda":
        free = int(torch.cuda.mem_get_info()[0])
    else:
        free = int(psutil.virtual_memory().available)
    return max(_LEAST_BYTES, free // 8)


def _copy(device: str, timer: Timer, size: int) -> float:
    source = torch.ones(size // 4, device=device)
    target = torch.zeros_like(source)
    best = min(timer.seconds(lambda: target.copy_(source)) for _ in range(_ROUNDS))
    return 2 * size / best  # each byte is read and written


def _read(device: str, timer: Timer, size: int) -> float:
    source = torch.ones(size // 4, device=device)
    best = min(timer.seconds(source.sum) for _ in range(_ROUNDS))
    return size / best


def _flops(device: str, timer: Timer) -> Mapping[str, float]:
    found = {}
    for name, dtype in DTYPES.items():
        try:
            found[name] = _product(device, timer, dtype)
        except RuntimeError:  # a device that does not multiply this kind
            continue
    return found


def _product(device: str, timer: Timer, dtype: torch.dtype) -> float:
    best = 0.0
    for side in _SIDES:
        left = torch.ones(side, side, dtype=dtype, device=device)
        right = torch.ones(side, side, dtype=dtype, device=device)
        timer.seconds(lambda a=left, b=right: a @ b)  # type: ignore[misc]
        taken = [timer.seconds(lambda a=left, b=right: a @ b) for _ in range(_ROUNDS)]  # type: ignore[misc]
        best = max(best, 2 * side**3 / min(taken))
        if sum(taken) > _ENOUGH_S:
            break
    return best
