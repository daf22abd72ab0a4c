"""What a change of settings or of this program has made stale, and what mending it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rag.indexing.assembly_line import SPEED
from rag.storage.ocr_pages import outdated_pages, seconds_for
from rag.types.index_version import Stale, WantedVersion, chunking_tokens

if TYPE_CHECKING:
    from rag.indexing.report import SyncReport
    from rag.storage.ledger import Ledger
    from rag.types.documents import IndexVersion


READ_SPEED = "speed read"
"""The key of the pages per second, indexing included, in the ledger."""
_ENOUGH_S = 2.0  # a shorter run says little about the speed of the machine


def remember_speed(ledger: Ledger, result: SyncReport, seconds: float) -> None:
    """Keep how fast pages were read and indexed, for estimates."""
    pages = sum(result.pages.values())
    if seconds >= _ENOUGH_S and pages:
        ledger.set_meta(READ_SPEED, f"{pages / seconds:.3f}")


def find_stale(ledger: Ledger, fingerprint: WantedVersion) -> Stale:
    """Compare the library with what the settings would make of it today; loads no model."""
    space = ledger.active_space()
    if space is None:
        return Stale()
    read, pages = ledger.connection.execute(
        "SELECT count(DISTINCT d.id), count(p.number) FROM documents d"
        " LEFT JOIN pages p ON p.document_id = d.id WHERE d.reader != ?",
        (fingerprint.reader,),
    ).fetchone()
    speed = _number(ledger.meta(READ_SPEED))
    read_s = pages / speed if speed else None
    outdated = outdated_pages(ledger, engine=fingerprint.recogniser)
    stale = Stale(
        read=read,
        read_s=read_s,
        recognise=len(outdated),
        recognise_s=seconds_for(ledger, sum(map(len, outdated.values()))),
    )
    everything = ledger.document_ids()
    if fingerprint.matches(space):
        return replace(stale, embed=len(everything - ledger.complete_documents(space)))
    if fingerprint.embeds_like(space) and fingerprint.chunking == space.chunking:
        return replace(stale, terms=len(everything))
    left = everything - _done_beside(ledger, space, fingerprint)
    embed_s = _embed_seconds(ledger, space, fingerprint)
    if embed_s is not None and everything:
        embed_s *= len(left) / len(everything)
    return replace(stale, embed=len(left), embed_s=embed_s)


def _done_beside(ledger: Ledger, active: IndexVersion, fingerprint: WantedVersion) -> set[str]:
    """Return what an interrupted rebuild has finished already."""
    for space in ledger.spaces().values():
        if space.id > active.id and fingerprint.matches(space):
            return ledger.complete_documents(space)
    return set()


def _embed_seconds(
    ledger: Ledger, active: IndexVersion, fingerprint: WantedVersion
) -> float | None:
    """Estimate from what the machine did before; the same passages, or as many by their size."""
    speeds = {
        str(key).removeprefix(SPEED): _number(value)
        for key, value in ledger.connection.execute(
            "SELECT key, value FROM meta WHERE key LIKE ?", (f"{SPEED}%",)
        )
    }
    wanted = fingerprint.embedder.partition("@")[0]
    speed = next((s for name, s in speeds.items() if name.partition("@")[0] == wanted), None)
    if not speed:
        return None
    size, before = chunking_tokens(fingerprint.chunking), chunking_tokens(active.chunking)
    return ledger.chunk_count(active) * (before / size if size and before else 1.0) / speed


def _number(text: str | None) -> float:
    return float(text) if text else 0.0
