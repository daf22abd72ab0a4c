"""Writes documents into a space: the one that answers, or one beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.errors import ModelError, SpaceMismatch
from rag.indexing.assembly_line import IndexEngines, Pending
from rag.indexing.incoming import ProgressMeter, Report, from_ledger
from rag.indexing.report import SyncReport
from rag.protocols import Cancelled
from rag.types.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rag.protocols import VectorIndex, Vectors
    from rag.storage.ledger import Ledger
    from rag.types.documents import IndexVersion


OpenIndex = Callable[[], "VectorIndex"]


@dataclass(frozen=True, slots=True)
class WriteContext:
    """One sync or rebuild: where it counts, whom it tells, who may stop it."""

    result: SyncReport
    report: Report
    cancelled: Cancelled


class IndexWriter:
    """Knows the engines of every space, and the vector index of the live one."""

    def __init__(
        self,
        ledger: Ledger,
        engines: Callable[[IndexVersion | None], IndexEngines],
        index: OpenIndex | None,
    ) -> None:
        """``engines(space)`` loads what the space names; ``None`` makes a new space."""
        self._ledger = ledger
        self._index = index
        self.engines = engines

    def write(
        self,
        documents: Iterable[Pending],
        total: int,
        run: WriteContext,
        *,
        spare: IndexEngines | None = None,
    ) -> None:
        """Write into the live space, or into ``spare`` where its embedder is not to be had.

        The first documents of all make the live space.
        """
        run.report(Progress("read", 0, total, "documents"))  # the engines may be minutes away
        engines = self.live(spare)
        if self._ledger.active_space() is None:
            self._ledger.activate(engines.space)
        if engines is not spare:
            self._index_all(documents, total, run, engines, self._index)
        elif self._index is not None:
            # what goes, goes from the live index; what comes into another space stays out of it
            opened = self._index
            self._index_all(documents, total, run, engines, lambda: _OnlyDeletes(opened))
        else:
            self._index_all(documents, total, run, engines, None)

    def live(self, spare: IndexEngines | None) -> IndexEngines:
        """Return the engines of the live space, else ``spare``."""
        try:
            return self.engines(self._ledger.active_space())
        except (SpaceMismatch, ModelError):
            if spare is None:
                raise
            return spare

    def complete_live(self, run: WriteContext, *, spare: IndexEngines | None = None) -> None:
        """Index what the ledger has read but the live space lacks."""
        space = self._ledger.active_space()
        if space is None:
            return
        missing = self._missing(space)
        if missing and self.live(spare) is not spare:
            self.write(from_ledger(self._ledger, missing), len(missing), run)

    def complete(self, engines: IndexEngines, run: WriteContext, *, anew: bool) -> None:
        """Index what a space beside the live one lacks; ``anew`` embeds everything again."""
        missing = self._missing(engines.space)
        documents = from_ledger(self._ledger, missing)
        self._index_all(documents, len(missing), run, engines, None, anew=anew)

    def _missing(self, space: IndexVersion) -> list[str]:
        return sorted(self._ledger.document_ids() - self._ledger.complete_documents(space))

    def _index_all(
        self,
        documents: Iterable[Pending],
        total: int,
        run: WriteContext,
        engines: IndexEngines,
        index: OpenIndex | None,
        *,
        anew: bool = False,
    ) -> None:
        # imported now: numpy takes longer than a sync that finds nothing to do
        from rag.indexing.indexer import Indexer, ReusingEmbedder

        reusing = ReusingEmbedder(engines.embedder, self._ledger)
        if not anew:
            engines = replace(engines, embedder=reusing)
        indexer = Indexer(self._ledger, engines, index=index, times=run.result.times)
        meter = ProgressMeter(run.report, total)
        for pending, passages in indexer.run(
            documents, embedded=meter.embedded, cancelled=run.cancelled
        ):
            run.result.add(pending, passages)
            meter.committed(pending)
        reusing.remember_speed()


def compare_new(ledger: Ledger) -> None:
    """Note what the documents that came in are like."""
    if ledger.unsketched():
        from rag.storage.near_duplicates import refresh  # numpy takes longer than an unchanged sync

        refresh(ledger)


class _OnlyDeletes:
    """A live index while another space is written: satisfies ``VectorIndex``, takes nothing in."""

    def __init__(self, opened: OpenIndex) -> None:
        self._opened = opened

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Leave the live index as it is."""

    def delete(self, ids: Collection[int]) -> None:
        """Remove rows."""
        self._opened().delete(ids)

    def search(self, query: object, *, k: int) -> list[tuple[int, float]]:  # noqa: ARG002
        """Find nothing; nobody asks a writer."""
        return []

    def ids(self) -> set[int]:
        """Return the ids of all rows."""
        return self._opened().ids()

    def close(self) -> None:
        """Nothing is held here."""
