"""Who holds the graphics memory: the sum of what the driver, the allocator and the engines tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from rag.protocols import Share
from rag.types.hardware import GpuReading, Held, Holder

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
