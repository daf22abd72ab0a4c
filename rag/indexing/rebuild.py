"""A new index version beside the live one: filled, checked, and only then the one that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import StoreError
from rag.indexing.indexer import indexed_texts
from rag.retrieval.analyser import text_digest
from rag.storage.passages import LedgerPassages
from rag.storage.status import broken_invariants
from rag.storage.vectors.manager import exact_index
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.indexing.incoming import IndexEngines
    from rag.storage.ledger import Ledger
    from rag.types.documents import IndexVersion


SAMPLE = 24  # passages embedded again to see that they find themselves
_SAME = 0.98  # cosine of one text embedded twice; other batch shapes move it by 0.001
_TIE = 0.002  # passages of the same words may come first
_LOST_SHARE = 0.05  # of documents that had passages and have none; a new cutter may drop some


def engines_beside(
    ledger: Ledger,
    engines: Callable[[IndexVersion | None], IndexEngines],
    *,
    wanted: Callable[[IndexVersion], bool],
    everything: bool,
) -> IndexEngines:
    """Go on with an index version that an interrupted rebuild left, or begin a new one.

    An index version that has answered already is gone back to as well, unless ``everything`` is to
    be done again.
    """
    active = ledger.active_version()
    answered = ledger.meta("previous_space") if everything else None
    for version in ledger.versions().values():
        later = active is None or version.id > active.id
        if later and str(version.id) != answered and wanted(version):
            return engines(version)
    return engines(None)


def swap(ledger: Ledger, engines: IndexEngines, *, before: IndexVersion) -> None:
    """Let the new index version answer, and keep only the one before beside it.

    Raises:
        StoreError: it failed its check; it is dropped, and the old one goes on answering.
    """
    version = engines.version
    if problems := problems_of(ledger, engines, before=before):
        ledger.drop_version(version)
        raise StoreError(
            Text(
                f"The new index failed its check: {problems[0]}.",
                f"新索引未通过检查：{problems[0]}。",
            ),
            hint=Text(
                "The old index goes on answering. Run `rag doctor`, then `rag rebuild` again.",
                "旧索引继续提供服务。请运行 `rag doctor`，然后重新运行 `rag rebuild`。",
            ),
        )
    ledger.activate(version)
    for other in ledger.versions().values():
        if other.id not in {version.id, before.id}:
            ledger.drop_version(other)


def problems_of(ledger: Ledger, engines: IndexEngines, *, before: IndexVersion) -> list[str]:
    """Return why a new index version should not answer; an empty list means that it may."""
    version = engines.version
    problems = broken_invariants(ledger)
    if missing := ledger.missing_documents(version):
        problems.append(f"{len(missing)} documents are missing")
    had, has = _with_passages(ledger, before), _with_passages(ledger, version)
    lost = had - has
    if len(lost) > max(1, _LOST_SHARE * len(had)):
        problems.append(f"{len(lost)} documents lost all their passages")
    return problems or _lost_passages(ledger, engines)


def _with_passages(ledger: Ledger, version: IndexVersion) -> set[str]:
    rows = ledger.connection.execute(
        "SELECT DISTINCT document_id FROM chunks WHERE space_id = ?", (version.id,)
    )
    return {row[0] for row in rows}


def _lost_passages(ledger: Ledger, engines: IndexEngines) -> list[str]:
    """Embed some passages again: each must be what was embedded, and find itself."""
    store = LedgerPassages(ledger, engines.version)
    ids = sorted(store.chunk_ids())
    sample = ids[:: max(1, len(ids) // SAMPLE)][:SAMPLE]
    if not sample:
        return []
    found = store.passages(sample)
    if len(found) != len(sample):
        return [f"{len(sample) - len(found)} of {len(sample)} passages cannot be read"]
    texts, terms = indexed_texts(engines, [found[i].chunk for i in sample])
    digests = store.digests(sample)
    other = [i for i, text in zip(sample, texts, strict=True) if digests[i] != text_digest(text)]
    if other:
        return [f"{len(other)} of {len(sample)} passages are not what was embedded"]
    kept = store.analysed(sample)
    unsaid = [i for i, words in zip(sample, terms, strict=True) if kept.get(i) != words]
    if unsaid:
        return [f"{len(unsaid)} of {len(sample)} passages are not found by their words"]
    index = exact_index(ledger, engines.version)
    stored = dict(zip(*store.vectors({p.chunk.document_id for p in found.values()}), strict=True))
    strange = 0
    for chunk_id, row in zip(sample, engines.embedder.embed_passages(texts), strict=True):
        own = float(np.dot(stored[chunk_id], row))
        best = index.search(row, k=1)[0][1]
        strange += not (own >= _SAME and best - own <= _TIE)  # so that NaN is strange
    return [f"{strange} of {len(sample)} passages do not find themselves"] if strange else []
