"""Keeps llama.cpp's threads off the cores that others use. Linux with GNU OpenMP only.

llama.cpp's threads meet after every operation. Beside a busy process one of them is always
late, and the others wait. Their number is fixed once a model is loaded (and with it the
text), but not where they run: together on the cores that are left they take turns, which
costs little as long as they wait asleep. On a machine of their own they wait spinning, which is
faster. ``tests/eval/DECISIONS.md`` has the figures; more than two cores are not measured.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

WINDOW_S = 0.25  # over which the load of others is read; Linux counts in steps of .01 s
_TASKS = Path("/proc/self/task")
_NAME_CHARS = 15  # Linux keeps no more of a thread's name
_SPINS = "300000"  # what GNU OpenMP takes by itself: about 3 ms


def wait_spinning() -> None:
    """Have OpenMP's threads spin unless there are more than cores. Before it is loaded.

    ``OMP_WAIT_POLICY`` may say passive for torch's sake: then they sleep at once if there are more.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


class Cores:
    """Where the threads of one loaded model run, decided anew while it answers."""

    def __init__(
        self,
        *,
        threads: int,
        cpus: int,
        place: Callable[[int | None], None],
        rest: Callable[[], None] = lambda: None,
        others_s: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``place`` puts the threads on so many cores, ``None`` on all; ``rest`` ends an answer.

        ``others_s`` is how long, in core seconds, others have computed so far.
        """
        self._threads = threads
        self._cpus = cpus
        self._place = place
        self._rest = rest
        self._others_s = others_s
        self._now = now
        self._seen = (now(), others_s())
        self._left: int | None = None

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Place the threads by the load since the last answer; ``look`` while it goes on."""
        self._look()
        self._place(self._left)
        try:
            yield
        finally:
            self._rest()

    def look(self) -> None:
        """Place the threads anew if the load has changed. Cheap: reads four times a second."""
        before = self._left
        self._look()
        if self._left != before:
            self._place(self._left)

    def _look(self) -> None:
        at, computed = self._seen
        elapsed = self._now() - at
        if elapsed < WINDOW_S:
            return
        self._seen = (at + elapsed, self._others_s())
        self._left = left_to_us(
            (self._seen[1] - computed) / elapsed, threads=self._threads, cpus=self._cpus
        )


def left_to_us(others: float, *, threads: int, cpus: int) -> int | None:
    """Return how many of ``cpus`` to keep to while others use so many; ``None``: all of them."""
    left = max(1, cpus - int(max(0.0, others) + 0.5))
    return left if left < threads else None


def nobodys() -> Cores:
    """Return one that leaves the threads where the system puts them."""
    return Cores(threads=1, cpus=1, place=lambda _: None, others_s=lambda: 0.0)


class ThreadNames:
    """Gives the threads that C++ starts within a block a name to be found by."""

    def __init__(self, number: int) -> None:
        self._name = f"llama-{number}"[:_NAME_CHARS]

    @contextmanager
    def given(self) -> Iterator[None]:
        """Name the calling thread so meanwhile: on Linux new threads inherit the name."""
        own = _TASKS / str(threading.get_native_id()) / "comm"
        if not own.exists():
            yield
            return
        before = own.read_text("utf-8").strip()
        own.write_text(self._name, "utf-8")
        try:
            yield
        finally:
            own.write_text(before, "utf-8")

    def ids(self) -> list[int]:
        """Return the threads that carry it."""
        found = []
        for task in _TASKS.iterdir():
            with suppress(OSError):  # it may end meanwhile
                if (task / "comm").read_text("utf-8").strip() == self._name:
                    found.append(int(task.name))
        return found


def cores_for(names: ThreadNames, *, threads: int) -> Cores:
    """Return where the named threads of a model run.

    Elsewhere only whole processes can be placed, or not even those: there they stay.
    """
    if sys.platform != "linux" or threads < 2:  # noqa: PLR2004 - one waits for nobody
        return nobodys()
    crowd = Crowd.of_this_process()
    if crowd is None:
        return nobodys()
    allowed = sorted(os.sched_getaffinity(0))

    def place(left: int | None) -> None:
        # the first core is where most interrupts are served
        mask = allowed if left is None else allowed[-left:]
        for thread in names.ids():
            with suppress(OSError):
                os.sched_setaffinity(thread, mask)
        (crowd.disperse if left is None else crowd.gather)()

    crowd.gather()
    return Cores(
        threads=threads, cpus=len(allowed), place=place, rest=crowd.gather, others_s=_others_s
    )


def _others_s() -> float:
    """Return core seconds of others at normal priority; what is nicer gives way by itself."""
    machine = psutil.cpu_times()
    own = os.times()
    return float(machine.user + machine.system - own.user - own.system)


class Crowd:
    """So many idle threads that GNU OpenMP has more than there are cores.

    It then lets all its threads wait asleep; there is no other way to tell it so later than at its
    start. Torch, which may share the library, is better off so as well.
    """

    def __init__(self, library: ctypes.CDLL, harmless: ctypes.c_void_p) -> None:
        self._library = library
        self._harmless = harmless
        self._leave: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    @classmethod
    def of_this_process(cls) -> Crowd | None:
        """Return one for the library that is loaded; ``None`` if llama.cpp does without."""
        try:
            library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
            harmless = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
            library.GOMP_parallel  # noqa: B018 - raises if it is missing
        except (OSError, AttributeError):
            return None
        return cls(library, harmless)

    def gather(self) -> None:
        """Have OpenMP's threads wait asleep. Returns when they do."""
        with self._guard:
            if self._leave is not None:
                return
            standing, leave = threading.Event(), threading.Event()
            self._thread = threading.Thread(
                target=self._stand, args=(standing, leave), name="crowd", daemon=True
            )
            self._thread.start()
            standing.wait()
            self._leave = leave

    def disperse(self) -> None:
        """Have them wait spinning again. Returns when they do."""
        with self._guard:
            if self._leave is None or self._thread is None:
                return
            self._leave.set()
            self._thread.join()
            self._leave = None

    def _stand(self, standing: threading.Event, leave: threading.Event) -> None:
        """Own a team of threads that called a harmless function and then sleep."""
        count = (os.cpu_count() or 1) + 1
        self._library.GOMP_parallel(self._harmless, None, count, 0)
        standing.set()
        leave.wait()
