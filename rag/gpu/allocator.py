"""What PyTorch's allocator holds on the cards. Reads it where torch is in use; never loads it."""

from __future__ import annotations

import sys
from typing import Any

from rag.protocols import Share


class TorchAllocator:
    """Satisfies ``rag.protocols.Allocator``."""

    def shares(self) -> list[Share]:
        """Return what is held, in CUDA's order; nothing while torch does not use a card."""
        cuda = _cuda()
        if cuda is None:
            return []
        return [
            Share(
                _uuid(cuda.get_device_properties(index)),
                int(cuda.memory_allocated(index)),
                int(cuda.memory_reserved(index)),
            )
            for index in range(cuda.device_count())
        ]

    def empty(self) -> None:
        """Give back what is kept for the next tensor."""
        cuda = _cuda()
        if cuda is not None:
            cuda.empty_cache()


def _cuda() -> Any:
    """Return torch's part for cards, if a card is in use; asking must not begin to use one."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # None as well while torch is being imported
    return cuda if cuda is not None and cuda.is_initialized() else None


def _uuid(properties: Any) -> str:
    """Return the id that the driver uses; CUDA may count the cards in another order."""
    found = str(getattr(properties, "uuid", ""))
    return found if not found or found.startswith("GPU-") else f"GPU-{found}"
