"""Gives memory back that the allocator keeps in pieces too small to use. Between questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.protocols import Allocator, Share

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
