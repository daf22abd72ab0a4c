"""A passage cut out of a table brings the rest of its table, so that no row is cut off.

What it costs and brings is in docs/decisions.md, "The rest of a table".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rag.types.answers import Neighbour, Passage


REACH = 3
"""Passages that are added on either side, at most."""


class NeighbourStore(Protocol):
    """Knows what stands beside a passage in its document."""

    def neighbours(self, chunk_id: int, *, reach: int) -> tuple[list[Neighbour], list[Neighbour]]:
        """Return up to ``reach`` passages before and after it, nearest first."""
        ...

    def stretched(self, passage: Passage, *, first: int, last: int) -> Passage:
        """Return the passage from the beginning of one of its document to the end of another."""
        ...


def with_whole_tables(passages: Sequence[Passage], store: NeighbourStore) -> tuple[Passage, ...]:
    """Return the passages, each with the rest of the table in which it begins or ends.

    No text comes twice: a passage that is shown itself is not added to another.
    """
    taken = {passage.id for passage in passages}
    found = []
    for passage in passages:
        before, after = store.neighbours(passage.id, reach=REACH)
        first = _reached(_up(passage, before), passage.id, taken)
        last = _reached(_down(after), passage.id, taken)
        if first == last:
            found.append(passage)
        else:
            found.append(store.stretched(passage, first=first, last=last))
    return tuple(found)


def _up(passage: Passage, before: Sequence[Neighbour]) -> list[int]:
    """Return the neighbours up to the one in which the table begins, nearest first."""
    ids = []
    context = passage.chunk.context
    for neighbour in before:
        if not context:
            break
        ids.append(neighbour.id)
        if neighbour.context != context:  # the table begins in it
            break
    return ids


def _down(after: Sequence[Neighbour]) -> list[int]:
    """Return the neighbours that begin inside the passage's last table, nearest first."""
    ids: list[int] = []
    for neighbour in after:
        if not neighbour.context or (ids and neighbour.context != after[0].context):
            break
        ids.append(neighbour.id)
    return ids


def _reached(ids: Sequence[int], start: int, taken: set[int]) -> int:
    """Return how far one can go without meeting a passage that is there already."""
    reached = start
    for neighbour in ids:
        if neighbour in taken:
            break
        taken.add(neighbour)
        reached = neighbour
    return reached
