"""Which engine embeds a BERT encoder on this CPU: onnxruntime in int8, or ``bert_embedder``.

A rule and no race: docs/decisions.md, "Embedding engines on a CPU, counted again". It asks
neither torch nor onnxruntime, because the engine that is not used must not be loaded.
"""

from __future__ import annotations

import platform
from pathlib import Path

_X86 = frozenset({"x86_64", "amd64"})
_TORCH_IS_AT_LEAST_LEVEL = frozenset({"amx_bf16", "avx512_bf16"})
"""With AMX int8 takes about 1.4 times as long as torch in bfloat16. With AVX-512 BF16 both are
level, and torch's vectors are closer to those of float32."""
_CPUINFO = Path("/proc/cpuinfo")


def int8_is_fast(*, machine: str = "", cpuinfo: Path | None = None) -> bool:
    """Say whether int8 is faster than torch: on x86 CPUs that do not compute in bfloat16.

    Elsewhere than on x86 it was never measured, so torch stays. Systems without ``cpuinfo`` do
    not tell of such units; int8 works there as well.
    """
    if (machine or platform.machine()).lower() not in _X86:
        return False
    try:
        told = (cpuinfo or _CPUINFO).read_text("utf-8")
    except OSError:
        return True
    return _TORCH_IS_AT_LEAST_LEVEL.isdisjoint(told.split())
