"""Coverage: what became of every document and page; and whether the ledger holds together.

And what a change of settings or of this program has made stale, and what mending it costs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rag.storage.database import fts_table
from rag.storage.ocr_pages import outdated_pages
from rag.types.documents import DocumentStatus, Page, PageState
from rag.types.index_version import Stale, WantedVersion, chunking_tokens

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger
    from rag.types.documents import IndexVersion


def document_statuses(ledger: Ledger, *, with_pages: bool = False) -> list[DocumentStatus]:
    """Return every document and every path that has none, sorted by path."""
    connection = ledger.connection
    counts: dict[str, dict[PageState, int]] = {}
    for document_id, state, count in connection.execute(
        "SELECT document_id, state, count(*) FROM pages GROUP BY document_id, state"
    ):
        counts.setdefault(document_id, {})[state] = int(count)
    paths: dict[str, list[str]] = {}
    waiting: dict[str, str] = {}  # why a new version of a document is not read yet
    statuses: list[DocumentStatus] = []
    for row in ledger.files().values():
        if row.document_id is not None:
            paths.setdefault(row.document_id, []).append(row.path)
            if row.reason:
                waiting[row.document_id] = row.reason
        else:
            statuses.append(DocumentStatus("", (row.path,), "", "", {}, "failed", row.reason))
    from rag.storage.near_duplicates import near_duplicates  # numpy: not for every sync

    alike = near_duplicates(ledger)
    for document_id, title, language, state, reason in connection.execute(
        "SELECT id, title, language, state, reason FROM documents"
    ):
        statuses.append(
            DocumentStatus(
                document_id,
                tuple(paths.get(document_id, ())),
                title,
                language,
                counts.get(document_id, {}),
                state,
                reason or waiting.get(document_id),
                page_states(ledger, document_id) if with_pages else (),
                tuple(paths[other][0] for other, _ in alike.get(document_id, ()) if other in paths),
            )
        )
    return sorted(statuses, key=lambda status: (status.paths, status.id))


def page_states(ledger: Ledger, document_id: str) -> tuple[Page, ...]:
    """Return a document's pages without their text."""
    rows = ledger.connection.execute(
        "SELECT number, '', label, state, reason, width, height FROM pages"
        " WHERE document_id = ? ORDER BY number",
        (document_id,),
    )
    return tuple(Page(*row) for row in rows)


def page_size(ledger: Ledger, document_id: str, number: int) -> tuple[float, float] | None:
    """Return width and height of one page in points; ``None`` if there is no such page."""
    row = ledger.connection.execute(
        "SELECT width, height FROM pages WHERE document_id = ? AND number = ?",
        (document_id, number),
    ).fetchone()
    return None if row is None else (float(row[0]), float(row[1]))


READING, RECOGNISING = "read", "ocr"
"""What the speed is kept of, beside ``embed`` with an embedder's name."""


def remember_speed(ledger: Ledger, what: str, per_second: float) -> None:
    """Keep how many pages or passages a second this machine did, for estimates."""
    ledger.set_meta(f"speed {what}", f"{per_second:.5f}")


def seconds_for(ledger: Ledger, what: str, count: float) -> float | None:
    """Return about how long so many take here; ``None`` if that was never measured."""
    speed = float(ledger.meta(f"speed {what}") or 0)
    return count / speed if speed > 0 else None


def find_stale(ledger: Ledger, wanted: WantedVersion) -> Stale:
    """Compare the library with what the settings would make of it today; loads no model."""
    version = ledger.active_version()
    if version is None:
        return Stale()
    read, pages = ledger.connection.execute(
        "SELECT count(DISTINCT d.id), count(p.number) FROM documents d"
        " LEFT JOIN pages p ON p.document_id = d.id WHERE d.reader != ?",
        (wanted.reader,),
    ).fetchone()
    outdated = outdated_pages(ledger, engine=wanted.recogniser)
    stale = Stale(
        read=read,
        read_s=seconds_for(ledger, READING, pages),
        recognise=len(outdated),
        recognise_s=seconds_for(ledger, RECOGNISING, sum(map(len, outdated.values()))),
    )
    everything = ledger.document_ids()
    if wanted.matches(version):
        return replace(stale, embed=len(ledger.missing_documents(version)))
    if wanted.embeds_like(version) and wanted.chunking == version.chunking:
        return replace(stale, terms=len(everything))
    left = everything - _done_beside(ledger, version, wanted)
    embed_s = _embed_seconds(ledger, version, wanted)
    if embed_s is not None and everything:
        embed_s *= len(left) / len(everything)
    return replace(stale, embed=len(left), embed_s=embed_s)


def _done_beside(ledger: Ledger, active: IndexVersion, wanted: WantedVersion) -> set[str]:
    """Return what an interrupted rebuild has finished already."""
    for version in ledger.versions().values():
        if version.id > active.id and wanted.matches(version):
            return ledger.complete_documents(version)
    return set()


def _embed_seconds(ledger: Ledger, active: IndexVersion, wanted: WantedVersion) -> float | None:
    """Estimate from what the machine did before; the same passages, or as many by their size."""
    known = ledger.connection.execute("SELECT key FROM meta WHERE key LIKE 'speed embed %'")
    names = [str(row[0]).removeprefix("speed ") for row in known]
    embedder = f"embed {wanted.embedder.partition('@')[0]}"
    name = next((name for name in names if name.partition("@")[0] == embedder), None)
    if name is None:
        return None
    size, before = chunking_tokens(wanted.chunking), chunking_tokens(active.chunking)
    passages = ledger.chunk_count(active) * (before / size if size and before else 1.0)
    return seconds_for(ledger, name, passages)


_CHECKS: dict[str, str] = {
    "a passage lies outside its document": """
        SELECT count(*) FROM chunks c WHERE c.start < 0 OR c.end > (
          SELECT max(p.start + length(p.text)) FROM pages p WHERE p.document_id = c.document_id)""",
    "a passage names pages its document does not have": """
        SELECT count(*) FROM chunks c
        WHERE NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = c.document_id
                          AND p.number = c.first_page)
           OR NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = c.document_id
                          AND p.number = c.last_page)""",
    "a passage has no vector": """
        SELECT count(*) FROM chunks c
        WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk_id = c.id)""",
    "a vector has the wrong length": """
        SELECT count(*) FROM vectors v JOIN chunks c ON c.id = v.chunk_id
        JOIN spaces s ON s.id = c.space_id WHERE length(v.vector) != 2 * s.dim""",
    "a passage belongs to a document that is not complete": """
        SELECT count(*) FROM chunks c WHERE NOT EXISTS (
          SELECT 1 FROM space_documents d
          WHERE d.space_id = c.space_id AND d.document_id = c.document_id)""",
    "a document has no path": """
        SELECT count(*) FROM documents d
        WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.document_id = d.id)""",
    "page numbers have gaps": """
        SELECT count(*) FROM (SELECT document_id FROM pages GROUP BY document_id
                              HAVING min(number) != 1 OR max(number) != count(*))""",
    "a page that can be searched has no text": """
        SELECT count(*) FROM pages WHERE state IN ('text', 'ocr') AND trim(text) = ''""",
    "a version that was replaced still has a path": """
        SELECT count(*) FROM superseded s JOIN files f ON f.document_id = s.document_id""",
    "the index version that answers does not exist": """
        SELECT count(*) FROM meta WHERE key = 'active_space'
        AND CAST(value AS INTEGER) NOT IN (SELECT id FROM spaces)""",
    "a document is ready although pages are missing": """
        SELECT count(*) FROM documents d WHERE d.state != 'failed'
        AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.document_id = d.id)""",
}


def broken_invariants(ledger: Ledger) -> list[str]:
    """Return what is wrong, in words with counts; an empty list means all holds."""
    connection = ledger.connection
    broken: list[str] = []
    integrity = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if integrity != "ok":
        broken.append(f"the file is damaged: {integrity}")
    foreign = connection.execute("PRAGMA foreign_key_check").fetchall()
    if foreign:
        broken.append(f"{len(foreign)} rows point at nothing")
    for what, query in _CHECKS.items():
        count = connection.execute(query).fetchone()[0]
        if count:
            broken.append(f"{what} ({count})")
    for version in ledger.versions().values():
        broken.extend(_broken_words(ledger, version.id))
    return broken


def _broken_words(ledger: Ledger, version_id: int) -> list[str]:
    table = fts_table(version_id)
    connection = ledger.connection
    missing = connection.execute(
        f"SELECT count(*) FROM chunks WHERE space_id = ? AND id NOT IN (SELECT rowid FROM {table})",
        (version_id,),
    ).fetchone()[0]
    stray = connection.execute(
        f"SELECT count(*) FROM {table} WHERE rowid NOT IN"
        " (SELECT id FROM chunks WHERE space_id = ?)",
        (version_id,),
    ).fetchone()[0]
    broken = []
    if missing:
        broken.append(f"a passage is not in the word index ({missing})")
    if stray:
        broken.append(f"the word index holds passages that are gone ({stray})")
    return broken
