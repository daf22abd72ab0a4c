"""Pages without usable text: they wait, are recognised, and are found. Recognition is faked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version as package_version
from pathlib import Path

import pytest

from rag.answering.highlights import Highlighter
from rag.app import wiring
from rag.app.container import Container
from rag.indexing.library import Library
from rag.indexing.report import SyncReport
from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.tasks import WorkerLimits
from rag.storage.ocr_pages import recognised_lines, recognised_pages, waiting_pages
from rag.storage.passages import LedgerPassages
from rag.storage.status import broken_invariants, document_statuses, find_stale
from rag.storage.vectors.manager import VectorIndexManager
from rag.types.documents import Box
from rag.types.index_version import DPI, OCR_VERSION
from rag.types.progress import Progress
from tests.factories import settings
from tests.fake_recognisers import OBEDIENT
from tests.pdfs import write_pdf

SCAN = "#"


class Home:
    """A library whose workers recognise what the test wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        chosen = settings(folder, RAGDESK_RETRIEVE__INDEX="numpy")
        self.container = Container(chosen)
        self.pool = WorkerPool(
            workers=1, timeout_s=60, limits=WorkerLimits(30, 512), recogniser=OBEDIENT
        )
        self.container._pool = self.pool
        self.ledger = self.container.ledger()
        self.index = VectorIndexManager(self.ledger, chosen.data / "chroma", engine="numpy")
        self.library: Library = wiring.library(self.container, self.ledger, index=self.index)

    def add(self, name: str, pages: list[str], orders: str) -> None:
        write_pdf(self.folder / f"{name}.pdf", pages)
        (self.folder / f"{name}.orders").write_text(orders)

    def read_pages(self, name: str) -> list[int]:
        log = self.folder / f"{name}.log"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    def sync(self, **options) -> SyncReport:
        report = self.library.sync(**{"ocr": "auto", **options})
        assert broken_invariants(self.ledger) == []
        return report

    @property
    def passages(self) -> LedgerPassages:
        version = self.ledger.active_version()
        assert version is not None
        return LedgerPassages(self.ledger, version)

    def finds(self, word: str) -> list[tuple[str, int]]:
        ids = [i for i, _ in self.passages.match([word], k=50, documents=None)]
        found = self.passages.passages(ids).values()
        return sorted((p.document, p.chunk.first_page) for p in found)

    def states(self) -> list[tuple[str, str | None]]:
        (status,) = document_statuses(self.ledger, with_pages=True)
        return [(page.state, page.reason) for page in status.page_states]

    def close(self) -> None:
        self.index.close()
        self.container.close()
        self.ledger.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "knowledge")
    yield made
    made.close()


def stop_after(pages: int) -> tuple[Callable[[Progress], None], Callable[[], bool]]:
    """Return a report and a cancel that stops once so many pages were recognised."""
    done: list[int] = [0]

    def report(progress: Progress) -> None:
        if progress.stage == "ocr":
            done[0] = progress.done

    return report, lambda: done[0] >= pages


def test_a_scan_is_searchable_and_counted(home: Home) -> None:
    home.add("scan", [SCAN, SCAN], "heron otter")
    report = home.sync()
    assert home.states() == [("ocr", None), ("ocr", None)]
    assert home.finds("otter") == [("scan.pdf", 1)] or home.finds("otter") == [("scan.pdf", 2)]
    assert report.files["added"] == 1
    assert report.failed == []
    assert (report.pages["ocr"], report.pages["empty"]) == (2, 0)
    assert report.gaps == 0
    assert report.times.ocr_s > 0


def test_text_is_searchable_before_its_scans_are_read(home: Home) -> None:
    home.add("mixed", ["alpha clause", SCAN], "- heron")
    seen: list[tuple[list[tuple[str, int]], list[tuple[str, int]]]] = []

    def look(progress: Progress) -> None:
        if progress.stage == "ocr" and progress.done == 0:
            seen.append((home.finds("alpha"), home.finds("heron")))

    report = home.sync(report=look)
    assert seen == [([("mixed.pdf", 1)], [])]
    assert home.finds("heron")
    assert report.chunks == len(home.passages.chunk_ids()), "nothing is counted twice"
    assert report.pages == {
        "text": 1, "ocr": 1, "empty": 0, "garbled": 0, "failed": 0, "skipped": 0,
    }  # fmt: skip


def test_what_was_recognised_is_not_read_again(home: Home) -> None:
    home.add("scan", [SCAN, SCAN], "heron picture")
    home.sync()
    report = home.sync()
    assert home.read_pages("scan") == [1, 2]
    assert sum(report.pages.values()) == 0
    assert home.states() == [("ocr", None), ("empty", "picture")]


def test_stopping_in_between_loses_nothing(home: Home) -> None:
    home.add("scan", [SCAN] * 4, "heron otter weasel badger")
    report, cancelled = stop_after(2)
    home.sync(report=report, cancelled=cancelled)
    assert home.read_pages("scan")[:2] == [1, 2]
    assert set(waiting_pages(home.ledger).values().__iter__().__next__()) == {1, 2, 3, 4}
    home.sync()
    assert [home.read_pages("scan").count(n) for n in (1, 2)] == [1, 1]
    assert home.states() == [("ocr", None)] * 4
    assert home.finds("heron")


def test_a_pause_finishes_the_page_in_work_and_goes_on_later(home: Home) -> None:
    home.add("scan", [SCAN] * 3, "heron otter weasel")
    home.sync(ocr="off")
    report, pause = stop_after(1)
    home.library.recognise(report=report, pause=pause)
    assert home.read_pages("scan") == [1]
    home.library.recognise(pause=lambda: False)
    assert home.read_pages("scan") == [1, 2, 3]
    assert home.states() == [("ocr", None)] * 3


def test_switched_off_the_pages_wait_and_say_so(home: Home) -> None:
    home.add("scan", [SCAN], "heron")
    report = home.sync(ocr="off")
    assert home.states() == [("empty", "no_text")]
    assert report.gaps > 0
    assert list(waiting_pages(home.ledger).values()) == [[1]]
    home.sync()
    assert home.finds("heron")


def test_a_page_that_kills_recognition_costs_itself(home: Home) -> None:
    home.add("scan", [SCAN] * 3, "heron crash weasel")
    home.sync()
    assert home.states() == [("ocr", None), ("empty", "ocr_failed"), ("ocr", None)]
    home.sync()
    assert home.read_pages("scan").count(2) == 1
    (home.folder / "scan.orders").write_text("heron otter weasel")
    home.sync(ocr="again")
    assert home.states() == [("ocr", None)] * 3


def test_a_document_that_is_read_again_keeps_what_was_recognised(home: Home) -> None:
    home.add("mixed", ["alpha", SCAN], "- heron")
    home.sync()
    (status,) = document_statuses(home.ledger)
    home.ledger.set_reader(status.id, "another/1")
    home.library.rebuild(wanted=lambda _: True)
    assert home.states() == [("text", None), ("ocr", None)]
    assert home.finds("heron")
    assert home.read_pages("mixed") == [2]


OLDER = "rapidocr/1.0.0/{DPI}/{VERSION}"


def make_older(home: Home, *pages: int) -> None:
    """Let the ledger believe that another version has read these pages."""
    marks = ", ".join("?" * len(pages))
    home.ledger.connection.execute(
        f"UPDATE ocr_pages SET engine = ? WHERE number IN ({marks})", (OLDER, *pages)
    )


def stale(home: Home) -> str:
    return str(find_stale(home.ledger, wiring.wanted_version(home.container)).say() or "")


def rebuild(home: Home, **options) -> SyncReport:
    report = home.library.rebuild(wanted=lambda _: True, **options)
    assert broken_invariants(home.ledger) == []
    return report


def test_pages_that_another_version_has_read_are_stale_and_only_they_are_read_anew(
    home: Home,
) -> None:
    home.add("mixed", ["alpha", SCAN, SCAN], "- heron picture")
    home.add("other", [SCAN], "otter")
    home.sync()
    assert stale(home) == ""
    make_older(home, 2, 3)
    home.ledger.set_meta("speed ocr", "0.01")
    assert stale(home) == "1 document needs its text recognised anew (about 3 min)."
    (home.folder / "mixed.orders").write_text("- weasel badger")
    home.sync()
    home.sync(ocr="again")
    assert home.read_pages("mixed") == [2, 3], "a sync leaves them alone"
    report = rebuild(home)
    assert home.read_pages("mixed") == [2, 3, 2, 3]
    assert home.read_pages("other") == [1]
    assert home.finds("heron") == []
    assert home.finds("weasel") == home.finds("badger") == [("mixed.pdf", 1)]
    assert home.finds("alpha") == [("mixed.pdf", 1)]
    assert report.pages["ocr"] == 2
    assert stale(home) == ""
    rebuild(home)
    assert len(home.read_pages("mixed")) == 4


def test_a_page_on_which_the_new_version_fails_keeps_its_text(home: Home) -> None:
    words = ["crash", "picture", "poor", "otter"]
    home.add("scan", [SCAN] * 4, "heron weasel badger otter")
    home.sync()
    make_older(home, 1, 2, 3, 4)
    (home.folder / "scan.orders").write_text(" ".join(words))
    rebuild(home)
    assert home.states() == [("ocr", None)] * 4
    for word in ("heron", "weasel", "badger", "otter"):
        assert home.finds(word), word
    assert stale(home) == "", "it is not tried again by the same version"
    (document_id,) = home.ledger.document_ids()
    kept = recognised_pages(home.ledger, document_id)
    assert [kept[n].engine == OLDER for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert recognised_lines(home.ledger, document_id, 1)


def test_reading_anew_goes_on_where_it_was_stopped_and_the_old_text_answers_meanwhile(
    home: Home,
) -> None:
    home.add("scan", [SCAN] * 4, "heron otter weasel badger")
    home.sync()
    make_older(home, 1, 2, 3, 4)
    (home.folder / "scan.orders").write_text("finch robin raven hawk")
    report, stopped = stop_after(2)
    rebuild(home, report=report, cancelled=stopped)
    assert home.finds("heron")
    assert home.finds("finch") == []
    (document_id,) = home.ledger.document_ids()
    assert recognised_lines(home.ledger, document_id, 1), "its places are still known"
    assert "1 document" in stale(home)
    rebuild(home)
    assert [home.read_pages("scan").count(n) for n in (1, 2)] == [2, 2]
    assert home.finds("heron") == []
    assert all(home.finds(word) for word in ("finch", "robin", "raven", "hawk"))
    assert recognised_lines(home.ledger, document_id, 1)
    assert home.ledger.connection.execute("SELECT count(*) FROM ocr_aside").fetchone() == (0,)


def test_a_forgotten_scan_leaves_nothing_aside(home: Home) -> None:
    home.add("scan", [SCAN] * 3, "heron otter weasel")
    home.sync()
    make_older(home, 1, 2, 3)

    def forget(progress: Progress) -> None:
        if progress.stage == "ocr" and progress.done == 1:
            home.library.forget("scan.pdf")

    rebuild(home, report=forget)
    assert home.finds("heron") == []
    for table in ("ocr_pages", "ocr_aside"):
        count = home.ledger.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert count == (0,), table


def test_the_version_of_today_is_known_without_loading_it() -> None:
    code = "import sys, rag.app.wiring; from rag.types.index_version import ocr_name;"
    code += "print(ocr_name());"
    code += "print('rapidocr' in sys.modules, 'numpy' in sys.modules)"
    said = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert said == [f"rapidocr/{package_version('rapidocr')}/{DPI}/{OCR_VERSION}", "False", "False"]


def test_a_removed_scan_leaves_nothing_behind(home: Home) -> None:
    home.add("scan", [SCAN], "heron")
    home.sync()
    (home.folder / "scan.pdf").unlink()
    home.sync()
    assert home.finds("heron") == []
    assert home.ledger.connection.execute("SELECT count(*) FROM ocr_pages").fetchone() == (0,)


def test_the_place_of_a_recognised_word_is_known(home: Home) -> None:
    home.add("mixed", ["alpha", SCAN], "- heron")
    home.sync()
    (document_id,) = home.ledger.document_ids()
    document = home.ledger.load_document(document_id)
    assert document is not None
    at = document.text.index("heron")
    highlighter = Highlighter(home.folder, home.passages, home.pool)
    word, line, text_page = highlighter.boxes(
        [
            (document_id, at, at + len("heron")),
            (document_id, at, at + len("heron stands here")),
            (document_id, 0, len("alpha")),
        ]
    )
    assert word == (Box(2, 100.0, 200.0, 130.0, 212.0),)
    assert line == (Box(2, 100.0, 200.0, 180.0, 212.0),)
    assert [box.page for box in text_page] == [1]
