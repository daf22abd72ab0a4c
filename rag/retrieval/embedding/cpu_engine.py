"""Whether int8 embeds faster than torch on this CPU: measured once in a child, and remembered.

No table of processors decides: what int8 gains depends on instructions that no library names
alike. ``python -m rag.retrieval.embedding.cpu_engine FOLDER GRAPH`` prints both speeds as JSON; a
process of its own, because the engine that loses would keep its memory.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.retrieval.embedding.token_embedder import TokenEmbedder

logger = logging.getLogger(__name__)
LEAST_GAIN = 1.2
"""Times torch's speed that int8 has to reach: its vectors are a little less exact."""
MEASURE_TIMEOUT_S = 120
_NAME = "engine.json"
_ROUNDS = 3
_PASSAGES = 24
_PASSAGE_TOKENS = 200  # about what a passage has
_SENTENCES = (
    "The Tenant shall pay the monthly rent in advance, on or before the first day of the month. ",
    "甲方应于每月一日前向乙方支付当月租金，逾期每日按千分之一支付违约金。",
    "Net sales rose by 4.2 % to 12,345 million, mostly because of exchange rates. ",
)


@dataclass(frozen=True, slots=True)
class Speeds:
    """Passages per second of both engines on the machine that ``machine`` names."""

    machine: str
    torch_per_s: float
    int8_per_s: float

    @property
    def int8_pays(self) -> bool:
        """Say whether int8 is to be used."""
        return self.int8_per_s >= LEAST_GAIN * self.torch_per_s


def torch_has_its_own() -> bool:
    """Say whether torch finds a card, or units for bfloat16: then int8 need not be asked.

    With such units int8 was no faster (docs/decisions.md, "Int8 embedding on a CPU").
    """
    import torch

    from rag.system.cpu_precision import cpu_dtype

    return torch.cuda.is_available() or cpu_dtype() is not torch.float32


def remembered(cache: Path) -> Speeds | None:
    """Return what was measured on this machine with these versions; ``None``: nothing yet."""
    try:
        found = Speeds(**json.loads((cache / _NAME).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.machine == this_machine() else None


def speeds(folder: Path, *, graph: Path) -> Speeds | None:
    """Measure the model in ``folder`` against its int8 graph, and remember it beside that.

    Takes some seconds. ``None`` where it cannot be measured: then torch is used.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "rag.retrieval.embedding.cpu_engine", str(folder), str(graph)],
            capture_output=True,
            text=True,
            timeout=MEASURE_TIMEOUT_S,
            check=True,
        )
        found = Speeds(this_machine(), **json.loads(done.stdout.splitlines()[-1]))
        _remember(graph.parent / _NAME, found)
    except (OSError, subprocess.SubprocessError, IndexError, ValueError, TypeError) as error:
        logger.warning("the speed of embedding engines could not be measured: %s", error)
        return None
    logger.info("%s: int8 %.1f, torch %.1f passages/s", folder.name, *_pair(found))
    return found


def this_machine() -> str:
    """Return what the speeds depend on: processor, cores, and the versions of both engines."""
    told = [platform.machine(), platform.processor(), str(os.cpu_count())]
    told += [f"{name} {version(name)}" for name in ("torch", "onnxruntime")]
    return sha256("\n".join([*told, *_linux_processor()]).encode()).hexdigest()[:16]


def _linux_processor() -> list[str]:
    """Return name and instructions; ``platform.processor`` is empty on many systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []
    wanted = ("model name", "flags", "Features")
    return sorted({line for line in lines if line.startswith(wanted)})


def _remember(path: Path, found: Speeds) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps(asdict(found)), "utf-8")
    draft.replace(path)


def _pair(found: Speeds) -> tuple[float, float]:
    return found.int8_per_s, found.torch_per_s


def main() -> None:
    """Measure what the command line names."""
    from rag.retrieval.embedding.bert_embedder import BertEmbedder
    from rag.retrieval.embedding.onnxruntime import OnnxEmbedder

    folder, graph = Path(sys.argv[1]), Path(sys.argv[2])
    common: dict[str, Any] = {"name": folder.name, "max_tokens": _PASSAGE_TOKENS * 2}
    torch_per_s, int8_per_s = compare(
        [BertEmbedder(folder, **common), OnnxEmbedder(folder, graph=graph, **common)]
    )
    print(json.dumps({"torch_per_s": torch_per_s, "int8_per_s": int8_per_s}))  # noqa: T201


def compare(engines: Sequence[TokenEmbedder]) -> list[float]:
    """Return each engine's passages per second: they take turns, so other work slows both."""
    texts = [_passage(engines[0], _SENTENCES[i % len(_SENTENCES)], i) for i in range(_PASSAGES)]
    seconds: list[list[float]] = [[] for _ in engines]
    for engine in engines:
        engine.embed_passages(texts[:4])  # memory and code for these shapes
    for _ in range(_ROUNDS):
        for engine, taken in zip(engines, seconds, strict=True):
            began = perf_counter()
            engine.embed_passages(texts)
            taken.append(perf_counter() - began)
    return [len(texts) / median(taken) for taken in seconds]


def _passage(engine: TokenEmbedder, sentence: str, number: int) -> str:
    """Return a passage of the usual length; no two are alike."""
    most = min(_PASSAGE_TOKENS, engine.max_tokens)
    text = f"{number} "
    while engine.count_tokens(text + sentence) <= most:
        text += sentence
    return text


if __name__ == "__main__":
    main()
