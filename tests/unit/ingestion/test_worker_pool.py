"""A page that crashes, hangs or swells costs itself, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag.errors import UnreadableDocument
from rag.ingestion.workers.pool import READER, WorkerPool
from rag.ingestion.workers.tasks import WorkerLimits
from rag.system import secrets as keyring_store
from tests import fake_readers
from tests.fake_readers import PAGES
from tests.fake_recognisers import LOCKED
from tests.pdfs import write_pdf

MakePool = Callable[..., WorkerPool]
pytestmark = pytest.mark.skipif("os.name == 'nt'", reason="POSIX signals")


@pytest.fixture
def pool_of() -> Iterator[MakePool]:
    made: list[WorkerPool] = []

    def make(reader: str, *, timeout_s: float = 60, page_s: float = 20) -> WorkerPool:
        limits = WorkerLimits(page_s=page_s, memory_mb=256)
        made.append(WorkerPool(workers=1, timeout_s=timeout_s, limits=limits, reader=reader))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def outcome(pool: WorkerPool) -> dict[int, str]:
    """Return what became of each page that was not read."""
    document = pool.read(Path("a.pdf"), document_id="d1").result()
    assert [page.number for page in document.pages] == list(range(1, PAGES + 1))
    assert all(page.text == f"page {page.number}" for page in document.pages if not page.reason)
    return {page.number: page.reason for page in document.pages if page.reason}


@pytest.mark.parametrize(
    ("reader", "lost"),
    [
        (fake_readers.CLEAN, {}),
        (fake_readers.CRASHING, {2: "page_crashed", 5: "page_crashed"}),
        (fake_readers.HANGING, {3: "page_timeout"}),
        (fake_readers.BLOATED, {4: "page_memory"}),
        (fake_readers.RAISING, {1: "page_crashed"}),
    ],
    ids=["clean", "crash", "hang", "memory", "bug"],
)
def test_only_the_page_at_fault_is_lost(
    pool_of: MakePool, reader: str, lost: dict[int, str]
) -> None:
    page_s = 0.6 if reader == fake_readers.HANGING else 20
    assert outcome(pool_of(reader, page_s=page_s)) == lost


def test_a_document_that_cannot_be_read_at_all_says_so(pool_of: MakePool) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        outcome(pool_of(fake_readers.DOOMED))
    assert caught.value.reason == "reader_crashed"


def test_a_hang_that_no_thread_can_see_ends_with_the_document_s_time(
    pool_of: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLD", "1")  # the worker's other threads stand still as well
    assert outcome(pool_of(fake_readers.HANGING, timeout_s=1.5)) == {3: "page_timeout"}


def test_a_cancel_is_honoured_within_a_page(pool_of: MakePool) -> None:
    pool = pool_of(fake_readers.HANGING)
    cancelled = threading.Event()
    threading.Timer(1.0, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(CancelledError):
        pool.read(Path("a.pdf"), document_id="d1").result(cancelled=cancelled.is_set)
    assert time.monotonic() - began < 5


def test_the_pool_goes_on_after_its_workers_have_died(pool_of: MakePool, tmp_path: Path) -> None:
    import os
    import signal

    import psutil

    pool = pool_of("rag.ingestion.pdf.reader:PdfReader")
    path = write_pdf(tmp_path / "a.pdf", ["Hello world"])
    assert pool.read(path, document_id="d1").result().pages[0].text == "Hello world"
    for child in psutil.Process().children():
        if "spawn_main" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
    for _ in range(3):  # the first may still meet the dead worker
        assert pool.read(path, document_id="d1").result().pages[0].text == "Hello world"


def test_what_a_killed_process_left_behind_is_removed_and_a_living_one_keeps_its_own(
    pool_of: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (tmp_path / "temporary").mkdir()
    left = tmp_path / "temporary" / f"ragdesk-{ended.pid}-x"
    other = tmp_path / "temporary" / f"ragdesk-{os.getppid()}-x"
    for folder in (left, other):
        folder.mkdir()
        (folder / "0").write_text("3")
    write_pdf(tmp_path / "a.pdf", ["Words."])
    document = pool_of(READER).read(tmp_path / "a.pdf", document_id="a").result()
    assert document.text.strip() == "Words."
    assert not left.exists()
    assert (other / "0").is_file()


def test_a_crash_behind_a_kept_password_costs_the_page_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["#"])
    limits = WorkerLimits(page_s=20, memory_mb=256)
    store = SimpleNamespace(get_password=lambda *_: "secret")
    monkeypatch.setattr(keyring_store, "system_store", lambda: store)
    with closing(WorkerPool(workers=1, timeout_s=60, limits=limits, recogniser=LOCKED)) as pool:
        found = pool.recognise(path, page=1).result()
    assert (found.state, found.reason) == ("empty", "ocr_failed")
