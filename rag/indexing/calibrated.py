"""What is known of a library by asking it about itself, and whether it is to be asked again.

It is kept in the ledger for each space: it speaks of one embedder and one way of cutting. What
asks is imported when it is needed: a sync that changes nothing should not wait for it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError, SpaceMismatch
from rag.retrieve.calibration import Calibrations, as_rows, of_rows

if TYPE_CHECKING:
    from rag.protocols import Cancelled
    from rag.retrieve.retriever import HybridRetriever
    from rag.store.ledger import Ledger
    from rag.types import Progress, Space

logger = logging.getLogger(__name__)

_GREW = 0.25  # share of passages by which a library is another one
_METHOD = 1  # another number asks every library again


def kept(ledger: Ledger, space: Space) -> Calibrations:
    """Return what is known of a space, by language; empty if it has not been asked."""
    known = _known(ledger, space)
    with suppress(TypeError):  # what another version wrote
        return of_rows(known["languages"]) if known else {}
    return {}


def keep(ledger: Ledger, space: Space, found: Calibrations) -> None:
    """Remember what has been found out about a space as it is."""
    row = {
        "method": _METHOD,
        "passages": ledger.chunk_count(space),
        "languages": as_rows(found),
    }
    ledger.set_meta(_key(space), json.dumps(row))


def is_due(ledger: Ledger, space: Space) -> bool:
    """Say whether a space has not been asked, or has changed much since."""
    passages = ledger.chunk_count(space)
    known = _known(ledger, space)
    before = known["passages"] if known else 0
    return abs(passages - before) > _GREW * before


def when_due(
    ledger: Ledger,
    retriever: Callable[[Space], HybridRetriever],
    report: Callable[[Progress], None],
    cancelled: Cancelled,
) -> None:
    """Ask the active space by a ``retriever`` of it, if it has not been asked as it is.

    What is indexed is indexed, whether its embedder is to be had just now or not: without it the
    space is asked another time.
    """
    space = ledger.active_space()
    if space is None or cancelled() or not is_due(ledger, space):
        return
    from rag.indexing.calibration import ask_all
    from rag.store.passages import LedgerPassages

    store = LedgerPassages(ledger, space)
    try:
        found = ask_all(ledger, retriever(space), store, report=report, cancelled=cancelled)
    except (ModelError, SpaceMismatch) as error:
        logger.warning("the library could not be asked about itself: %s", error)
        return
    if found is not None:
        keep(ledger, space, found)


def _key(space: Space) -> str:
    return f"calibration {space.id}"


def _known(ledger: Ledger, space: Space) -> dict[str, Any] | None:
    known: dict[str, Any] | None = json.loads(ledger.meta(_key(space)) or "null")
    return known if known and known.get("method") == _METHOD else None
