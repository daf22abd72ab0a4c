"""Tests of rag.system.process, in a process whose heap nobody else uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag.system.process import _trim, give_back

HOLES = """
import ctypes, os
from rag.system.process import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
page = os.sysconf("SC_PAGE_SIZE")

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * page

blocks = [libc.malloc(60_000) for _ in range(2_000)]
for block in blocks:
    ctypes.memset(block, 1, 60_000)
for block in blocks[:-1]:  # the last one keeps the heap's end where it is
    libc.free(block)
before = resident()
assert give_back()
print(before - resident())
"""


@pytest.mark.skipif(_trim() is None, reason="only glibc keeps what was freed")
def test_freed_blocks_go_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLES], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) > 60_000 * 2_000 * 0.9


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    _trim.cache_clear()
    try:
        assert not give_back()
    finally:
        _trim.cache_clear()


def test_the_most_memory_held_is_this_process_s_own_not_that_of_the_one_that_began_it() -> None:
    held = bytearray(b"x" * (200 << 20))
    code = "from rag.system.process import peak_bytes; print(peak_bytes())"
    peak = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert 5 << 20 < peak < len(held)
