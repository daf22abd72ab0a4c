"""A disk that fills up, a folder that cannot be written: clear words, no corruption, go on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import StoreError
from rag.storage.ledger import Ledger
from rag.storage.lock import LibraryLock
from rag.storage.status import broken_invariants
from tests.integration.cli.test_cli import Shell
from tests.integration.indexing.kills import contents
from tests.integration.indexing.test_folder import ordinary_user
from tests.pdfs import lines, write_pdf

pytestmark = pytest.mark.skipif(os.name == "nt", reason="mounts and permissions of POSIX")
DOCUMENTS = 30


def fill(folder: Path) -> None:
    for number in range(DOCUMENTS):
        pages = [lines(f"document {number} page {page} says word{number}", repeat=40)
                 for page in range(6)]  # fmt: skip
        write_pdf(folder / f"{number:02}.pdf", pages)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 12 MB; needs root, which continuous integration has."""
    place = Path(tempfile.mkdtemp(prefix="ragdesk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        place.rmdir()
        pytest.skip("only root may mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)
    place.rmdir()


def leave(place: Path, room: int) -> Path:
    """Fill the disk so that ``room`` bytes are left."""
    ballast = place / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        file.write(b"x" * (shutil.disk_usage(place).free - room))
    return ballast


@pytest.mark.slow
@pytest.mark.parametrize("index", ["numpy", "chroma"])
def test_a_disk_that_fills_up_costs_nothing_but_time(
    small_disk: Path, tmp_path: Path, index: str
) -> None:
    folder = small_disk / "knowledge"
    fill(folder)
    calm = tmp_path / "calm"
    shutil.copytree(folder, calm)
    for file in folder.glob("*.pdf"):
        shutil.copystat(calm / file.name, file)
    undisturbed = Shell(calm)
    undisturbed.environment["RAGDESK_RETRIEVE__INDEX"] = index
    undisturbed.json("sync")
    wanted = contents(calm)

    shell = Shell(folder)
    shell.environment["RAGDESK_RETRIEVE__INDEX"] = index
    told = done = 0
    for room in (0, 150_000, 400_000, 800_000, 1_200_000, 1_800_000, 2_600_000):
        ballast = leave(small_disk, room)
        run = shell.run("sync")
        assert "Traceback" not in run.stderr, run.stderr
        if run.returncode:
            assert "no room left" in run.stderr, run.stderr
            assert "Make room and sync again" in run.stderr
            told += 1
        ballast.unlink()
        if (folder / ".rag" / "library.db").exists():
            ledger = Ledger(folder / ".rag" / "library.db")
            assert broken_invariants(ledger) == []
            now = len(ledger.document_ids())
            ledger.close()
            assert now >= done, "what was indexed is kept"
            done = now
    assert told >= 3
    assert shell.json("sync")["seconds"] > 0
    assert contents(folder) == wanted
    assert shell.json("search", "word17")["passages"][0]["document"] == "17.pdf"


def test_a_file_that_may_not_grow_stops_the_sync_and_nothing_else(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "knowledge")
    fill(shell.folder)
    command = " ".join(["ulimit -f 300;", "exec", "python", "-m", "rag", "sync"])
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=shell.environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    ledger = Ledger(shell.folder / ".rag" / "library.db")
    assert broken_invariants(ledger) == []
    ledger.close()
    assert shell.json("sync")["gaps"] == 0
    assert len(shell.json("status")["documents"]) == DOCUMENTS


def test_a_folder_that_cannot_be_written_says_so() -> None:
    base = Path(tempfile.mkdtemp(prefix="ragdesk-"))
    base.chmod(0o755)
    folder = base / "knowledge"
    write_pdf(folder / "a.pdf", ["alpha"])
    folder.chmod(0o555)
    try:
        with ordinary_user(base), pytest.raises(StoreError, match="cannot be written") as told:
            LibraryLock(folder / ".rag")
        assert "copy the PDFs" in told.value.hint.en
        assert "只" in told.value.message.zh or "不可写" in told.value.message.zh
    finally:
        folder.chmod(0o755)
        shutil.rmtree(base)


def test_a_library_that_became_read_only_still_answers_and_says_why_it_does_not_sync() -> None:
    base = Path(tempfile.mkdtemp(prefix="ragdesk-"))
    base.chmod(0o755)
    folder = base / "knowledge"
    write_pdf(folder / "a.pdf", ["alpha says hello"])
    shell = Shell(folder)
    try:
        shell.json("sync")
        with ordinary_user(base):
            for path in (folder / ".rag", folder):
                path.chmod(0o555)
            for path in (folder / ".rag").iterdir():
                if path.is_file():
                    path.chmod(0o444)
            assert os.geteuid() != 0
            with pytest.raises(StoreError, match="cannot be written"):
                LibraryLock(folder / ".rag")
            ledger = Ledger(folder / ".rag" / "library.db", read_only=True)
            assert len(ledger.document_ids()) == 1
            ledger.close()
    finally:
        for path in [base, *base.rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(base)
