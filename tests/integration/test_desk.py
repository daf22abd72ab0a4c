"""The running app without its screen: watching, syncing, answering, doing others' jobs."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rag.answering.explain.values import Asked
from rag.app.app import Desk
from rag.errors import LibraryBusy, RagError, StoreError, UnknownDocument
from rag.generation.echo import EchoGenerator
from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.watchdog import Limits
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.jobs import Jobs
from rag.storage.ledger import Ledger
from rag.types.answers import Delta, Draft, Finished, Message, Retrieved
from tests.factories import settings
from tests.fake_recognisers import OBEDIENT
from tests.integration.test_cli import Shell
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


def test_what_is_typed_is_read_ahead_as_it_will_be_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[Any] = []
    asked: list[Any] = []
    stream = EchoGenerator.stream

    def prepare(self: EchoGenerator, messages: Any, *, cancelled: Any) -> None:
        ahead.append(messages)

    def streamed(self: EchoGenerator, messages: Any, **options: Any) -> Any:
        asked.append(messages)
        return stream(self, messages, **options)

    monkeypatch.setattr(EchoGenerator, "prepare", prepare)
    monkeypatch.setattr(EchoGenerator, "stream", streamed)
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    talk = (Message("user", "Are pets allowed?"), Message("assistant", "They are not."))
    question = "What is the monthly rent?"
    desk.typed(Draft(question, history=talk))
    until(lambda: ahead)
    until(lambda: not desk.state().reading_ahead)
    list(desk.ask(question, history=talk, cancelled=lambda: False))
    assert ahead == asked
    desk.typed(Draft("Summarise lease.pdf", mode="whole"))  # read in steps: nothing to know yet
    desk.typed(Draft("Does Jupiter have rings?"))  # refused without the model
    desk.typed(Draft("Are pets allowed?"))
    until(lambda: len(ahead) > 1)
    assert "Are pets allowed?" in ahead[-1][-1].content


def test_a_part_that_fails_in_the_background_is_shown_and_the_app_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(self: EchoGenerator, messages: Any, *, cancelled: Any) -> None:
        raise KeyError("a bug of an engine")

    monkeypatch.setattr(EchoGenerator, "prepare", prepare)
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    assert desk.state().failures == ()
    desk.typed(Draft("What is the monthly rent?"))
    until(lambda: desk.state().failures)
    (failure,) = desk.state().failures
    assert "Reading ahead failed" in failure.en
    assert "a bug of an engine" in failure.en
    *_, done = desk.ask("What is the monthly rent?", cancelled=lambda: False)
    assert isinstance(done, Finished)
    assert "950" in done.answer.text


def test_a_follow_up_over_the_same_passages_begins_as_the_prompt_before_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    stream = EchoGenerator.stream

    def streamed(self: EchoGenerator, messages: Any, **options: Any) -> Any:
        asked.append(messages)
        return stream(self, messages, **options)

    monkeypatch.setattr(EchoGenerator, "stream", streamed)
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    first, second = "What is the monthly rent?", "What is the monthly rent of pets?"
    *_, done = desk.ask(first, cancelled=lambda: False)
    assert isinstance(done, Finished)
    talk = [Message("user", first), Message("assistant", done.answer.text)]
    *_, last = desk.ask(second, history=talk, cancelled=lambda: False)
    assert isinstance(last, Finished)
    assert {p.id for p in done.answer.passages} == {p.id for p in last.answer.passages}
    assert asked[1][:3] == [*asked[0], talk[1]]


def test_only_the_first_question_pays_for_what_all_have_in_common(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    embedded: list[str] = []
    embed = HashingEmbedder.embed_query

    def counted(self: HashingEmbedder, text: str) -> Any:
        embedded.append(text)
        return embed(self, text)

    monkeypatch.setattr(HashingEmbedder, "embed_query", counted)
    counts = []
    for question in ("What is the monthly rent?", "Are pets allowed?"):
        before = len(embedded)
        list(desk.ask(question, cancelled=lambda: False))
        counts.append(len(embedded) - before)
    assert counts[0] > counts[1] == 1


def test_the_open_app_says_what_became_of_a_sentence(desk: Desk) -> None:
    with pytest.raises(StoreError):
        desk.why(Asked("What is the rent?", "The monthly rent is 950 euros."))
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    found = desk.why(Asked("What is the monthly rent?", "The monthly rent is 950 euros."))
    assert found.outcome.code == "prompt"
    assert [step.stage for step in found.steps][-2:] == ["gate", "budget"], "the model counts"
    before = (Message("user", "What is the monthly rent?"),)
    followed = desk.why(Asked("And its amount?", "The monthly rent is 950 euros.", history=before))
    assert followed.outcome.code == "prompt"


def test_a_follow_up_is_searched_with_what_was_asked_before(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    before = [Message("user", "What is the monthly rent?"), Message("assistant", "950 euros.")]
    events = list(desk.ask("And how is it paid?", history=before, cancelled=lambda: False))
    first = events[0]
    assert isinstance(first, Retrieved)
    assert first.searched == "What is the monthly rent, how is it paid?"
    assert first.passages[0].chunk.first_page == 1


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


@pytest.mark.slow
def test_a_report_asked_for_on_the_command_line_is_that_of_the_open_app(
    desk: Desk, tmp_path: Path
) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"] and desk.state().model_state == "ready")
    *_, last = desk.ask("What is the monthly rent?", cancelled=lambda: False)
    assert isinstance(last, Finished)
    folder = tmp_path / "machine"
    shell = Shell(desk.settings.knowledge)
    made = shell.json("gpu", "--report", str(folder))
    assert "report.json" in made["files"]
    told = json.loads((folder / "report.json").read_text("utf-8"))
    assert told["timeline"]
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    refused = shell.run("gpu", "--report", str(blocked))
    assert refused.returncode == 1
    assert "a file" in refused.stderr


def test_a_document_is_forgotten_and_let_in_again_from_the_screen(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    (lease,) = desk.documents()
    desk.forget(lease.id)
    assert [(d.forgotten, d.paths) for d in desk.documents()] == [(True, ("lease.pdf",))]
    assert (desk.settings.knowledge / "lease.pdf").is_file()
    with pytest.raises(RagError, match="no document"):
        desk.forget(lease.id)
    revision = desk.state().documents_revision
    desk.remember("lease.pdf")
    until(lambda: [d.id for d in desk.documents()] == [lease.id])
    until(lambda: desk.state().documents_revision > revision)


def test_forgetting_does_not_wait_for_a_long_sync_and_those_who_wait_are_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        if desk.documents() and not go_on.is_set():
            held.set()
            go_on.wait(30)

    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    (lease,) = desk.documents()
    monkeypatch.setattr(desk._worker, "_hooks", replace(desk._worker._hooks, give_way=hold))
    write_pdf(desk.settings.knowledge / "new.pdf", ["new"])
    desk.sync_soon()
    assert held.wait(30)
    job = desk._jobs.file("sync")
    filed = desk._jobs.get(job).heartbeat_at
    desk.forget(lease.id)
    assert [d.id for d in desk.documents() if not d.forgotten] == []
    until(lambda: desk._jobs.get(job).heartbeat_at > filed)
    assert desk._jobs.get(job).state == "queued"
    go_on.set()
    until(lambda: desk._jobs.get(job).state == "done")
    assert [d.paths for d in desk.documents() if not d.forgotten] == [("new.pdf",)]


def test_a_new_file_does_not_wait_until_all_text_is_recognised_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = 6
    seen: list[tuple[bool, int]] = []
    desk._factory._pool = WorkerPool(
        workers=1, timeout_s=60, limits=Limits(30, 512), recogniser=OBEDIENT
    )
    folder = desk.settings.knowledge
    write_pdf(folder / "scan.pdf", ["#"] * pages)
    (folder / "scan.orders").write_text("heron " * pages)
    desk.start()
    first = desk._jobs.file("sync", {"ocr": "again"})
    until(lambda: desk._jobs.get(first).state == "done")
    desk._ledger.connection.execute("UPDATE ocr_pages SET engine = 'rapidocr/1.0.0/150/1'")

    def give_way() -> None:
        progress = desk.state().sync_progress
        if progress is None or progress.stage != "ocr":
            return
        if not seen:
            write_pdf(folder / "new.pdf", ["new"])
            desk.sync_soon()
        seen.append(("new.pdf" in names(desk), progress.done))

    monkeypatch.setattr(desk._worker, "_hooks", replace(desk._worker._hooks, give_way=give_way))
    again = desk._jobs.file("rebuild", {"screen": True})
    until(lambda: desk._jobs.get(again).state == "done")
    assert seen[0] == (False, 0)
    assert any(there and done < pages for there, done in seen)
    result = desk._jobs.get(again).result
    assert result is not None
    assert result["pages"]["ocr"] == pages
    until(lambda: desk.state().stale is None)


def test_the_index_before_a_rebuild_is_described_and_gone_back_to(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    until(lambda: desk.state().sync_progress is None)
    assert desk.kept_index() is None
    before = desk._ledger.active_space()
    done = desk._jobs.file("rebuild", {"all": True})
    until(lambda: desk._jobs.get(done).state == "done")
    kept = desk.kept_index()
    assert kept is not None
    assert (kept.embedder, kept.tokens, kept.passages, kept.newer) == ("hashing", 230, 1, False)
    assert abs(kept.made_at - time.time()) < 600
    write_pdf(desk.settings.knowledge / "later.pdf", ["later"])
    until(lambda: len(names(desk)) == 2)
    desk.roll_back_soon()
    until(lambda: desk._ledger.active_space() == before)
    assert before is not None
    kept = desk.kept_index()
    assert kept is not None
    assert kept.newer
    # what came in since is in the index that answers now as well
    until(lambda: desk._ledger.complete_documents(before) == desk._ledger.document_ids())


def test_unknown_pages_are_refused(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    (document,) = desk.documents()
    with pytest.raises(UnknownDocument):
        desk.page_image(document.id, page=99, width=100)
    with pytest.raises(UnknownDocument):
        desk.page_size("f" * 64, 1)
    for page in (0, 99):
        with pytest.raises(UnknownDocument):
            desk.page_size(document.id, page)


def test_the_size_of_a_page_is_read_without_those_of_all_others(desk: Desk) -> None:
    write_pdf(desk.settings.knowledge / "long.pdf", ["One.", "Two.", "Three."])
    desk.start()
    until(lambda: "long.pdf" in names(desk))
    (long,) = [document for document in desk.documents() if document.paths == ("long.pdf",)]
    read: list[tuple[object, ...]] = []

    def note(_: object, row: tuple[object, ...]) -> tuple[object, ...]:
        read.append(row)
        return row

    desk._ledger.connection.row_factory = note
    width, height = desk.page_size(long.id, 2)
    desk._ledger.connection.row_factory = None
    assert read == [(width, height)]
    assert height > width > 0


@pytest.mark.slow
def test_the_command_line_does_everything_while_the_app_is_open(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    shell = Shell(desk.settings.knowledge)
    write_pdf(desk.settings.knowledge / "pets.pdf", ["Pets are welcome here."])
    assert shell.json("sync")["gaps"] == 0
    assert names(desk) == ["lease.pdf", "pets.pdf"]
    assert shell.json("status")["space"]["stale"] == 0
    before = desk.state().documents_revision
    shell.json("rebuild", "--all")
    assert desk.state().documents_revision > before
    question = "What is the monthly rent?"
    assert isinstance(list(desk.ask(question, cancelled=lambda: False))[-1], Finished)
    assert shell.json("rebuild", "--rollback")["space"] == "hashing/256"
    assert isinstance(list(desk.ask(question, cancelled=lambda: False))[-1], Finished)
    shell.json("forget", "pets.pdf")
    assert {d.reason for d in desk.documents()} == {None, "forgotten"}
    assert shell.json("search", "pets")["passages"][0]["document"] == "lease.pdf"
    assert shell.json("doctor")["findings"]


def test_what_is_stale_is_shown_and_rebuilt_from_the_screen(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "lease.pdf", [f"The rent of month {n} is {n}50 euros." for n in range(30)])
    for tokens in ("230", "32"):
        desk = Desk.open(settings(folder, RAGDESK_CHUNK__TOKENS=tokens))
        try:
            desk.start()
            if tokens == "230":
                until(partial(names, desk))
                assert desk.state().stale is None
            else:
                rebuilt_from_the_screen(desk)
        finally:
            desk.close()


def rebuilt_from_the_screen(desk: Desk) -> None:
    until(lambda: desk.state().stale is not None)
    stale = desk.state().stale
    assert stale is not None
    assert "1 document needs re-embedding" in stale.en
    assert "1 份文档需要重新计算向量" in stale.zh
    desk.rebuild_soon()
    until(lambda: desk.state().stale is None)
    assert desk.state().sync_note is None


def test_a_deleted_file_goes_at_once_also_in_the_middle_of_a_long_sync(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    for number in range(12):
        text = [f"clause {number} of page {page} says much" for page in range(3)]
        write_pdf(desk.settings.knowledge / f"{number}.pdf", text)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        if len(names(desk)) > 2 and not go_on.is_set():
            held.set()
            go_on.wait(1.5)

    monkeypatch.setattr(desk._worker, "_hooks", replace(desk._worker._hooks, give_way=hold))
    desk.sync_soon()
    assert held.wait(60)
    (desk.settings.knowledge / "lease.pdf").unlink()
    until(lambda: "lease.pdf" not in names(desk), seconds=30)
    go_on.set()
    until(lambda: len(names(desk)) == 12)


def test_the_older_version_of_a_document_is_known(desk: Desk) -> None:
    desk.start()
    until(lambda: names(desk) == ["lease.pdf"])
    (old,) = [d.id for d in desk.documents()]
    write_pdf(desk.settings.knowledge / "lease.pdf", ["The monthly rent is 990 euros."])
    desk.sync_soon()
    until(lambda: desk.older() == {old})
    assert [d.id for d in desk.documents()] != [old]
