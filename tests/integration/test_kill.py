"""SIGKILL in the middle of a sync or rebuild, again and again: the next one finishes it.

``RAG_TEST_KILLS`` is the number of kills, if ``RAG_TEST_KILL_SECONDS`` are enough for them;
``RAG_TEST_KILL_SEED`` begins another series.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag.store.keeper import exact_index, open_chroma
from rag.store.ledger import Ledger
from rag.store.status import broken_invariants
from tests.integration.kills import contents, make_folder

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="POSIX signals")]
ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("RAG_TEST_KILLS", "10"))
SECONDS = float(os.environ.get("RAG_TEST_KILL_SECONDS", "400"))
SEED = int(os.environ.get("RAG_TEST_KILL_SEED", "7"))
CHROMA = 0.3  # of the processes keep Chroma, which takes longer to load than the work itself
SIZES = (230, 64)  # a rebuild goes from one to the other


def start(folder: Path, tokens: int, *, index: str = "chroma") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.killed_sync", str(folder), str(tokens), index],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(folder: Path, tokens: int) -> None:
    with start(folder, tokens) as process:
        assert process.wait(timeout=300) == 0


def kill_somewhere(folder: Path, tokens: int, rolls: random.Random) -> bool:
    """Kill at a random moment after work has begun; say whether there was any left to do."""
    index = "chroma" if rolls.random() < CHROMA else "numpy"
    process = start(folder, tokens, index=index)
    assert process.stdout is not None
    patience = rolls.randint(1, 8)
    finished = False
    for line in process.stdout:
        patience -= line.startswith(("embed", "write", "check", "index"))
        finished = line.startswith("finished")
        if patience <= 0 or finished:
            break
    if not finished:
        time.sleep(rolls.random() * 0.03)  # between two steps, within a transaction, anywhere
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    return not finished


def check(folder: Path) -> int:
    """Return how many documents are complete in all spaces together."""
    path = folder / ".rag" / "library.db"
    if not path.exists():
        return 0
    ledger = Ledger(path)
    assert broken_invariants(ledger) == []
    (rows,) = ledger.connection.execute("SELECT count(*) FROM space_documents").fetchone()
    (twice,) = ledger.connection.execute(
        "SELECT count(*) - count(DISTINCT space_id || ' ' || document_id || ' ' || start || ' '"
        " || end) FROM chunks"
    ).fetchone()
    assert twice == 0
    ledger.close()
    return int(rows)


def test_kills_cost_at_most_the_work_in_hand(tmp_path: Path) -> None:
    calm = make_folder(tmp_path / "calm")
    finish(calm, SIZES[0])
    wanted = contents(calm)
    finish(calm, SIZES[1])
    rebuilt = contents(calm)
    finish(calm, SIZES[0])
    assert rebuilt["chunks"] != wanted["chunks"]
    assert contents(calm) == wanted

    rough = make_folder(tmp_path / "rough")
    rolls = random.Random(SEED)
    kills = lost = done = 0
    at = 0  # first a sync into the first size, then rebuilds to and fro
    until = time.monotonic() + SECONDS
    while kills < KILLS and time.monotonic() < until:
        before = done
        struck = kill_somewhere(rough, SIZES[at % 2], rolls)
        done = check(rough)
        kills += struck
        if struck:
            lost += done < before
        else:  # it got through between two kills: what it made is what calm work makes
            assert contents(rough) == (wanted if at % 2 == 0 else rebuilt)
            at += 1
    finish(rough, SIZES[at % 2])
    assert contents(rough) == (wanted if at % 2 == 0 else rebuilt)
    assert kills >= min(KILLS, 5)
    print(f"{kills} kills, {at} rounds finished between them")
    assert lost <= at + 1, "only the swap of a rebuild drops rows: those of the space before last"

    ledger = Ledger(rough / ".rag" / "library.db")
    space = ledger.active_space()
    assert space is not None
    folder = rough / ".rag" / "chroma"
    chroma = open_chroma(ledger, space, folder)
    assert chroma.ids() == exact_index(ledger, space).ids()
    chroma.close()
    ledger.close()
