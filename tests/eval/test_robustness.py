"""Odd files from other projects' bug reports: each ends with its text or a reason, in time."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from rag.app import wiring
from rag.app.container import Container
from rag.errors import UnreadableDocument
from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.tasks import WorkerLimits
from rag.storage.status import broken_invariants, document_statuses
from rag.storage.vectors.manager import VectorIndexManager
from rag.text.reasons import reasons
from rag.types.documents import PAGE_STATES, SEARCHABLE
from tests.factories import settings
from tests.pdfs import write_pdf

pytestmark = pytest.mark.eval
LIMIT_S = 10
TEXT_NOBODY_SEES = {
    "pdfjs__issue20232.pdf",  # Cyrillic on the page, Hangul in the text
    "pdfjs__bug1151216.pdf",  # "$300 for 1" on the page, control characters in the text
    "pdfjs__issue2833.pdf",  # private use characters
    "pdfjs__issue4684.pdf",  # a font without outlines: the page is white
}


@pytest.fixture(scope="module")
def odd_files(eval_sets: Path) -> list[Path]:
    return sorted((eval_sets / "robustness" / "files").glob("*.pdf"))


def unexplained(pool: WorkerPool, path: Path) -> list[object]:
    """Return the reasons and pages that nobody would understand."""
    try:
        pages = pool.read(path, document_id="d").result().pages
    except UnreadableDocument as error:
        return [error.reason] if error.reason not in reasons() else []
    odd = [p for p in pages if not (p.text if p.state in SEARCHABLE else p.reason in reasons())]
    return [*odd] if pages else ["no pages"]


def test_every_odd_file_ends_in_time_with_its_text_or_a_reason(odd_files: list[Path]) -> None:
    pool = WorkerPool(workers=1, timeout_s=60, limits=WorkerLimits(page_s=8, memory_mb=2048))
    seconds: dict[str, float] = {}
    try:
        pool.read(odd_files[0], document_id="d").cancel()  # starts the worker
        for path in odd_files:
            began = time.monotonic()
            why = unexplained(pool, path)
            assert why == [], path.name
            seconds[path.name] = time.monotonic() - began
    finally:
        pool.close()
    assert len(seconds) >= 100
    assert {name: s for name, s in seconds.items() if s > LIMIT_S} == {}


def test_good_files_of_the_same_batch_are_indexed(
    odd_files: list[Path], eval_sets: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "knowledge"
    for path in odd_files:
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder / path.name)
    for letter in "amz":  # before, among and after the others
        write_pdf(folder / f"{letter}-good.pdf", [f"goodword{letter} stands here"])
    chosen = settings(folder, RAGDESK_RETRIEVE__INDEX="numpy", RAGDESK_INGEST__WORKERS="2")
    container = Container(chosen)
    ledger = container.ledger()
    index = VectorIndexManager(ledger, chosen.data / "chroma", engine="numpy")
    try:
        report = wiring.library(container, ledger, index=index).sync()
        assert broken_invariants(ledger) == []
        statuses = {path: s for s in document_statuses(ledger) for path in s.paths}
        assert len(statuses) == len(odd_files) + 3
        for name, status in statuses.items():
            assert status.state == "ready" or status.reason in reasons(), name
            assert sum(status.pages[s] for s in PAGE_STATES if s in status.pages) or status.reason
        assert all(statuses[f"{letter}-good.pdf"].state == "ready" for letter in "amz")
        refused = {one["path"] for one in report.failed}
        locked = eval_sets / "robustness" / "files.jsonl"
        rows = [json.loads(line) for line in locked.read_text("utf-8").splitlines()]
        opens = {row["file"] for row in rows if row["pdfium_5_15_2"]["chars_first_10_pages"]}
        assert opens & refused <= TEXT_NOBODY_SEES, "what PDFium reads is read"
    finally:
        index.close()
        container.close()
        ledger.close()
