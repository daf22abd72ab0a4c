"""What a sync or rebuild did, and how it is told to people and scripts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rag.indexing.incoming import Pending, StageTimes
from rag.system.process import peak_bytes
from rag.text.reasons import reason_text
from rag.types.documents import NOTHING_TO_READ, PAGE_STATES, SEARCHABLE, Page, PageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.indexing.sync_plan import SyncPlan
    from rag.storage.ledger import DocumentRow, Ledger


KINDS = ("added", "updated", "moved", "removed", "unchanged", "duplicate")


@dataclass(slots=True)
class SyncReport:
    """Counts of one run, over all its looks at the folder.

    ``pages`` counts the pages that this run read, ``waiting`` names the files that were still
    growing at the last look.
    """

    times: StageTimes
    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    failed: list[dict[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    pages: dict[PageState, int] = field(default_factory=lambda: dict.fromkeys(PAGE_STATES, 0))
    chunks: int = 0
    seconds: float = 0.0
    gaps: int = 0  # files and pages of the whole library that cannot be searched

    def count(self, plan: SyncPlan) -> None:
        """Take the plan's numbers; files that fail are counted when they have failed."""
        counts = {
            "added": len(plan.added),
            "updated": len(plan.updated),
            "moved": len(plan.moved),
            "removed": plan.gone - len(plan.moved),
            "unchanged": len(plan.unchanged) + len(plan.forgotten),
            "duplicate": len(plan.duplicate),
        }
        for kind, count in counts.items():
            self.files[kind] += count
        self.failed += [_failure(file.path, file.reason or "") for file in plan.refused]
        self.waiting = [file.path for file in plan.growing]
        self._kinds |= {
            file.path: kind
            for kind in ("added", "updated", "duplicate")
            for file in getattr(plan, kind)
        }

    _kinds: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def add(self, pending: Pending, passages: int) -> None:
        """Count a document that has just been committed."""
        self.chunks += passages
        if pending.row is None:
            return
        self._read.add(pending.document.id)
        for page in pending.document.pages:
            self.pages[page.state] += 1
        if pending.row.state == "failed":
            for file in pending.row.files:
                if file.path in self._kinds:
                    self.files[self._kinds[file.path]] -= 1
                self.failed.append(_failure(file.path, pending.row.reason or ""))

    def recognised(
        self, row: DocumentRow, changes: Sequence[tuple[Page, Page]], *, passages: int
    ) -> None:
        """Count a document whose pages text recognition has read, as they were and are."""
        self.chunks += passages
        for before, after in changes:
            if row.document.id in self._read:
                self.pages[before.state] -= 1
            self.pages[after.state] += 1
        paths = {file.path for file in row.files}
        told = [failure for failure in self.failed if failure["path"] in paths]
        if row.state != "failed" and told:  # it was a scan, and is none any more
            self.failed = [failure for failure in self.failed if failure not in told]
            for path in paths & self._kinds.keys():
                self.files[self._kinds[path]] += 1

    def take(self, other: SyncReport) -> None:
        """Count what went on with the same work after something else."""
        for state, count in other.pages.items():
            self.pages[state] += count
        self.chunks += other.chunks
        self.times.ocr_s += other.times.ocr_s
        self.seconds += other.seconds
        self.gaps = other.gaps

    def finish(self, ledger: Ledger, *, seconds: float) -> SyncReport:
        """Look at the library as it is now."""
        self.seconds = seconds
        self.gaps = count_gaps(ledger)
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {
            "files": {**self.files, "failed": self.failed},
            "waiting": self.waiting,
            "pages": dict(self.pages),
            "chunks": self.chunks,
            "seconds": round(self.seconds, 3),
            "stages": {key: round(value, 3) for key, value in asdict(self.times).items()},
            "peak_rss_bytes": peak_bytes(),
            "gaps": self.gaps,
        }


def _failure(path: str, code: str) -> dict[str, str]:
    return {"path": path, "reason": reason_text(code, "en"), "code": code}


def count_gaps(ledger: Ledger) -> int:
    """Return how many files and pages cannot be searched although they hold something."""
    files = sum(
        1
        for row in ledger.files().values()
        if row.document_id is None and row.reason != "forgotten"
    )
    failed = ledger.connection.execute(
        "SELECT count(*) FROM documents WHERE state = 'failed'"
    ).fetchone()[0]
    nothing = ",".join(f"'{reason}'" for reason in sorted(NOTHING_TO_READ))
    states = ",".join(f"'{state}'" for state in sorted(SEARCHABLE))
    pages = ledger.connection.execute(
        f"SELECT count(*) FROM pages WHERE state NOT IN ({states})"  # noqa: S608 - our own words
        f" AND reason NOT IN ({nothing})"
    ).fetchone()[0]
    return files + int(failed) + int(pages)
