"""Work filed by one process and done by another: the command line asks, the open app does.

The process that owns the library takes queued jobs, writes their progress as it goes, and
leaves the result. A job whose owner stopped beating is given up by the one that waits.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag.errors import RagError
from rag.text.messages import Text
from rag.types.progress import Progress

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger


JobKind = Literal["sync", "rebuild", "rollback", "forget", "remember", "report"]
QUICK = ("forget", "remember", "report")
"""Done at once, beside whatever else is being done."""
_SELECT = "SELECT id, kind, argument, state, progress, result, error, heartbeat_at FROM jobs"
STALE_S = 15.0  # no heartbeat for so long: nobody is working on it
_STOPPED = json.dumps(
    {
        "en": "The program that did this stopped.",
        "zh": "执行此任务的程序已停止。",
        "hint_en": "Run the command again.",
        "hint_zh": "请重新运行该命令。",
    }
)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work and how far it is."""

    id: int
    kind: str
    argument: dict[str, Any]
    state: Literal["queued", "running", "done", "failed"]
    progress: Progress | None
    result: dict[str, Any] | None
    error: dict[str, str] | None  # {"en", "zh", "hint_en", "hint_zh"}
    heartbeat_at: float

    @property
    def stale(self) -> bool:
        """Nobody has worked on it for a while."""
        return not self.ended and time.time() - self.heartbeat_at > STALE_S

    @property
    def ended(self) -> bool:
        """It was done, or failed."""
        return self.state in {"done", "failed"}

    def outcome(self) -> dict[str, Any]:
        """Return the result of a job that has ended.

        Raises:
            RagError: it failed.
        """
        if self.error is not None:
            raise RagError(
                Text(self.error["en"], self.error["zh"]),
                hint=Text(self.error["hint_en"], self.error["hint_zh"]),
            )
        return self.result or {}


class Jobs:
    """The ledger's table of jobs."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def file(self, kind: JobKind, argument: dict[str, Any] | None = None) -> int:
        """Ask for work; return the job's id."""
        now = time.time()
        with self._ledger.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO jobs (kind, argument, state, created_at, heartbeat_at)"
                " VALUES (?, ?, 'queued', ?, ?)",
                (kind, json.dumps(argument or {}), now, now),
            )
            return int(cursor.lastrowid or 0)

    def get(self, job_id: int) -> Job:
        """Return a job as it stands."""
        row = self._ledger.connection.execute(f"{_SELECT} WHERE id = ?", (job_id,)).fetchone()
        return _job(row)

    def next_queued(self, *, quick: bool) -> Job | None:
        """Return the oldest job nobody has taken, of the quick ones or of the others."""
        row = self._ledger.connection.execute(
            f"{_SELECT} WHERE state = 'queued' AND (kind IN (?, ?, ?)) = ? ORDER BY id LIMIT 1",
            (*QUICK, quick),
        ).fetchone()
        return None if row is None else _job(row)

    def take(self, job_id: int) -> None:
        """Say that the job is being done."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'running', heartbeat_at = ? WHERE id = ?",
                (time.time(), job_id),
            )

    def beat_all(self, progress: Progress | None) -> None:
        """Say to all who wait that their job is not forgotten, and how far the work is."""
        waited_for = "state IN ('queued', 'running')"
        found = self._ledger.connection.execute(f"SELECT 1 FROM jobs WHERE {waited_for} LIMIT 1")
        if found.fetchone() is None:
            return
        with self._ledger.transaction() as connection:
            connection.execute(
                f"UPDATE jobs SET heartbeat_at = ?, progress = ? WHERE {waited_for}",
                (time.time(), json.dumps(asdict(progress) if progress else {})),
            )

    def withdraw(self, job_id: int) -> None:
        """Take a job back if nobody has begun it: nobody waits for it any more."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'failed', error = ? WHERE id = ? AND state = 'queued'",
                (_STOPPED, job_id),
            )

    def finish(self, job_id: int, result: dict[str, Any]) -> None:
        """Leave the result."""
        self._end(job_id, "done", result=json.dumps(result))

    def fail(self, job_id: int, error: RagError) -> None:
        """Leave what went wrong, in both languages."""
        what, hint = error.message, error.hint
        told = {"en": what.en, "zh": what.zh, "hint_en": hint.en, "hint_zh": hint.zh}
        self._end(job_id, "failed", error=json.dumps(told))

    def give_up(self) -> int:
        """Fail what a process left running when it died. Only the owner may call this."""
        cursor = self._ledger.connection.execute(
            "UPDATE jobs SET state = 'failed', error = ? WHERE state = 'running'", (_STOPPED,)
        )
        return cursor.rowcount

    def _end(
        self, job_id: int, state: str, *, result: str | None = None, error: str | None = None
    ) -> None:
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, result = ?, error = ?, heartbeat_at = ? WHERE id = ?",
                (state, result, error, time.time(), job_id),
            )


def _job(row: tuple[Any, ...]) -> Job:
    progress = json.loads(row[4])
    return Job(
        id=row[0],
        kind=row[1],
        argument=json.loads(row[2]),
        state=row[3],
        progress=Progress(**progress) if progress else None,
        result=json.loads(row[5]) if row[5] else None,
        error=json.loads(row[6]) if row[6] else None,
        heartbeat_at=row[7],
    )
