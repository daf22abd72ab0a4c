"""``rag eval --own`` over real PDFs: a person's library measured with questions made from it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rag.storage.database import MIGRATIONS
from rag.storage.ledger import Ledger
from rag.storage.lock import LibraryLock
from tests.inside import Inside
from tests.pdfs import write_pdf

pytestmark = pytest.mark.usefixtures("shared_workers")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Inside:
    folder = tmp_path_factory.mktemp("own") / "knowledge"
    for number, town in enumerate(("Antwerp", "Bergen", "Cadiz", "Delft", "Evora", "Fermo")):
        write_pdf(
            folder / f"{town.lower()}.pdf",
            [
                f"The museum of {town} was opened by its mayor on March {number + 3}, 1921.",
                f"{town}博物馆于{1930 + number}年5月10日在市中心的旧车站里重新开放，观众很多。",
                f"The collection in {town} holds {4812 + number} paintings given by families.",
            ],
        )
    made = Inside(folder)
    made.json("sync")
    return made


def test_a_library_is_measured_without_a_set_of_questions(shell: Inside) -> None:
    before = sorted(path.name for path in shell.folder.iterdir())
    own = shell.json("eval", "--own", "--size", "12", "--retrieval-only")["sets"]["own"]
    assert own["n"] >= 8
    assert own["single"]["hit@10"] == 1.0
    assert own["gate"]["n"] >= 2
    assert set(own["languages"]) == {"en", "zh"}
    assert sorted(path.name for path in shell.folder.iterdir()) == before
    assert not list((shell.folder / ".rag").glob("measure-*"))


def test_questions_are_written_as_a_set_and_read_back(shell: Inside, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    first = shell.json("eval", "--own", "--size", "8", "--retrieval-only", "--write", str(file))
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert len(rows) == 8
    assert all(row["docs"] and row["pages_1based"] and row["question"] for row in rows)
    assert sum(not row["answerable"] for row in rows) == 2
    again = shell.json("eval", "--own", "--questions", str(file), "--retrieval-only")
    for key in ("shared", "single", "gate"):
        assert again["sets"]["own"][key] == first["sets"]["own"][key]


def test_a_library_of_an_older_version_is_measured_and_left_as_it_is(
    shell: Inside, tmp_path: Path
) -> None:
    copy = Inside(Path(shutil.copytree(shell.folder, tmp_path / "knowledge")))
    file = copy.folder / ".rag" / "library.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "PRAGMA journal_mode = DELETE; DROP TABLE anchors; DROP TABLE anchored;"
            f"PRAGMA user_version = {len(MIGRATIONS) - 1}"
        )
    before = file.read_bytes()
    done = copy.run("eval", "--own", "--size", "4", "--retrieval-only")
    assert done.returncode == 0
    assert "`rag sync` brings it up to date" in done.stderr
    assert file.read_bytes() == before


def test_the_same_questions_are_asked_again_to_compare(shell: Inside) -> None:
    first = shell.json("eval", "--own", "--size", "8", "--seed", "7", "--retrieval-only")
    second = shell.json("eval", "--own", "--compare", "--retrieval-only")
    assert second["compared"]["run"] == first["run"]
    figures = second["compared"]["sets"][0]["figures"]
    assert figures["shared.hit@5"]["n"] == first["sets"]["own"]["n"]
    assert second["compared"]["fell"] == []


def test_a_model_is_asked_with_and_without_the_documents(shell: Inside) -> None:
    own = shell.json("eval", "--own", "--size", "8", "--limit", "4")["sets"]["own"]
    assert own["abstention"]["n"] == 1
    assert own["citation"]["n"] + own["answer"]["n"] > 0


def test_it_works_while_the_app_is_open(shell: Inside) -> None:
    owner = LibraryLock(shell.folder / ".rag")
    try:
        found = shell.json("eval", "--own", "--size", "8", "--retrieval-only", "--name", "beside")
    finally:
        owner.release()
    runs = shell.json("eval", "--own", "--runs")["runs"]
    assert (runs[0]["run"], runs[0]["name"]) == (found["run"], "beside")


def test_an_index_of_other_settings_is_said_to_be_so(shell: Inside) -> None:
    done = shell.run("eval", "--own", "--size", "4", "--retrieval-only", RAGDESK_CHUNK__TOKENS="64")
    assert done.returncode == 0
    assert "made with other settings" in done.stderr


def test_a_forgotten_document_leaves_no_question_behind(shell: Inside) -> None:
    before = shell.json("eval", "--own", "--size", "12", "--retrieval-only")
    shell.json("forget", "delft.pdf")
    ledger = Ledger(shell.folder / ".rag" / "library.db", read_only=True)
    try:
        left = ledger.connection.execute("SELECT question FROM evaluation_questions").fetchall()
    finally:
        ledger.close()
    assert left
    assert not any("delft.pdf" in question for (question,) in left)
    second = shell.json("eval", "--own", "--compare", "--retrieval-only")
    (was, now) = (run["sets"]["own"] for run in (before, second))
    assert now["n"] + now["gate"]["n"] < was["n"] + was["gate"]["n"]
