"""A library that an earlier version left in a person's folder opens, and nothing is done twice."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from tests.integration.cli.test_cli import Shell

KEPT = Path(__file__).parents[2] / "data" / "library_v1"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "knowledge"
    data = folder / ".rag"
    data.mkdir(parents=True)
    for pdf in KEPT.glob("*.pdf"):
        shutil.copyfile(pdf, folder / pdf.name)  # with another time than it was read at
    (data / "library.db").write_bytes(gzip.decompress((KEPT / "library.db.gz").read_bytes()))
    return Shell(folder)


def test_commands_that_only_read_work_before_any_sync(shell: Shell) -> None:
    assert len(shell.json("status")["documents"]) == 2
    assert shell.json("search", "monthly rent")["passages"][0]["document"] == "lease.pdf"
    assert [chat["title"] for chat in shell.json("chats", "list")["chats"]] == [
        "显存带宽是多少？",
        "What is the monthly rent?",
    ]


def test_a_sync_embeds_nothing_and_all_is_there(shell: Shell) -> None:
    synced = shell.json("sync")
    assert {kind: count for kind, count in synced["files"].items() if count} == {"unchanged": 2}
    assert synced["chunks"] == 0
    found = shell.json("search", "显存带宽")["passages"]
    assert "1008GB" in found[0]["text"]
    shown = shell.run("chats", "show", "1").stdout
    assert "950 euros" in shown
    assert "lease.pdf" in shown
    assert shell.json("status")["space"]["stale"] == 0
