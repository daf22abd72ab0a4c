"""The ledger's table of evaluation runs: what was measured, with which settings.

A run is written once and never changed, also while another process owns the library: it
touches no document.
"""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from rag.storage.ledger import Ledger


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One run, without what became of each question."""

    id: int
    at: float  # seconds since the epoch
    name: str  # given by the person, or ""
    source: str  # the folder or file that was measured, "own" for the person's own documents
    settings: dict[str, Any]
    sets: tuple[str, ...]


def put_evaluation(
    ledger: Ledger,
    row: EvaluationRow,
    body: dict[str, Any],
    questions: Iterable[tuple[str, dict[str, Any]]] = (),
) -> int:
    """Keep a run; return its number. The row's own number and time are not looked at.

    ``questions`` are those that were made from documents, each with its document's id: they
    quote it, so they are forgotten with it.
    """
    packed = zlib.compress(json.dumps(body, ensure_ascii=False).encode())
    settings, sets = json.dumps(row.settings, ensure_ascii=False), json.dumps(row.sets)
    with ledger.transaction() as connection:
        cursor = connection.execute(
            "INSERT INTO evaluations (at, name, source, settings, sets, body)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), row.name, row.source, settings, sets, packed),
        )
        number = int(cursor.lastrowid or 0)
        connection.executemany(
            "INSERT INTO evaluation_questions VALUES (?, ?, ?)",
            [(number, owner, json.dumps(q, ensure_ascii=False)) for owner, q in questions],
        )
        return number


def list_evaluations(ledger: Ledger, source: str) -> list[EvaluationRow]:
    """Return the runs over one source, the latest first."""
    rows = ledger.connection.execute(
        "SELECT id, at, name, source, settings, sets FROM evaluations WHERE source = ?"
        " ORDER BY id DESC",
        (source,),
    )
    return [_row(row) for row in rows]


def evaluation_body(ledger: Ledger, number: int) -> dict[str, Any]:
    """Return what became of each question of a run."""
    packed = ledger.connection.execute(
        "SELECT body FROM evaluations WHERE id = ?", (number,)
    ).fetchone()[0]
    body: dict[str, Any] = json.loads(zlib.decompress(packed))
    return body


def evaluation_questions(ledger: Ledger, number: int) -> list[dict[str, Any]]:
    """Return the questions of a run that were made from documents that are still there."""
    rows = ledger.connection.execute(
        "SELECT question FROM evaluation_questions WHERE evaluation_id = ? ORDER BY rowid",
        (number,),
    )
    return [json.loads(row[0]) for row in rows]


def _row(row: sqlite3.Row | tuple[Any, ...]) -> EvaluationRow:
    number, at, name, source, settings, sets = row
    return EvaluationRow(number, at, name, source, json.loads(settings), tuple(json.loads(sets)))
