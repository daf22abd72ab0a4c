"""SIGKILL in the middle of a sync, again and again: the next one finishes, nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rag.store.keeper import exact_index, open_chroma
from rag.store.ledger import Ledger
from rag.store.status import broken_invariants
from tests.pdfs import lines, write_pdf

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="POSIX signals")]
ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = 24
KILLS = 12


def make_folder(folder: Path) -> Path:
    for number in range(DOCUMENTS):
        pages = [lines(f"document {number} says 第{number}号 word{number}", repeat=40)] * 6
        write_pdf(folder / f"{number:02}.pdf", pages)
    write_pdf(folder / "locked.pdf", ["x"], password="pw")
    shutil.copy(folder / "00.pdf", folder / "twin.pdf")
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.killed_sync", str(folder)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, Any]:
    """Everything the library holds, without the row numbers that depend on the way there."""
    ledger = Ledger(folder / ".rag" / "library.db")
    connection = ledger.connection
    try:
        assert broken_invariants(ledger) == []
        return {
            "files": connection.execute(
                "SELECT path, size, document_id, reason FROM files ORDER BY 1"
            ).fetchall(),
            "pages": connection.execute("SELECT * FROM pages ORDER BY 1, 2").fetchall(),
            "chunks": connection.execute(
                "SELECT c.document_id, c.start, c.end, c.heading, c.digest, v.vector, f.terms"
                " FROM chunks c JOIN vectors v ON v.chunk_id = c.id"
                " JOIN fts_1 f ON f.rowid = c.id ORDER BY 1, 2"
            ).fetchall(),
        }
    finally:
        ledger.close()


def test_kills_cost_at_most_the_work_in_hand(tmp_path: Path) -> None:
    calm = make_folder(tmp_path / "calm")
    with start(calm) as process:
        assert process.wait(timeout=300) == 0
    wanted = contents(calm)
    assert len(wanted["chunks"]) > DOCUMENTS

    rough = make_folder(tmp_path / "rough")
    rolls = random.Random(7)
    committed = -1
    for _ in range(KILLS):
        process = start(rough)
        assert process.stdout is not None
        patience = rolls.randint(1, 6)
        for line in process.stdout:
            patience -= line.startswith(("embed", "write"))
            if patience <= 0 or line.startswith("finished"):
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        process.stdout.close()
        ledger = Ledger(rough / ".rag" / "library.db")
        assert broken_invariants(ledger) == []
        now = len(ledger.document_ids())
        ledger.close()
        assert now >= committed, "what was committed is never lost"
        committed = now
    assert committed > 0
    with start(rough) as process:
        assert process.wait(timeout=300) == 0
    assert contents(rough) == wanted

    ledger = Ledger(rough / ".rag" / "library.db")
    space = ledger.active_space()
    assert space is not None
    chroma = open_chroma(ledger, space, rough / ".rag" / "chroma")
    assert chroma.ids() == exact_index(ledger, space).ids()
    chroma.close()
    ledger.close()
