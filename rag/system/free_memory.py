"""Gives memory that nobody uses any more back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def give_back() -> bool:
    """Let the C library return what lies free between blocks in use; say whether it can.

    glibc keeps what its threads have freed, for each thread apart, and only returns what lies at
    the end of its heap. Other systems return it by themselves.
    """
    trim = _trim()
    if trim is None:
        return False
    trim(0)
    return True


@cache
def _trim() -> Any:
    if sys.platform != "linux":
        return None
    # musl has no such function
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
