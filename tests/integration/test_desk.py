"""The running app without its screen: watching, syncing, answering, doing others' jobs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.desk import Desk
from rag.errors import LibraryBusy, UnknownDocument
from rag.store.jobs import Jobs
from rag.store.ledger import Ledger
from rag.types import Delta, Finished, Retrieved
from tests.factories import settings
from tests.pdfs import write_pdf


def until(done: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for the background; a bound, not a guess at how long it takes."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "the background did not get there"
        time.sleep(0.02)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "lease.pdf", ["The monthly rent is 950 euros.", "Pets are not allowed."])
    made = Desk.open(settings(folder))
    yield made
    made.close()


def names(desk: Desk) -> list[str]:
    return [path for document in desk.documents() for path in document.paths]


def test_opening_loads_nothing_and_starting_does_the_rest(desk: Desk) -> None:
    assert desk.state().model_state == "none"
    assert desk.documents() == []
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    assert desk.state().model_name == "echo"
    assert desk.state().memory.process_bytes > 0
    assert desk.state().memory.ram_total_bytes > 0


def test_a_question_is_answered_with_boxes_on_the_page(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    events = list(desk.ask("What is the monthly rent?", cancelled=lambda: False))
    assert isinstance(events[0], Retrieved)
    assert any(isinstance(event, Delta) for event in events)
    assert isinstance(events[-1], Finished)
    answer = events[-1].answer
    evidence = answer.sentences[0].evidence[0]
    assert (evidence.document, evidence.page) == ("lease.pdf", 1)
    assert evidence.boxes
    assert desk.state().last_usage == answer.usage
    image = desk.page_image(answer.passages[0].chunk.document_id, page=1, width=300)
    assert image.startswith(b"\x89PNG")


def test_a_file_copied_into_the_folder_is_found_within_seconds(desk: Desk, tmp_path: Path) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    revision = desk.state().documents_revision
    new = write_pdf(tmp_path / "new.pdf", ["The deposit is two months."])
    shutil.copy(new, desk.settings.knowledge / "new.pdf")
    until(lambda: names(desk) == ["lease.pdf", "new.pdf"], seconds=20)
    assert desk.state().documents_revision > revision
    (desk.settings.knowledge / "lease.pdf").unlink()
    until(lambda: names(desk) == ["new.pdf"], seconds=20)


def test_dropped_files_land_under_safe_names_and_never_over_another(
    desk: Desk, tmp_path: Path
) -> None:
    new = write_pdf(tmp_path / "up1", ["The deposit is two months."])
    text = tmp_path / "up2"
    text.write_text("hello")
    lease = desk.settings.knowledge / "lease.pdf"
    kept = lease.read_bytes()
    added = desk.add_files(
        [
            ("../../lease.pdf", new),
            ("lease.pdf", lease),
            ("notes.txt", text),
            ("fake.pdf", text),
            ("合同（最终版）.pdf", new),
        ]
    )
    assert [a.path for a in added] == [
        "lease (2).pdf", "lease.pdf", None, None, "合同（最终版）.pdf",
    ]  # fmt: skip
    assert lease.read_bytes() == kept
    assert all(a.note for a in added[:4])
    assert not list(desk.settings.knowledge.glob(".*.part"))
    assert not (desk.settings.knowledge.parent / "lease.pdf").exists()


def test_a_second_owner_is_told_who_has_the_library(desk: Desk) -> None:
    with pytest.raises(LibraryBusy, match="pid"):
        Desk.open(desk.settings)


def test_a_job_filed_by_another_process_is_done(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    other = Ledger(desk.settings.data / "library.db")
    jobs = Jobs(other)
    sync = jobs.file("sync")
    until(lambda: jobs.get(sync).state == "done")
    result = jobs.get(sync).result
    assert result is not None
    assert result["files"]["unchanged"] == 1
    forget = jobs.file("forget", {"path": "lease.pdf"})
    until(lambda: jobs.get(forget).state == "done")
    assert desk.documents()[0].reason == "forgotten"
    wrong = jobs.file("forget", {"path": "no.pdf"})
    until(lambda: jobs.get(wrong).state == "failed")
    error = jobs.get(wrong).error
    assert error is not None
    assert "no.pdf" in error["zh"]
    assert json.dumps(error)
    other.close()


def test_unknown_pages_are_refused(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    (document,) = desk.documents()
    with pytest.raises(UnknownDocument):
        desk.page_image(document.id, page=99, width=100)
    with pytest.raises(UnknownDocument):
        desk.page_size("f" * 64, 1)
