"""A collection's texts as documents of a ledger, so that they are searched as PDFs are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from rag.indexing.incoming import document_row
from rag.indexing.indexer import Indexer
from rag.indexing.work import Pending, StageTimes
from rag.store.rows import FileRow
from rag.types import Document, Page, Progress

if TYPE_CHECKING:
    from rag.evaluation.collections import Item
    from rag.indexing.work import SpaceEngines
    from rag.store.ledger import Ledger


def index_texts(
    ledger: Ledger,
    engines: SpaceEngines,
    items: Iterable[Item],
    *,
    report: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> dict[str, str]:
    """Index what is not there yet; return the item's id for each document's id.

    What an earlier, interrupted run has indexed is not done again.
    """
    item_of = {_identity(item): item for item in items}
    done = ledger.complete_documents(engines.space)
    missing = [identity for identity in item_of if identity not in done]
    indexer = Indexer(ledger, engines, index=None, times=StageTimes())
    run = indexer.run(_pending(missing, item_of), embedded=lambda *_: None, cancelled=cancelled)
    for finished, _ in enumerate(run, start=1):
        report(Progress("embed", finished, len(missing), "texts"))
    return {identity: item.id for identity, item in item_of.items()}


def _identity(item: Item) -> str:
    return sha256(f"{item.id}\0{item.title}\0{item.text}".encode()).hexdigest()


def _pending(identities: Iterable[str], item_of: dict[str, Item]) -> Iterator[Pending]:
    for identity in identities:
        item = item_of[identity]
        document = Document(identity, item.title, (Page(1, item.text),))
        file = FileRow(item.id, len(item.text), 0, identity)
        yield Pending(document, document_row(document, [file]))
