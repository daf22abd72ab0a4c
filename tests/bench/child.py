"""One measured piece of work in a process of its own, and how it is started and watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.corpus import ROOT

SAMPLE_S = 0.05  # between two looks at the memory; a look takes about 2 ms
QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
    # for both sides: threads that wait by spinning starve each other where something else runs
    "OMP_WAIT_POLICY": "passive",
    "TRANSFORMERS_OFFLINE": "1",
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a process printed as JSON, and what the whole of it took."""

    result: dict[str, Any]
    process_s: float  # from its start to its end, interpreter and imports included
    peak_bytes: int  # most resident memory of it and its children at once


def run_module(module: str, arguments: Sequence[str]) -> Finished:
    """Run a module of this folder, in which ``finish`` prints the result."""
    return run(["-m", f"tests.bench.{module}", *arguments])


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    good: Sequence[int] = (0,),
) -> Finished:
    """Run this Python with ``arguments`` and wait for the JSON that it prints.

    ``environ`` is added to the present one; ``good`` are the exit codes that mean success.

    Raises:
        RuntimeError: the process failed; the end of what it said is in the message.
    """
    env = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT), **(environ or {})}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
    ):
        began = time.perf_counter()
        # a folder of its own: settings files lying about must not change what is measured
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=out, stderr=said, env=env, cwd=folder
        )
        peak = _watch(process)
        seconds = time.perf_counter() - began
        out.seek(0)
        said.seek(0)
        if process.returncode not in good:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{said.read()[-4000:]}")
        return Finished(json.loads(out.read().splitlines()[-1]), seconds, peak)


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process; return the most memory that it and its children held."""
    peak = 0
    family = psutil.Process(process.pid)
    while True:
        try:
            process.wait(timeout=SAMPLE_S)
        except subprocess.TimeoutExpired:
            peak = max(peak, _resident_bytes(family))
        else:
            return peak


def _resident_bytes(family: psutil.Process) -> int:
    total = 0
    try:
        for member in (family, *family.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass  # one ended meanwhile; the next look counts the rest
    return total


def since_start_s() -> float:
    """Return how long this process has been running."""
    return time.time() - psutil.Process().create_time()


def cpu_s() -> float:
    """Return the processor time of this process, and of those of its children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def finish(result: Mapping[str, Any]) -> None:
    """Hand the result to the parent."""
    print(json.dumps(result), flush=True)


def folder_argument(value: str) -> Path:
    """Read a folder from the command line; processes run in folders of their own."""
    return Path(value).expanduser().resolve()
