"""Keeps the vector index equal to the ledger, whatever happened to it.

A stamp in the ledger says how the last process that wrote to Chroma left its files. If it
did not close them, or if they are not as it left them, or of another version, Chroma is
probed in a child process, brought up to date, or set aside and filled again from the
ledger's vectors, without embedding anything.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rag.store.numpy_index import NumpyIndex
from rag.store.passages import LedgerPassages
from rag.types.documents import Space

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


def is_clean(ledger: Ledger, space: Space, folder: Path) -> bool:
    """Return whether the index on disk is as this program closed it, and of this space."""
    return ledger.meta(_CLEAN) == _stamp(space, folder)


def mark(ledger: Ledger, space: Space, folder: Path, *, clean: bool) -> None:
    """Remember whether the index on disk can be trusted."""
    ledger.set_meta(_CLEAN, _stamp(space, folder) if clean else None)


def _stamp(space: Space, folder: Path) -> str:
    """Name the space, Chroma's version, and every file with its size and time."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    return f"{space.id} {version('chromadb')} {digest.hexdigest()}"


def open_chroma(ledger: Ledger, space: Space, folder: Path) -> VectorIndex:
    """Open the space's collection, mending or refilling it as needed. Only for the owner."""
    from rag.store.chroma_index import ChromaIndex, delete_collections
    from rag.store.probe import is_sound

    name = collection_name(space)
    clean = is_clean(ledger, space, folder)
    if folder.exists() and not clean and not is_sound(folder, collection=name):
        aside = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        logger.warning("the vector index was damaged and is set aside as %s", aside)
    mark(ledger, space, folder, clean=False)
    if not clean and folder.exists():
        delete_collections(folder, keep={collection_name(s) for s in ledger.spaces().values()})
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
