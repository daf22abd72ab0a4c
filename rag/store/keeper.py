"""Keeps the vector index equal to the ledger, whatever happened to it.

A flag in the ledger says whether the last process that wrote to Chroma also closed it.
If it did not, or if the ids differ, Chroma is probed in a child process, brought up to
date, or set aside and filled again from the ledger's vectors, without embedding anything.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rag.store.numpy_index import NumpyIndex
from rag.store.passages import LedgerPassages
from rag.types import Space

if TYPE_CHECKING:
    from rag.protocols import VectorIndex
    from rag.store.ledger import Ledger

logger = logging.getLogger(__name__)
_CLEAN = "index_clean"


def collection_name(space: Space) -> str:
    """Return the name of a space's collection."""
    return f"space-{space.id}"


def exact_index(ledger: Ledger, space: Space) -> NumpyIndex:
    """Return the reference index over the ledger's vectors. For readers, and as a stand-in."""
    return NumpyIndex.filled(LedgerPassages(ledger, space).all_vectors(), dim=space.dim)


def is_clean(ledger: Ledger, space: Space) -> bool:
    """Return whether the index on disk was closed in order and belongs to this space."""
    return ledger.meta(_CLEAN) == str(space.id)


def mark(ledger: Ledger, space: Space, *, clean: bool) -> None:
    """Remember whether the index on disk can be trusted."""
    ledger.set_meta(_CLEAN, str(space.id) if clean else None)


def open_chroma(ledger: Ledger, space: Space, folder: Path) -> VectorIndex:
    """Open the space's collection, mending or refilling it as needed. Only for the owner."""
    from rag.store.chroma_index import ChromaIndex
    from rag.store.probe import is_sound

    name = collection_name(space)
    if folder.exists() and not is_clean(ledger, space) and not is_sound(folder, collection=name):
        aside = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        logger.warning("the vector index was damaged and is set aside as %s", aside)
    mark(ledger, space, clean=False)
    index = ChromaIndex(folder, collection=name)
    _reconcile(index, LedgerPassages(ledger, space))
    return index


def _reconcile(index: VectorIndex, passages: LedgerPassages) -> None:
    have, want = index.ids(), passages.chunk_ids()
    if stray := have - want:
        index.delete(stray)
    if not (missing := want - have):
        return
    logger.info("filling the vector index: %d of %d rows", len(missing), len(want))
    for ids, rows in passages.all_vectors():
        chosen = [row for row, chunk_id in enumerate(ids) if chunk_id in missing]
        if chosen:
            index.put([ids[row] for row in chosen], rows[chosen])
