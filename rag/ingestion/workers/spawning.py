"""Worker processes that do not import the program that started them.

``multiprocessing`` runs the caller's main file again in each new process. A script that uses
this package at its top level, without asking for its own name first, would start workers from
its workers; and a large notebook or server would be loaded once more in each. What the workers
do lies in ``rag.ingestion.workers.tasks``, so they need no main module at all.
"""

from __future__ import annotations

import sys
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from types import FunctionType, SimpleNamespace
from typing import Any, cast

if sys.platform == "win32":
    from multiprocessing.popen_spawn_win32 import Popen

    _LAUNCHES = "__init__"
else:
    from multiprocessing.popen_spawn_posix import Popen

    _LAUNCHES = "_launch"


def _preparation(name: str) -> dict[str, Any]:
    """Return what a new process is told about its parent, without the parent's main module."""
    told = spawn.get_preparation_data(name)
    for key in ("init_main_from_name", "init_main_from_path"):
        told.pop(key, None)
    return told


def _with_our_preparation(launch: FunctionType) -> FunctionType:
    """Return a copy of the library's function that calls ``_preparation`` for its own.

    The copy has global names of its own: neither the library's module nor ``sys.modules`` is
    changed, not even for a moment, so what other threads of the caller start is not affected.
    """
    ours = SimpleNamespace(**{**vars(spawn), "get_preparation_data": _preparation})
    names = {**launch.__globals__, "spawn": ours}
    return FunctionType(
        launch.__code__, names, launch.__name__, launch.__defaults__, launch.__closure__
    )


_Popen = cast(
    "type[Popen]",
    type("_Popen", (Popen,), {_LAUNCHES: _with_our_preparation(getattr(Popen, _LAUNCHES))}),
)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 - the library's name
        return _Popen(process_obj)


class ApartContext(SpawnContext):
    """As ``multiprocessing.get_context("spawn")``, but the main module stays with the parent.

    What is sent to a process has to be importable by name from elsewhere than the main module.
    """

    Process = _Process
