"""What runs in a process of its own to compare the engines that can run one GGUF on this CPU.

The task comes as JSON on standard input: ``{"path": ..., "threads": 0}``. One line of JSON comes
back for each engine (``MARK`` before it). See ``rag.app.engine_choice``, which starts it.

What counts is processor time, divided by the threads: a sync that runs beside this, as it does
after the first start, makes everything take longer on the clock, and for one engine more than for
the other by chance.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import psutil

from rag.app.engine_choice import ENGINES, MARK
from rag.app.registry import load
from rag.errors import RagError
from rag.generation.openvino_copy import has_copy
from rag.protocols import TextGenerator, never
from rag.system.process import RECOGNITION, lower_process, physical_cores
from rag.types.answers import Message

_WINDOW = 1024
_WORD = re.compile(r"\w+")
_KNOWN_SHARE = 0.6
_ROUNDS, _ANSWER_TOKENS = 2, 24
_ASKED = "How many litres does the tank hold?"
_FILLER = (
    "The pump was inspected in spring and again in autumn. Its bearings were greased, the seals "
    "were renewed, and the filter was cleaned. "
)
_PROBE = "Preis: 1.234,50 €, 第三条（乙）款：2026年5月1日 🐼 naïve\t x_1 <|im_end|>\r\n\n  don't"
"""Counted otherwise by a tokenizer that was read wrongly."""


def main() -> None:
    """Do the task on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this process
    task = json.loads(sys.stdin.read())
    lower_process(RECOGNITION)
    said: list[Any] = []
    for engine in ENGINES:
        found = _tried(engine, Path(task["path"]), int(task["threads"]))
        said.append(found.pop("says", None))
        if "refused" not in found and said[-1] != said[0]:
            found = {"engine": engine, "refused": f"reads the model otherwise: {said[-1]}"}
        sys.stdout.write(f"{MARK}{json.dumps(found)}\n")
        sys.stdout.flush()


def _tried(engine: str, path: Path, threads: int) -> dict[str, Any]:
    def loaded() -> TextGenerator:
        found: TextGenerator = load(engine).load(
            path, name=path.stem, context_tokens=_WINDOW, threads=threads
        )
        return found

    try:
        if engine == "openvino" and not has_copy(path):
            loaded().close()  # which makes the copy; what counts is how long each later start takes
        begun, computed = perf_counter(), process_time()
        with closing(loaded()) as model:
            load_s = min(perf_counter() - begun, process_time() - computed)
            return {"engine": engine, "load_s": load_s, **_measured(model, threads)}
    except RagError as error:
        return {"engine": engine, "refused": error.message.en}


def _measured(model: TextGenerator, threads: int) -> dict[str, Any]:
    """Return seconds a token for reading and writing, memory, and what tells a wrong reading."""
    rounds = [_round(model, number) for number in range(_ROUNDS)]
    cores = threads or physical_cores()
    return {
        "read_s": min(read for read, _, _ in rounds) / cores,
        "write_s": min(write for _, write, _ in rounds) / cores,
        "memory_bytes": psutil.Process(os.getpid()).memory_info().rss,
        "says": [model.count_tokens([Message("user", _PROBE)]), rounds[0][2]],
    }


def _round(model: TextGenerator, number: int) -> tuple[float, float, bool]:
    """Return processor seconds a token read and a token written, and whether it made sense."""
    text = f"Report {number}. {_FILLER * 6}The tank holds 612 litres. {_FILLER * 6}"
    asked = [Message("user", f"{text}\n\nQuestion: {_ASKED}")]
    count = model.count_tokens(asked)
    begun = process_time()
    first = last = begun
    said, tokens = "", 0
    for delta in model.stream(asked, max_tokens=_ANSWER_TOKENS, temperature=0, cancelled=never):
        last = process_time()
        if delta.tokens and not tokens:
            first = last
        tokens += delta.tokens
        said += delta.text
    return (first - begun) / count, (last - first) / max(1, tokens - 1), _is_from(said, text)


def _is_from(answer: str, text: str) -> bool:
    """Tell whether an answer has its words from the text: a model read wrongly babbles."""
    known = set(_WORD.findall(text.lower()))
    words = _WORD.findall(answer.lower())
    return sum(word in known for word in words) >= _KNOWN_SHARE * len(words) > 0


if __name__ == "__main__":
    main()
