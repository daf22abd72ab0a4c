"""Which engine runs a GGUF on this computer's CPU: the one that was timed to be faster here.

Both are timed once, in a process of its own and while llama.cpp already answers; the result is
remembered by file, processor and versions, and counts from the next time the model is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from rag.generation.openvino_copy import PACKAGE, drop_drafts, installed_version, unfit
from rag.protocols import never
from rag.system.process import physical_cores
from rag.types.gguf import DamagedGguf, read_gguf

if TYPE_CHECKING:
    import psutil

logger = logging.getLogger(__name__)

LLAMACPP, OPENVINO = "llamacpp", "openvino"
ENGINES = (LLAMACPP, OPENVINO)
"""In this order: what the second counts and answers is held against the first."""
MARK = "engine-trial "
"""Before each line that tells of an engine."""
QUESTION_READ, QUESTION_WRITTEN = 1100, 80
"""Tokens of the median question: rules, five passages and a sentence or two (measured)."""
OPENVINO_MEMORY = 1.5
"""Bytes that OpenVINO holds for each byte of the file, keys and values apart: 1.34 measured, and
some room. Beside that it has its copy mapped, which the system may take back; llama.cpp computes
from the file."""
QUESTIONS_A_START = 5
"""Over so many questions an engine that loads longer has to make up for it. An assumption."""
LIMIT_S = 900.0
_FORMAT = 1  # of what is remembered, and of how it was timed
_COMMAND = (sys.executable, "-m", "rag.app.engine_trial")
_TRIAL_SHARE, _TRIAL_BYTES = 3.0, 1 << 30  # of the file, and beside it: free first; assumed
_POLL_S = 0.2
_ENDED_BY_OTHERS = {1, 2, 9, 15}
"""SIGHUP, SIGINT, SIGKILL (the system's, when memory is short), SIGTERM: nothing of an engine."""


@dataclass(frozen=True, slots=True)
class EngineTime:
    """How fast one engine was: processor seconds a token, by thread; seconds to load the model."""

    engine: str
    load_s: float = 0.0
    read_s: float = 0.0
    write_s: float = 0.0
    memory_bytes: int = 0
    refused: str = ""  # why it cannot be used; "" if it can

    @property
    def question_s(self) -> float:
        """What the median question takes: reading counts more, there is more of it."""
        return QUESTION_READ * self.read_s + QUESTION_WRITTEN * self.write_s

    @property
    def start_s(self) -> float:
        """What loading and the questions after it take: what is compared."""
        return self.load_s + QUESTIONS_A_START * self.question_s


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What was measured on this CPU for one file."""

    times: tuple[EngineTime, ...]

    @property
    def fastest(self) -> str:
        """The engine for questions; llama.cpp where nothing else could be used."""
        usable = [one for one in self.times if not one.refused]
        return min(usable, key=lambda one: one.start_s).engine if usable else LLAMACPP

    def without(self, engine: str, why: str) -> EngineChoice:
        """Return the same with one engine refused."""
        return EngineChoice(
            tuple(replace(one, refused=why) if one.engine == engine else one for one in self.times)
        )


@cache
def why_not_compared(gguf: Path) -> str:
    """Return why there is nothing to compare for a file; "" if OpenVINO should run it."""
    if installed_version() is None:
        return f"{PACKAGE} is not installed"
    try:
        why = unfit(read_gguf(gguf))
    except (OSError, DamagedGguf) as error:
        return str(error)
    return why.en if why else ""


class EngineMemory:
    """Remembers, in the cache folder of this user, which engine was faster."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` is the app's cache folder if ``None``."""
        self.folder = folder or user_cache_path("ragdesk", appauthor=False) / "engines"

    def of(self, gguf: Path) -> EngineChoice | None:
        """Return what was measured for this file on this CPU; ``None`` if nothing was."""
        try:
            found = json.loads(self._place(gguf).read_text("utf-8"))
            return EngineChoice(tuple(EngineTime(**one) for one in found["times"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, gguf: Path, choice: EngineChoice) -> None:
        """Remember a measurement; where that cannot be written, it is made again next time."""
        try:
            place = self._place(gguf)
            place.parent.mkdir(parents=True, exist_ok=True)
            told = {"of": _origin(gguf), "times": [asdict(one) for one in choice.times]}
            draft = place.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(json.dumps(told, indent=1), "utf-8")
            draft.replace(place)
        except OSError as error:
            logger.warning("which engine is faster cannot be remembered: %s", error)

    def _place(self, gguf: Path) -> Path:
        told = json.dumps(_origin(gguf), sort_keys=True)
        return self.folder / f"{sha256(told.encode()).hexdigest()[:16]}.json"


def compare(
    gguf: Path,
    *,
    threads: int,
    stopped: Callable[[], bool],
    asking: Callable[[], bool] = never,
    command: Sequence[str] = _COMMAND,
    limit_s: float = LIMIT_S,
) -> EngineChoice | None:
    """Time the engines in a process of its own, which stands still while somebody is ``asking``.

    ``None`` if it was stopped, took too long beside other work, or if there is no room for it.
    """
    need = round(_TRIAL_SHARE * gguf.stat().st_size) + _TRIAL_BYTES
    import psutil  # nowhere else: a sync that finds nothing new would wait for it

    if (free := psutil.virtual_memory().available) < need:
        logger.info("engines are not compared: %d bytes free, %d needed", free, need)
        return None
    task = json.dumps({"path": str(gguf), "threads": threads})
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
        waited, said, told = 0.0, "", task
        while process.returncode is None:
            try:
                said, _ = process.communicate(told or None, timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                told, stands = "", asking()
                waited += 0 if stands else _POLL_S
                _let(psutil.Process(process.pid), go_on=not stands)
                if stopped() or waited > limit_s:
                    process.kill()
    drop_drafts(gguf)
    was_ended = stopped() or waited > limit_s or -process.returncode in _ENDED_BY_OTHERS
    return None if was_ended else _heard(said, process.returncode)


def _let(process: psutil.Process, *, go_on: bool) -> None:
    """Let a process go on, or keep it from computing: the person's answer needs all cores."""
    import psutil

    with suppress(psutil.Error):  # it has ended
        if go_on:
            process.resume()
        else:
            process.suspend()


def _heard(said: str, code: int) -> EngineChoice:
    """Return what the process told; an engine of which it told nothing brought it down."""
    times = []
    for line in said.splitlines():
        _, mark, told = line.partition(MARK)
        if mark:
            times.append(EngineTime(**json.loads(told)))
    told_of = {one.engine for one in times}
    lost = [EngineTime(one, refused=f"ended with code {code}") for one in ENGINES]
    choice = EngineChoice((*times, *(one for one in lost if one.engine not in told_of)))
    for one in choice.times:
        logger.info("%s", one)
    if choice.times[0].refused:
        return choice.without(OPENVINO, "llama.cpp, which it is held against, cannot be measured")
    return choice


def _origin(gguf: Path) -> dict[str, object]:
    """Return all that a measurement depends on."""
    found = gguf.stat()
    return {
        "format": _FORMAT,
        "file": [gguf.name, found.st_size, found.st_mtime_ns],
        "processor": _processor(),
        "cores": physical_cores(),
        "versions": {name: installed_version(name) for name in ("xllamacpp", PACKAGE)},
    }


@cache
def _processor() -> tuple[str, ...]:
    """Return the processor's model and what it can compute, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor(), platform.machine()
    pairs = (line.partition(":") for line in lines)
    found = {key.strip(): value.strip() for key, _, value in pairs}  # the last core's
    return found.get("model name", ""), found.get("flags", found.get("Features", ""))
