"""What this process takes, and gives up for others: memory, and its turn on the processor."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
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


def peak_bytes() -> int:
    """Return the most main memory that this process has held at once.

    ``getrusage`` would, on Linux, count what the parent held when it started this process.
    """
    if sys.platform == "win32":
        import psutil  # nowhere else: a command that is done at once would wait for it

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        with suppress(OSError):
            for line in Path("/proc/self/status").read_text("ascii").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) << 10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def remove_left(folder: Path, prefix: str) -> None:
    """Remove folders named ``{prefix}{pid}-…`` whose process was killed."""
    for left in folder.glob(f"{prefix}*-*"):
        import psutil  # nowhere else: there hardly ever is one

        owner = left.name.removeprefix(prefix).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def physical_cores() -> int:
    """Return how many threads should compute: one a core, of those that this process may use.

    Hyperthreads share the units that multiply.
    """
    import psutil  # nowhere else: a command that is done at once would wait for it

    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return max(1, min(physical, allowed or physical))


@cache
def _trim() -> Any:
    if sys.platform != "linux":
        return None
    # musl has no such function
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


READING = 10
"""How nice the processes are that read documents. llama.cpp keeps 9/10 of its speed beside one."""

RECOGNITION = 15
"""Those that recognise text: it runs for hours, and nobody waits for it."""

COMPUTING = 10
"""Threads of this process that embed passages. Those that run Python stay as they are: one that
holds the interpreter's lock and does not come to run would hold up the question as well."""


def lower_process(niceness: int) -> None:
    """Let this process, and the threads that it will start, give way; 0 changes nothing."""
    if sys.platform == "win32":
        if niceness:
            import psutil

            with suppress(psutil.Error):
                psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(niceness)


def lower_thread(niceness: int = COMPUTING) -> None:
    """Let the calling thread give way, and those that it will start. Linux only.

    There is no way back without special rights: for threads that never serve a question.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        own = os.getpriority(os.PRIO_PROCESS, thread)
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, max(own, niceness))
