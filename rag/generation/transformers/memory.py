"""Recognises that a device ran out of memory, says so with numbers, and frees what was held."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterable

import psutil
import torch

from rag.errors import OutOfMemory
from rag.text.messages import Text
from rag.text.sizes import gib

_CPU_SIGNS = ("not enough memory", "can't allocate memory")  # PyTorch's allocator for the CPU


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; on the CPU PyTorch has no type for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU_SIGNS)


def out_of_memory(doing: Text, *, device: torch.device, hint: Text) -> OutOfMemory:
    """Return the failure for what was being done, with what the device has and what is in use.

    To be called before ``let_go``, while the numbers still tell what happened.
    """
    used, total = _usage(device)
    where = Text("The GPU", "显卡") if device.type == "cuda" else Text("The computer", "电脑")
    full = f"{gib(used)} of {gib(total)} GiB"
    return OutOfMemory(
        Text(
            f"{where.en} ran out of memory while {doing.en}: {full} are in use.",
            f"{doing.zh}时{where.zh}内存不足：已用 {full.replace('of', '/')}。",
        ),
        hint=hint,
    )


def let_go(error: BaseException) -> None:
    """Free the tensors that the frames of a failed call still hold."""
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = None
    empty_caches()


def empty_caches() -> None:
    """Give unused memory back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def bytes_on_cards(tensors: Iterable[torch.Tensor]) -> int:
    """Return what tensors take on GPUs."""
    return sum(tensor.nbytes for tensor in tensors if tensor.is_cuda)


def _usage(device: torch.device) -> tuple[int, int]:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    ram = psutil.virtual_memory()
    return ram.total - ram.available, ram.total
