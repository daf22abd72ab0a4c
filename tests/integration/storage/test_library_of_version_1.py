"""A library that an earlier version left in a person's folder opens, and nothing is done twice."""

from __future__ import annotations

import gzip
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from tests.inside import Inside

pytestmark = pytest.mark.usefixtures("shared_workers")

KEPT = Path(__file__).parents[2] / "data" / "library_v1"


@pytest.fixture
def shell(tmp_path: Path) -> Inside:
    folder = tmp_path / "knowledge"
    data = folder / ".rag"
    data.mkdir(parents=True)
    for pdf in KEPT.glob("*.pdf"):
        shutil.copyfile(pdf, folder / pdf.name)  # with another time than it was read at
    (data / "library.db").write_bytes(gzip.decompress((KEPT / "library.db.gz").read_bytes()))
    return Inside(folder)


def library(shell: Inside) -> dict[str, str]:
    """Return checksums of all that is beside the database, without what SQLite notes readers in."""
    files = [path for path in (shell.folder / ".rag").rglob("*") if path.is_file()]
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.suffix != ".db-shm" and path.stat().st_size
    }


def test_commands_that_only_read_work_before_any_sync(shell: Inside) -> None:
    before = library(shell)
    assert len(shell.json("status")["documents"]) == 2
    assert shell.json("search", "monthly rent")["passages"][0]["document"] == "lease.pdf"
    assert [chat["title"] for chat in shell.json("chats", "list")["chats"]] == [
        "显存带宽是多少？",
        "What is the monthly rent?",
    ]
    assert "950 euros" in shell.run("chats", "export", "1").stdout
    assert "950" in shell.json("ask", "What is the monthly rent?")["answer"]
    assert shell.json("ask", "How many documents do I have?")["source"] == "library"
    assert shell.run("why", "What is the monthly rent?", "It is 950 euros.").returncode == 0
    assert shell.run("doctor").returncode == 0
    assert shell.json("eval", "--own", "--runs")["runs"] == []
    assert library(shell) == before


def test_a_sync_embeds_nothing_and_all_is_there(shell: Inside) -> None:
    synced = shell.json("sync")
    assert {kind: count for kind, count in synced["files"].items() if count} == {"unchanged": 2}
    assert synced["chunks"] == 0
    found = shell.json("search", "显存带宽")["passages"]
    assert "1008GB" in found[0]["text"]
    shown = shell.run("chats", "show", "1").stdout
    assert "950 euros" in shown
    assert "lease.pdf" in shown
    assert shell.json("status")["space"]["stale"] == 0
