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

from rag.answering.explain.values import SentenceQuestion
from rag.app.app import App
from rag.errors import LibraryBusy, RagError, StoreError, UnknownDocument
from rag.generation.echo import EchoGenerator
from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.tasks import WorkerLimits
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.jobs import Jobs
from rag.storage.ledger import Ledger
from rag.types.answers import Delta, Finished, Message, Retrieved, TypedDraft
from tests.factories import settings
from tests.fake_recognisers import OBEDIENT
from tests.integration.cli.test_cli import Shell
from tests.pdfs import write_pdf


def until(done: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait for the background; a bound, not a guess at how long it takes."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "the background did not get there"
        time.sleep(0.02)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "lease.pdf", ["The monthly rent is 950 euros.", "Pets are not allowed."])
    made = App.open(settings(folder))
    yield made
    made.close()


def names(app: App) -> list[str]:
    return [path for document in app.documents() for path in document.paths]


def test_opening_loads_nothing_and_starting_does_the_rest(app: App) -> None:
    assert app.state().model_state == "none"
    assert app.documents() == []
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    assert app.state().model_name == "echo"
    assert app.state().memory.process_bytes > 0
    assert app.state().memory.ram_total_bytes > 0


def test_what_is_typed_is_read_ahead_as_it_will_be_asked(
    app: App, monkeypatch: pytest.MonkeyPatch
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
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    talk = (Message("user", "Are pets allowed?"), Message("assistant", "They are not."))
    question = "What is the monthly rent?"
    app.typed(TypedDraft(question, history=talk))
    until(lambda: ahead)
    until(lambda: not app.state().reading_ahead)
    list(app.ask(question, history=talk, cancelled=lambda: False))
    assert ahead == asked
    app.typed(TypedDraft("Summarise lease.pdf", mode="whole"))  # read in steps: nothing to know yet
    app.typed(TypedDraft("Does Jupiter have rings?"))  # refused without the model
    app.typed(TypedDraft("Are pets allowed?"))
    until(lambda: len(ahead) > 1)
    assert "Are pets allowed?" in ahead[-1][-1].content


def test_a_part_that_fails_in_the_background_is_shown_and_the_app_goes_on(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(self: EchoGenerator, messages: Any, *, cancelled: Any) -> None:
        raise KeyError("a bug of an engine")

    monkeypatch.setattr(EchoGenerator, "prepare", prepare)
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    assert app.state().failures == ()
    app.typed(TypedDraft("What is the monthly rent?"))
    until(lambda: app.state().failures)
    (failure,) = app.state().failures
    assert "Reading ahead failed" in failure.en
    assert "a bug of an engine" in failure.en
    *_, done = app.ask("What is the monthly rent?", cancelled=lambda: False)
    assert isinstance(done, Finished)
    assert "950" in done.answer.text


def test_a_follow_up_over_the_same_passages_begins_as_the_prompt_before_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    stream = EchoGenerator.stream

    def streamed(self: EchoGenerator, messages: Any, **options: Any) -> Any:
        asked.append(messages)
        return stream(self, messages, **options)

    monkeypatch.setattr(EchoGenerator, "stream", streamed)
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    first, second = "What is the monthly rent?", "What is the monthly rent of pets?"
    *_, done = app.ask(first, cancelled=lambda: False)
    assert isinstance(done, Finished)
    talk = [Message("user", first), Message("assistant", done.answer.text)]
    *_, last = app.ask(second, history=talk, cancelled=lambda: False)
    assert isinstance(last, Finished)
    assert {p.id for p in done.answer.passages} == {p.id for p in last.answer.passages}
    assert asked[1][:3] == [*asked[0], talk[1]]


def test_only_the_first_question_pays_for_what_all_have_in_common(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    embedded: list[str] = []
    embed = HashingEmbedder.embed_query

    def counted(self: HashingEmbedder, text: str) -> Any:
        embedded.append(text)
        return embed(self, text)

    monkeypatch.setattr(HashingEmbedder, "embed_query", counted)
    counts = []
    for question in ("What is the monthly rent?", "Are pets allowed?"):
        before = len(embedded)
        list(app.ask(question, cancelled=lambda: False))
        counts.append(len(embedded) - before)
    assert counts[0] > counts[1] == 1


def test_the_open_app_says_what_became_of_a_sentence(app: App) -> None:
    with pytest.raises(StoreError):
        app.why(SentenceQuestion("What is the rent?", "The monthly rent is 950 euros."))
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    found = app.why(SentenceQuestion("What is the monthly rent?", "The monthly rent is 950 euros."))
    assert found.outcome.code == "prompt"
    assert [step.stage for step in found.steps][-2:] == ["gate", "budget"], "the model counts"
    before = (Message("user", "What is the monthly rent?"),)
    followed = app.why(
        SentenceQuestion("And its amount?", "The monthly rent is 950 euros.", history=before)
    )
    assert followed.outcome.code == "prompt"


def test_a_follow_up_is_searched_with_what_was_asked_before(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    before = [Message("user", "What is the monthly rent?"), Message("assistant", "950 euros.")]
    events = list(app.ask("And how is it paid?", history=before, cancelled=lambda: False))
    first = events[0]
    assert isinstance(first, Retrieved)
    assert first.searched == "What is the monthly rent, how is it paid?"
    assert first.passages[0].chunk.first_page == 1


def test_a_question_is_answered_with_boxes_on_the_page(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    events = list(app.ask("What is the monthly rent?", cancelled=lambda: False))
    assert isinstance(events[0], Retrieved)
    assert any(isinstance(event, Delta) for event in events)
    assert isinstance(events[-1], Finished)
    answer = events[-1].answer
    evidence = answer.sentences[0].evidence[0]
    assert (evidence.document, evidence.page) == ("lease.pdf", 1)
    assert evidence.boxes
    assert app.state().last_usage == answer.usage
    image = app.page_image(answer.passages[0].chunk.document_id, page=1, width=300)
    assert image.startswith(b"\x89PNG")


def test_a_file_copied_into_the_folder_is_found_within_seconds(app: App, tmp_path: Path) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    revision = app.state().documents_revision
    new = write_pdf(tmp_path / "new.pdf", ["The deposit is two months."])
    shutil.copy(new, app.settings.knowledge / "new.pdf")
    until(lambda: names(app) == ["lease.pdf", "new.pdf"], seconds=20)
    assert app.state().documents_revision > revision
    (app.settings.knowledge / "lease.pdf").unlink()
    until(lambda: names(app) == ["new.pdf"], seconds=20)


def test_dropped_files_land_under_safe_names_and_never_over_another(
    app: App, tmp_path: Path
) -> None:
    new = write_pdf(tmp_path / "up1", ["The deposit is two months."])
    text = tmp_path / "up2"
    text.write_text("hello")
    lease = app.settings.knowledge / "lease.pdf"
    kept = lease.read_bytes()
    added = app.add_files(
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
    assert not list(app.settings.knowledge.glob(".*.part"))
    assert not (app.settings.knowledge.parent / "lease.pdf").exists()


def test_a_second_owner_is_told_who_has_the_library(app: App) -> None:
    with pytest.raises(LibraryBusy, match="pid"):
        App.open(app.settings)


def test_a_job_filed_by_another_process_is_done(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    other = Ledger(app.settings.data / "library.db")
    jobs = Jobs(other)
    sync = jobs.file("sync")
    until(lambda: jobs.get(sync).state == "done")
    result = jobs.get(sync).result
    assert result is not None
    assert result["files"]["unchanged"] == 1
    forget = jobs.file("forget", {"path": "lease.pdf"})
    until(lambda: jobs.get(forget).state == "done")
    assert app.documents()[0].reason == "forgotten"
    wrong = jobs.file("forget", {"path": "no.pdf"})
    until(lambda: jobs.get(wrong).state == "failed")
    error = jobs.get(wrong).error
    assert error is not None
    assert "no.pdf" in error["zh"]
    assert json.dumps(error)
    other.close()


@pytest.mark.slow
def test_a_report_asked_for_on_the_command_line_is_that_of_the_open_app(
    app: App, tmp_path: Path
) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"] and app.state().model_state == "ready")
    *_, last = app.ask("What is the monthly rent?", cancelled=lambda: False)
    assert isinstance(last, Finished)
    folder = tmp_path / "machine"
    shell = Shell(app.settings.knowledge)
    made = shell.json("gpu", "--report", str(folder))
    assert "report.json" in made["files"]
    told = json.loads((folder / "report.json").read_text("utf-8"))
    assert told["timeline"]
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    refused = shell.run("gpu", "--report", str(blocked))
    assert refused.returncode == 1
    assert "a file" in refused.stderr


def test_a_document_is_forgotten_and_let_in_again_from_the_screen(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    (lease,) = app.documents()
    app.forget(lease.id)
    assert [(d.forgotten, d.paths) for d in app.documents()] == [(True, ("lease.pdf",))]
    assert (app.settings.knowledge / "lease.pdf").is_file()
    with pytest.raises(RagError, match="no document"):
        app.forget(lease.id)
    revision = app.state().documents_revision
    app.remember("lease.pdf")
    until(lambda: [d.id for d in app.documents()] == [lease.id])
    until(lambda: app.state().documents_revision > revision)


def test_forgetting_does_not_wait_for_a_long_sync_and_those_who_wait_are_told(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        if app.documents() and not go_on.is_set():
            held.set()
            go_on.wait(30)

    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    (lease,) = app.documents()
    monkeypatch.setattr(app._worker, "_hooks", replace(app._worker._hooks, give_way=hold))
    write_pdf(app.settings.knowledge / "new.pdf", ["new"])
    app.sync_soon()
    assert held.wait(30)
    job = app._jobs.file("sync")
    filed = app._jobs.get(job).heartbeat_at
    app.forget(lease.id)
    assert [d.id for d in app.documents() if not d.forgotten] == []
    until(lambda: app._jobs.get(job).heartbeat_at > filed)
    assert app._jobs.get(job).state == "queued"
    go_on.set()
    until(lambda: app._jobs.get(job).state == "done")
    assert [d.paths for d in app.documents() if not d.forgotten] == [("new.pdf",)]


def test_a_new_file_does_not_wait_until_all_text_is_recognised_anew(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = 6
    seen: list[tuple[bool, int]] = []
    app._container._pool = WorkerPool(
        workers=1, timeout_s=60, limits=WorkerLimits(30, 512), recogniser=OBEDIENT
    )
    folder = app.settings.knowledge
    write_pdf(folder / "scan.pdf", ["#"] * pages)
    (folder / "scan.orders").write_text("heron " * pages)
    app.start()
    first = app._jobs.file("sync", {"ocr": "again"})
    until(lambda: app._jobs.get(first).state == "done")
    app._ledger.connection.execute("UPDATE ocr_pages SET engine = 'rapidocr/1.0.0/150/1'")

    def give_way() -> None:
        progress = app.state().sync_progress
        if progress is None or progress.stage != "ocr":
            return
        if not seen:
            write_pdf(folder / "new.pdf", ["new"])
            app.sync_soon()
        seen.append(("new.pdf" in names(app), progress.done))

    monkeypatch.setattr(app._worker, "_hooks", replace(app._worker._hooks, give_way=give_way))
    again = app._jobs.file("rebuild", {"screen": True})
    until(lambda: app._jobs.get(again).state == "done")
    assert seen[0] == (False, 0)
    assert any(there and done < pages for there, done in seen)
    result = app._jobs.get(again).result
    assert result is not None
    assert result["pages"]["ocr"] == pages
    until(lambda: app.state().stale is None)


def test_the_index_before_a_rebuild_is_described_and_gone_back_to(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    until(lambda: app.state().sync_progress is None)
    assert app.kept_index() is None
    before = app._ledger.active_version()
    done = app._jobs.file("rebuild", {"all": True})
    until(lambda: app._jobs.get(done).state == "done")
    kept = app.kept_index()
    assert kept is not None
    assert (kept.embedder, kept.tokens, kept.passages, kept.newer) == ("hashing", 230, 1, False)
    assert abs(kept.made_at - time.time()) < 600
    write_pdf(app.settings.knowledge / "later.pdf", ["later"])
    until(lambda: len(names(app)) == 2)
    app.roll_back_soon()
    until(lambda: app._ledger.active_version() == before)
    assert before is not None
    kept = app.kept_index()
    assert kept is not None
    assert kept.newer
    # what came in since is in the index that answers now as well
    until(lambda: app._ledger.complete_documents(before) == app._ledger.document_ids())


def test_unknown_pages_are_refused(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    (document,) = app.documents()
    with pytest.raises(UnknownDocument):
        app.page_image(document.id, page=99, width=100)
    with pytest.raises(UnknownDocument):
        app.page_size("f" * 64, 1)
    for page in (0, 99):
        with pytest.raises(UnknownDocument):
            app.page_size(document.id, page)


def test_the_size_of_a_page_is_read_without_those_of_all_others(app: App) -> None:
    write_pdf(app.settings.knowledge / "long.pdf", ["One.", "Two.", "Three."])
    app.start()
    until(lambda: "long.pdf" in names(app))
    (long,) = [document for document in app.documents() if document.paths == ("long.pdf",)]
    read: list[tuple[object, ...]] = []

    def note(_: object, row: tuple[object, ...]) -> tuple[object, ...]:
        read.append(row)
        return row

    app._ledger.connection.row_factory = note
    width, height = app.page_size(long.id, 2)
    app._ledger.connection.row_factory = None
    assert read == [(width, height)]
    assert height > width > 0


@pytest.mark.slow
def test_the_command_line_does_everything_while_the_app_is_open(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    shell = Shell(app.settings.knowledge)
    write_pdf(app.settings.knowledge / "pets.pdf", ["Pets are welcome here."])
    assert shell.json("sync")["gaps"] == 0
    assert names(app) == ["lease.pdf", "pets.pdf"]
    assert shell.json("status")["space"]["stale"] == 0
    before = app.state().documents_revision
    shell.json("rebuild", "--all")
    assert app.state().documents_revision > before
    question = "What is the monthly rent?"
    assert isinstance(list(app.ask(question, cancelled=lambda: False))[-1], Finished)
    assert shell.json("rebuild", "--rollback")["space"] == "hashing/256"
    assert isinstance(list(app.ask(question, cancelled=lambda: False))[-1], Finished)
    shell.json("forget", "pets.pdf")
    assert {d.reason for d in app.documents()} == {None, "forgotten"}
    assert shell.json("search", "pets")["passages"][0]["document"] == "lease.pdf"
    assert shell.json("doctor")["findings"]


def test_what_is_stale_is_shown_and_rebuilt_from_the_screen(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "lease.pdf", [f"The rent of month {n} is {n}50 euros." for n in range(30)])
    for tokens in ("230", "32"):
        app = App.open(settings(folder, RAGDESK_CHUNK__TOKENS=tokens))
        try:
            app.start()
            if tokens == "230":
                until(partial(names, app))
                assert app.state().stale is None
            else:
                rebuilt_from_the_screen(app)
        finally:
            app.close()


def rebuilt_from_the_screen(app: App) -> None:
    until(lambda: app.state().stale is not None)
    stale = app.state().stale
    assert stale is not None
    assert "1 document needs re-embedding" in stale.en
    assert "1 份文档需要重新计算向量" in stale.zh
    app.rebuild_soon()
    until(lambda: app.state().stale is None)
    assert app.state().sync_note is None


def test_a_deleted_file_goes_at_once_also_in_the_middle_of_a_long_sync(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    for number in range(12):
        text = [f"clause {number} of page {page} says much" for page in range(3)]
        write_pdf(app.settings.knowledge / f"{number}.pdf", text)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        if len(names(app)) > 2 and not go_on.is_set():
            held.set()
            go_on.wait(1.5)

    monkeypatch.setattr(app._worker, "_hooks", replace(app._worker._hooks, give_way=hold))
    app.sync_soon()
    assert held.wait(60)
    (app.settings.knowledge / "lease.pdf").unlink()
    until(lambda: "lease.pdf" not in names(app), seconds=30)
    go_on.set()
    until(lambda: len(names(app)) == 12)


def test_the_older_version_of_a_document_is_known(app: App) -> None:
    app.start()
    until(lambda: names(app) == ["lease.pdf"])
    (old,) = [d.id for d in app.documents()]
    write_pdf(app.settings.knowledge / "lease.pdf", ["The monthly rent is 990 euros."])
    app.sync_soon()
    until(lambda: app.older() == {old})
    assert [d.id for d in app.documents()] != [old]
