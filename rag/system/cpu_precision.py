"""Which type torch computes fastest in on this CPU, for embedding and for answering."""

from __future__ import annotations

import torch

_BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")


def cpu_dtype() -> torch.dtype:
    """Return bfloat16 where the CPU multiplies it, else float32.

    Without such units bfloat16 takes several times longer than float32; with them embedding takes
    two thirds (AVX-512) or less than half (AMX) of its time, and the vectors stay as they are
    (cosine above .9999; docs/decisions.md, "A forward pass of our own").
    """
    # asked of new versions of torch only; older ones do not tell
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if any(able.get(unit) for unit in _BFLOAT16_UNITS) else torch.float32
