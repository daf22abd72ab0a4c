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

from rag.storage.ledger import Ledger
from rag.storage.status import broken_invariants
from rag.storage.vectors.manager import exact_index, open_chroma
from tests.eval.measure_ocr import scan
from tests.integration.indexing.kills import contents, make_folder
from tests.pdfs import lines, write_pdf

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="POSIX signals")]
ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("RAG_TEST_KILLS", "10"))
SECONDS = float(os.environ.get("RAG_TEST_KILL_SECONDS", "400"))
SEED = int(os.environ.get("RAG_TEST_KILL_SEED", "7"))
CHROMA = 0.3  # of the processes keep Chroma, which takes longer to load than the work itself
SIZES = (230, 64)  # a rebuild goes from one to the other


def start(folder: Path, tokens: int, *, index: str = "chroma") -> subprocess.Popen[str]:
    return run_module("killed_sync", str(folder), str(tokens), index)


def run_module(name: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.integration.indexing.{name}", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(folder: Path, tokens: int) -> None:
    with start(folder, tokens) as process:
        assert process.wait(timeout=300) == 0


def kill_somewhere(folder: Path, tokens: int, rolls: random.Random) -> bool:
    """Kill at a random moment after work has begun; say whether there was any left to do."""
    index = "chroma" if rolls.random() < CHROMA else "numpy"
    process = start(folder, tokens, index=index)
    steps = ("embed", "write", "check", "index")
    # between two steps, within a transaction, anywhere
    return bool(kill_after(process, rolls.randint(1, 8), steps, wait_s=rolls.random() * 0.03))


def kill_after(
    process: subprocess.Popen[str], count: int, steps: tuple[str, ...], *, wait_s: float
) -> list[str]:
    """Kill a moment after so many lines of these steps; return them, none if it finished first."""
    assert process.stdout is not None
    told: list[str] = []
    for line in process.stdout:
        if line.startswith("finished"):
            told = []
            break
        told += [line] * line.startswith(steps)
        if len(told) == count:
            time.sleep(wait_s)
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    return told


def check(folder: Path) -> int:
    """Return how many documents are complete in all index versions together."""
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
    version = ledger.active_version()
    assert version is not None
    folder = rough / ".rag" / "chroma"
    chroma = open_chroma(ledger, version, folder)
    assert chroma.ids() == exact_index(ledger, version).ids()
    chroma.close()
    ledger.close()


# ---- text recognition ----------------------------------------------------------------------

SCANS = 4
SCANNED_PAGES = 3


def make_scans(folder: Path) -> Path:
    folder.mkdir()
    for number in range(SCANS):
        words = [
            f"Scan {number}, page {page}: invoice total {page}{number}00 euro" for page in "123"
        ]
        source = write_pdf(folder / "typed.pdf", [lines(text, repeat=3) for text in words])
        scan(source, folder / f"{number}.pdf", pages=[1, 2, 3], dpi=100)
        source.unlink()
    return folder


@pytest.mark.model
def test_kills_cost_no_recognised_page(tmp_path: Path) -> None:
    """The real recogniser. What it had read before a kill is never read again."""
    calm = make_scans(tmp_path / "calm")
    with run_module("killed_recognition", str(calm)) as process:
        assert process.wait(timeout=300) == 0
    wanted = contents(calm)
    assert [page[3] for page in wanted["pages"]] == ["ocr"] * SCANS * SCANNED_PAGES

    rough = tmp_path / "rough"
    rough.mkdir()
    for file in sorted(calm.glob("*.pdf")):
        (rough / file.name).write_bytes(file.read_bytes())
    rolls = random.Random(SEED)
    read = kills = 0
    # the first line tells of no page yet, and a page takes about a second
    while told := kill_after(
        run_module("killed_recognition", str(rough)),
        rolls.randint(1, 4), ("ocr",), wait_s=rolls.random(),
    ):  # fmt: skip
        kills += 1
        assert told[0].split() == ["ocr", "0", str(SCANS * SCANNED_PAGES - read)]
        ledger = Ledger(rough / ".rag" / "library.db")
        assert broken_invariants(ledger) == []
        (now,) = ledger.connection.execute(
            "SELECT count(*) FROM pages WHERE state = 'ocr'"
        ).fetchone()
        ledger.close()
        assert now >= read
        read = now
        assert kills <= 5 * SCANS * SCANNED_PAGES, "no kill leaves anything done"
    assert kills >= 3, "the series shows nothing"
    assert contents(rough) == wanted
    print(f"{kills} kills while text was recognised")
