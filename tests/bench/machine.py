"""What a measurement has to say about the machine it was made on; never its name."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "chromadb", "langchain-chroma", "langchain-text-splitters", "numpy", "pypdf", "pypdfium2",
    "sentence-transformers", "torch", "transformers",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Return processor, cores, memory, versions, and how busy the machine is."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "bf16_units": _bf16_units(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_average": psutil.getloadavg()[0],
    }


def _cpuinfo(key: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _bf16_units() -> bool | None:
    """Return whether the CPU multiplies bfloat16; ``None`` if the system won't say."""
    flags = _cpuinfo("flags")
    return None if flags is None else bool({"amx_bf16", "avx512_bf16"} & set(flags.split()))
