"""The index that a rebuild keeps beside the one that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.types.index_version import model_name

if TYPE_CHECKING:
    from rag.store.ledger import Ledger
    from rag.types.documents import Space


@dataclass(frozen=True, slots=True)
class KeptIndex:
    """How it was made, so that a person can tell it from the present one."""

    embedder: str  # the model's name alone
    tokens: int  # of the longest passage; 0 where its cutter does not say
    passages: int
    made_at: float  # seconds since the epoch
    newer: bool  # made after the one that answers: a rebuild was rolled back


def kept_space(ledger: Ledger) -> Space | None:
    """Return the space to go back to, or forth again."""
    kept = ledger.meta("previous_space")
    return ledger.spaces().get(int(kept)) if kept else None


def kept_index(ledger: Ledger) -> KeptIndex | None:
    """Describe the index to go back to; ``None`` where there is none."""
    space, active = kept_space(ledger), ledger.active_space()
    if space is None or active is None:
        return None
    made_at = ledger.connection.execute(
        "SELECT created_at FROM spaces WHERE id = ?", (space.id,)
    ).fetchone()[0]
    parts = space.chunking.split("/")
    tokens = int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0
    return KeptIndex(
        model_name(space.embedder),
        tokens,
        ledger.chunk_count(space),
        made_at,
        newer=space.id > active.id,
    )
