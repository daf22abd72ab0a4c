"""Who holds graphics memory, and how what lies free in pieces is given back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from rag.protocols import Share
from rag.types.hardware import GpuReading, Held, Holder

if TYPE_CHECKING:
    from rag.protocols import Allocator


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


SHARE = 0.25  # of what is reserved; chosen, not measured: there was no card to measure on
LEAST_BYTES = 512 << 20
"""Below it nothing is emptied: the next answer would take the same memory again."""


def tidy(allocator: Allocator) -> int:
    """Empty the allocator's cache where much of it lies idle; return the bytes that were idle."""
    idle = sum(_idle(share) for share in allocator.shares())
    if idle:
        allocator.empty()
    return idle


def _idle(share: Share) -> int:
    idle = share.reserved_bytes - share.allocated_bytes
    return idle if idle >= max(LEAST_BYTES, SHARE * share.reserved_bytes) else 0


_ORDER: tuple[Holder, ...] = get_args(Holder)
_MODELS: tuple[Holder, ...] = ("weights", "embedder", "reranker")


def own_first(cards: Sequence[GpuReading], shares: Sequence[Share]) -> tuple[GpuReading, ...]:
    """Return the cards with those first that this process uses, matched by UUID.

    The driver counts cards by their place on the bus, CUDA by speed, and a person may have
    hidden some from CUDA.
    """
    places = {share.uuid: place for place, share in enumerate(shares) if share.uuid}
    return tuple(sorted(cards, key=lambda c: (places.get(c.uuid or "", len(places)), c.index)))


def holders(
    cards: Sequence[GpuReading], shares: Sequence[Share], parts: Mapping[Holder, int]
) -> tuple[Held, ...]:
    """Divide the used memory of the cards that this process uses; ``cards`` own first.

    ``parts`` is what the engines know of themselves. Of the allocator's memory, what is no
    model is keys, values and what is being computed. What nobody here holds is other
    processes', with the driver's own share where that cannot be told apart.
    """
    used = {share.uuid for share in shares if share.reserved_bytes}
    ours = [card for card in cards if card.uuid in used] or list(cards[:1])
    if not ours or any(card.used_bytes is None for card in ours):
        return ()
    full = sum(card.used_bytes or 0 for card in ours)
    allocated = sum(share.allocated_bytes for share in shares)
    reserved = sum(share.reserved_bytes for share in shares)
    found: dict[Holder, int] = {name: parts.get(name, 0) for name in _MODELS}
    models = sum(found.values())
    # llama.cpp's memory is not torch's: what it tells of itself stands beside the allocator
    found["kv"] = parts.get("kv", 0) or max(0, allocated - models)
    found["cache"] = max(0, reserved - allocated)
    told = max(models + found["kv"], allocated) + found["cache"]
    own = [card.own_bytes for card in ours]
    if all(value is not None for value in own):
        found["context"] = max(0, sum(value or 0 for value in own) - told)
        told += found["context"]
    found["others"] = max(0, full - told)
    return tuple(Held(name, found[name]) for name in _ORDER if found.get(name))
