"""The folder and the ledger: what a sync does to every kind of file. Real PDFs, no model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings
from rag.errors import ConfigError, DownloadFailed, UnknownDocument
from rag.indexing.library import Library
from rag.indexing.report import SyncReport
from rag.protocols import Embedder
from rag.storage.ledger import Ledger
from rag.storage.passages import LedgerPassages
from rag.storage.status import broken_invariants, document_statuses
from rag.storage.vectors.manager import VectorIndexManager
from rag.text.messages import Text
from rag.types.progress import Progress
from tests.factories import settings
from tests.pdfs import lines, write_pdf

pytestmark = pytest.mark.usefixtures("shared_workers")


@dataclass
class Home:
    """A knowledge folder with its library, closed and opened like a program would."""

    folder: Path
    settings: Settings
    container: Container
    ledger: Ledger
    index: VectorIndexManager
    library: Library

    def sync(self) -> SyncReport:
        report = self.library.sync()
        assert broken_invariants(self.ledger) == []
        if self.ledger.active_version() is not None:
            assert self.index.for_reading().ids() == self.passages.chunk_ids()
        return report

    @property
    def passages(self) -> LedgerPassages:
        version = self.ledger.active_version()
        assert version is not None
        return LedgerPassages(self.ledger, version)

    def finds(self, word: str) -> list[str]:
        """Return the names of documents that hold the word."""
        ids = [i for i, _ in self.passages.match([word], k=50, documents=None)]
        return sorted({p.document for p in self.passages.passages(ids).values()})


@pytest.fixture
def open_home(tmp_path: Path) -> Iterator[Callable[..., Home]]:
    opened: list[Home] = []

    def make(**environment: str) -> Home:
        folder = tmp_path / "knowledge"
        folder.mkdir(exist_ok=True)
        chosen = settings(folder, RAGDESK_RETRIEVE__INDEX="numpy", **environment)
        container = Container(chosen)
        ledger = container.ledger()
        index = VectorIndexManager(ledger, chosen.data / "chroma", engine=chosen.retrieve.index)
        library = wiring.library(container, ledger, index=index)
        opened.append(Home(folder, chosen, container, ledger, index, library))
        return opened[-1]

    yield make
    for home in opened:
        home.index.close()
        home.container.close()
        home.ledger.close()


@pytest.fixture
def home(open_home: Callable[..., Home]) -> Home:
    return open_home()


def test_every_file_and_page_is_accounted_for(home: Home) -> None:
    write_pdf(home.folder / "contract.pdf", ["alpha clause", "", "#"])
    write_pdf(home.folder / "深" / "中文.pdf", ["显存带宽很高"])
    write_pdf(home.folder / "locked.pdf", ["secret"], password="pw")
    (home.folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (home.folder / "empty.pdf").write_bytes(b"")
    (home.folder / "notes.txt").write_text("not a PDF")
    report = home.sync()
    assert report.files["added"] == 2
    assert {f["path"]: f["code"] for f in report.failed} == {
        "locked.pdf": "encrypted", "broken.pdf": "damaged", "empty.pdf": "empty_file",
    }  # fmt: skip
    assert report.pages == {
        "text": 2, "ocr": 0, "empty": 2, "garbled": 0, "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert report.gaps == 4  # three files and one picture; a blank page is no gap
    states = {d.paths[0]: (d.state, d.reason) for d in document_statuses(home.ledger)}
    assert states["contract.pdf"] == ("partial", "no_text")
    assert states["深/中文.pdf"] == ("ready", None)
    assert states["empty.pdf"] == ("failed", "empty_file")
    assert home.finds("显存") == ["中文.pdf"]


def test_a_second_sync_changes_nothing(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    (home.folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    home.sync()
    before = list(home.ledger.connection.iterdump())
    report = home.sync()
    assert report.files["unchanged"] == 2
    assert sum(report.files.values()) == 2
    assert report.failed == []
    assert list(home.ledger.connection.iterdump()) == before


def test_a_renamed_file_is_moved_and_not_read_again(home: Home) -> None:
    write_pdf(home.folder / "old.pdf", ["alpha"])
    home.sync()
    ids = home.passages.chunk_ids()
    (home.folder / "sub").mkdir()
    (home.folder / "old.pdf").rename(home.folder / "sub" / "new.pdf")
    report = home.sync()
    assert (report.files["moved"], report.files["added"], report.files["removed"]) == (1, 0, 0)
    assert sum(report.pages.values()) == 0
    assert home.passages.chunk_ids() == ids
    assert home.finds("alpha") == ["new.pdf"]


def test_the_same_bytes_under_two_names_are_one_document(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    shutil.copy(home.folder / "a.pdf", home.folder / "b.pdf")
    report = home.sync()
    assert (report.files["added"], report.files["duplicate"]) == (1, 1)
    (status,) = document_statuses(home.ledger)
    assert status.paths == ("a.pdf", "b.pdf")
    assert len(home.passages.chunk_ids()) == 1
    (home.folder / "a.pdf").unlink()
    assert home.sync().files["removed"] == 1
    assert home.finds("alpha") == ["b.pdf"]


def test_a_removed_file_is_findable_nowhere(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    write_pdf(home.folder / "b.pdf", ["beta"])
    home.sync()
    (home.folder / "a.pdf").unlink()
    assert home.sync().files["removed"] == 1
    assert home.finds("alpha") == []
    assert home.finds("beta") == ["b.pdf"]
    assert len(document_statuses(home.ledger)) == 1


def test_a_changed_file_replaces_what_it_was(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    home.sync()
    write_pdf(home.folder / "a.pdf", ["gamma", "more"])
    report = home.sync()
    assert report.files["updated"] == 1
    assert home.finds("alpha") == []
    assert home.finds("gamma") == ["a.pdf"]
    assert len(document_statuses(home.ledger)) == 1


def test_a_new_time_stamp_on_the_same_bytes_is_no_change(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    home.sync()
    os.utime(home.folder / "a.pdf", (1, 1))
    report = home.sync()
    assert report.files["unchanged"] == 1
    assert report.files["updated"] == 0
    assert home.ledger.files()["a.pdf"].mtime_ns == 10**9


def test_a_repaired_file_becomes_searchable(home: Home) -> None:
    (home.folder / "a.pdf").write_bytes(b"%PDF-1.4 half copi")
    assert len(home.sync().failed) == 1
    write_pdf(home.folder / "a.pdf", ["alpha"])
    report = home.sync()
    assert report.files["updated"] == 1
    assert report.gaps == 0
    assert home.finds("alpha") == ["a.pdf"]


def test_a_link_that_leaves_the_folder_is_not_followed(home: Home, tmp_path: Path) -> None:
    outside = write_pdf(tmp_path / "private" / "diary.pdf", ["private"])
    (home.folder / "link.pdf").symlink_to(outside)
    (home.folder / "linked").symlink_to(outside.parent)
    assert sum(home.sync().files.values()) == 0


def test_a_forgotten_document_stays_out_until_it_is_remembered(home: Home) -> None:
    path = write_pdf(home.folder / "a.pdf", ["alpha"])
    write_pdf(home.folder / "b.pdf", ["beta"])
    home.sync()
    home.library.forget("a.pdf")
    assert home.finds("alpha") == []
    assert path.is_file()
    home.sync()
    shutil.copy(path, home.folder / "again.pdf")
    home.sync()
    assert home.finds("alpha") == []
    home.library.remember()
    home.sync()
    assert home.finds("alpha") == ["a.pdf"]


def test_one_forgotten_document_is_let_in_and_the_others_stay_out(home: Home) -> None:
    for name in ("alpha", "beta"):
        write_pdf(home.folder / f"{name}.pdf", [name])
    home.sync()
    shutil.copy(home.folder / "alpha.pdf", home.folder / "copy.pdf")
    home.sync()
    home.library.forget("alpha.pdf")
    home.library.forget("beta.pdf")
    home.library.remember("copy.pdf")
    home.sync()
    assert home.finds("alpha") == ["alpha.pdf"]
    assert home.finds("beta") == []
    assert [d.paths for d in document_statuses(home.ledger) if d.forgotten] == [("beta.pdf",)]
    with pytest.raises(UnknownDocument, match="rag status"):
        home.library.remember("alpha.pdf")


def test_a_path_means_one_file_and_a_name_of_several_is_asked_back(home: Home) -> None:
    for folder, text in (("a", "alpha"), ("b", "beta")):
        write_pdf(home.folder / folder / "lease.pdf", [text])
    home.sync()
    with pytest.raises(UnknownDocument, match=r"2 files are called lease.pdf: a/lease.pdf, b"):
        home.library.forget("lease.pdf")
    home.library.forget("b/lease.pdf")
    assert (home.finds("alpha"), home.finds("beta")) == (["lease.pdf"], [])
    home.library.forget("lease.pdf")
    assert home.finds("alpha") == []


@pytest.mark.parametrize("stage", ["read", "embed"])
def test_what_is_forgotten_while_it_is_read_again_stays_out(home: Home, stage: str) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    home.sync()
    (a,) = home.ledger.document_ids()
    home.ledger.set_reader(a, "another/1")
    with home.ledger.transaction() as connection:
        connection.execute("UPDATE pages SET text = 'omega'")  # so that it is read differently

    def forget(progress: Progress) -> None:
        if progress.stage == stage and home.ledger.document_ids():
            home.library.forget(a)

    home.library.rebuild(wanted=lambda _: True, report=forget)
    home.sync()
    assert home.ledger.document_ids() == set()
    assert home.finds("alpha") == home.finds("omega") == []
    assert home.index.for_reading().ids() == set()
    assert broken_invariants(home.ledger) == []


def test_forgetting_in_the_middle_of_a_rebuild_costs_the_rebuild_nothing(
    open_home: Callable[..., Home],
) -> None:
    home = open_home()
    for name in ("alpha", "beta"):
        write_pdf(home.folder / f"{name}.pdf", [name])
    home.sync()
    home.index.close()
    other = open_home(RAGDESK_CHUNK__TOKENS="64")

    def forget(progress: Progress) -> None:
        if progress.stage == "embed" and other.finds("alpha"):
            other.library.forget("alpha.pdf")

    other.library.rebuild(wanted=lambda s: wiring.is_wanted(other.container, s), report=forget)
    assert (other.finds("alpha"), other.finds("beta")) == ([], ["beta.pdf"])
    assert len(other.ledger.versions()) == 2
    assert broken_invariants(other.ledger) == []


def test_forgetting_what_is_not_there_says_what_to_do(home: Home) -> None:
    with pytest.raises(UnknownDocument, match="rag status"):
        home.library.forget("no.pdf")


def test_a_missing_folder_says_what_to_do(home: Home) -> None:
    shutil.rmtree(home.folder)
    with pytest.raises(ConfigError, match="--knowledge"):
        home.library.sync()


def test_a_document_that_takes_too_long_does_not_stop_the_rest(
    open_home: Callable[..., Home],
) -> None:
    home = open_home(RAGDESK_INGEST__TIMEOUT_S="0.001")
    write_pdf(home.folder / "a.pdf", [lines("slow page", repeat=40)] * 200)
    report = home.sync()
    assert [f["code"] for f in report.failed] == ["timeout"]


def test_progress_names_what_is_done(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    write_pdf(home.folder / "b.pdf", ["beta"])
    seen: list[Progress] = []
    home.library.sync(report=seen.append)
    assert next(p.stage for p in seen) == "scan"
    assert [(p.done, p.total, p.item) for p in seen if p.stage == "write"] == [
        (1, 2, "a.pdf"), (2, 2, "b.pdf"),
    ]  # fmt: skip


def test_a_rebuild_with_other_sizes_swaps_and_rolls_back(open_home: Callable[..., Home]) -> None:
    home = open_home()
    write_pdf(home.folder / "a.pdf", [lines("the alpha clause says much", repeat=40)])
    home.sync()
    before = home.ledger.active_version()
    home.index.close()
    other = open_home(RAGDESK_CHUNK__TOKENS="64")
    wanted = lambda version: wiring.is_wanted(other.container, version)  # noqa: E731
    assert before is not None
    assert not wanted(before)
    other.library.rebuild(wanted=wanted)
    after = other.ledger.active_version()
    assert after is not None
    assert wanted(after)
    assert other.ledger.chunk_count(after) > other.ledger.chunk_count(before)
    assert broken_invariants(other.ledger) == []
    assert other.library.rollback() == before
    assert other.ledger.active_version() == before
    assert other.library.rollback() == after


def test_an_interrupted_rebuild_goes_on_and_the_old_index_version_answers(
    open_home: Callable[..., Home],
) -> None:
    home = open_home()
    for name in "abc":
        write_pdf(home.folder / f"{name}.pdf", [lines(f"{name}word is here", repeat=45)] * 12)
    home.sync()
    home.index.close()
    other = open_home(RAGDESK_CHUNK__TOKENS="32")
    wanted = lambda version: wiring.is_wanted(other.container, version)  # noqa: E731
    done: list[str] = []

    def stop_after_one(progress) -> None:
        if progress.stage == "write":
            done.append(progress.item)

    before = other.ledger.active_version()
    other.library.rebuild(wanted=wanted, report=stop_after_one, cancelled=lambda: len(done) >= 1)
    assert other.ledger.active_version() == before
    assert other.finds("bword") == ["b.pdf"]
    half = [s for s in other.ledger.versions().values() if s != before]
    assert len(half) == 1
    finished = len(other.ledger.complete_documents(half[0]))
    assert 1 <= finished < 3
    seen: list[Progress] = []
    other.library.rebuild(wanted=wanted, report=seen.append)
    assert other.ledger.active_version() == half[0]
    assert len([p for p in seen if p.stage == "write"]) == 3 - finished


def test_a_rebuild_without_a_change_does_nothing(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha"])
    home.sync()
    before = home.ledger.active_version()
    home.library.rebuild(wanted=lambda version: wiring.is_wanted(home.container, version))
    assert home.ledger.active_version() == before
    assert len(home.ledger.versions()) == 1


def test_rolling_back_with_nothing_to_go_back_to_says_so(home: Home) -> None:
    with pytest.raises(ConfigError, match="earlier index"):
        home.library.rollback()


def test_documents_that_wait_for_the_embedder_are_counted(
    open_home: Callable[..., Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_home()
    for name in ("a", "b"):
        write_pdf(home.folder / f"{name}.pdf", [f"Words of {name}."])
    told: list[Progress] = []

    def not_to_be_had(name: str) -> Embedder:
        raise DownloadFailed(Text("No network.", "没有网络。"), hint=Text("Wait.", "请稍候。"))

    monkeypatch.setattr(home.container, "embedder", not_to_be_had)
    with pytest.raises(DownloadFailed):
        home.library.sync(report=told.append)
    last = told[-1]
    assert (last.stage, last.done, last.total, last.unit) == ("read", 0, 2, "documents")
