from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag.app.container import Container
from rag.evaluation.library import brought
from rag.indexing.incoming import quiet
from rag.ingestion.workers.pool import WorkerPool
from rag.ingestion.workers.tasks import WorkerLimits
from rag.storage.ocr_pages import waiting_pages
from tests.factories import settings
from tests.fake_recognisers import OBEDIENT
from tests.inside import Inside
from tests.pdfs import write_pdf
from tests.unit.evaluation.test_collections import write_beir, write_squad

pytestmark = pytest.mark.usefixtures("shared_workers")


@pytest.fixture
def shell(tmp_path: Path) -> Inside:
    made = Inside(tmp_path / "knowledge")
    made.folder.mkdir()
    made.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of three questions, one of them about a chart."""
    made = tmp_path / "set"
    write_pdf(made / "pdfs" / "lease.pdf", ["The monthly rent is 950 euros.", "No pets."])
    write_pdf(made / "pdfs" / "card.pdf", ["显存带宽是每秒1008GB。", "功耗是450瓦。"])
    rows: list[dict[str, Any]] = [
        {"docs": ["lease.pdf"], "question": "How much is the monthly rent?", "pages_1based": [1]},
        {"docs": ["card.pdf"], "question": "功耗是多少瓦？", "pages_1based": [2], "lang": "zh"},
        {"docs": ["card.pdf"], "question": "?", "pages_1based": [2], "needs_vision": True},
    ]
    (made / "questions").mkdir()
    (made / "questions" / "home.jsonl").write_text(
        "\n".join(
            json.dumps({"id": n, "lang": "en", "answers": ["x"], "answerable": True, **row})
            for n, row in enumerate(rows)
        )
    )
    return made


def test_a_folder_gives_the_object_of_the_contract(shell: Inside, folder: Path) -> None:
    found = shell.json("eval", str(folder), "--retrieval-only")
    home = found["sets"]["home"]
    assert home["n"] == 2
    for mode in ("shared", "single"):
        assert home[mode] == {"hit@1": 1.0, "hit@5": 1.0, "hit@10": 1.0, "mrr": 1.0}
    assert home["left_out"] == {"needs_vision": 1}
    assert home["seconds_per_question"] > 0
    assert found["space"]["embedder"] == "hashing/256"
    assert found["model"] is None
    assert not {"citation", "answer", "abstention"} & home.keys()


def test_questions_about_scans_that_nobody_read_are_left_out_and_counted(
    shell: Inside, folder: Path
) -> None:
    write_pdf(folder / "pdfs" / "scan.pdf", ["#", "The deposit is two rents."])
    file = folder / "questions" / "scans.jsonl"
    row = {"lang": "en", "docs": ["scan.pdf"], "answers": ["x"], "answerable": True}
    rows = [
        row | {"id": "on the scan", "question": "What does it show?", "pages_1based": [1]},
        row | {"id": "beside it", "question": "How high is the deposit?", "pages_1based": [1, 2]},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    scans = shell.json("eval", str(folder), "--retrieval-only")["sets"]["scans"]
    assert scans["n"] == 1
    assert scans["left_out"] == {"page_not_read": 1}
    assert scans["single"]["hit@5"] == 1.0


def test_scans_are_recognised_where_the_settings_say_so(tmp_path: Path) -> None:
    source, knowledge = tmp_path / "set", tmp_path / "knowledge"
    write_pdf(source / "scan.pdf", ["#", "The deposit is two rents."])
    knowledge.mkdir()
    (knowledge / "scan.orders").write_text("tiger -")
    with closing(Container(settings(knowledge))) as container:
        container._pool = WorkerPool(
            workers=1, timeout_s=60, limits=WorkerLimits(30, 512), recogniser=OBEDIENT
        )
        with closing(container.ledger()) as ledger:
            brought(source, container, ledger, quiet)
            assert waiting_pages(ledger)
            measured = brought(source, container, ledger, quiet, recognised=True)
            assert not waiting_pages(ledger)
            (first, *_) = measured.searching()("tiger", 5, None)
            assert first.chunk.first_page == 1


def test_answers_are_judged_too(shell: Inside, folder: Path) -> None:
    found = shell.json("eval", str(folder), "--single", "--limit", "1")
    home = found["sets"]["home"]
    assert found["model"] == "echo"
    assert home["citation"] == {"page_precision": 1.0, "n": 1}
    assert home["answer"]["n"] == 1
    assert home["abstention"] == {
        "precision": None,
        "recall": None,
        "f1": None,
        "false_refusals": 0.0,
        "n": 0,
    }
    said = shell.run("eval", str(folder), "--sets", "home", "--single").stdout
    assert "left out: needs_vision 1" in said
    # the engine for trying things out begins with a passage's first page, whatever is asked
    assert "answers 2: right page cited 0.500 of 2" in said


def test_each_answer_can_be_looked_at(shell: Inside, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    shell.json("eval", str(folder), "--details", str(file))
    first, second = map(json.loads, file.read_text("utf-8").splitlines())
    assert (first["set"], first["question"]) == ("home", "How much is the monthly rent?")
    assert "950" in first["answer"]
    assert (first["right_page"], second["right_page"]) == (True, False)
    assert first["score"]["f1"] == 0.0


def test_a_person_s_own_library_is_not_touched(shell: Inside, folder: Path) -> None:
    shell.json("eval", str(folder), "--retrieval-only")
    assert list(shell.folder.iterdir()) == []
    assert sorted(p.name for p in folder.iterdir()) == ["pdfs", "questions"]


def test_a_changed_set_is_measured_as_it_is_now(shell: Inside, folder: Path) -> None:
    shell.json("eval", str(folder), "--retrieval-only")
    (folder / "pdfs" / "card.pdf").unlink()
    home = shell.json("eval", str(folder), "--retrieval-only")["sets"]["home"]
    assert home["single"]["hit@10"] == 0.5


def test_other_settings_are_measured_beside_the_first(shell: Inside, folder: Path) -> None:
    first = shell.json("eval", str(folder), "--retrieval-only")["space"]["chunking"]
    shell.environment["RAGDESK_CHUNK__TOKENS"] = "100"
    second = shell.json("eval", str(folder), "--retrieval-only")["space"]["chunking"]
    assert (first.split("/")[1], second.split("/")[1]) == ("230", "100")


def test_texts_are_found_by_their_questions(shell: Inside, tmp_path: Path) -> None:
    file = write_squad(tmp_path / "texts.json", ["about 0: rent", "about 1: pets"])
    for _ in range(2):  # the second time nothing is indexed again
        assert shell.json("eval", "--squad", str(file))["sets"]["texts"]["hit@5"] == 1.0
    beir = write_beir(tmp_path / "tiny")
    found = shell.json("eval", "--beir", str(beir))["sets"]["tiny"]
    assert (found["n"], found["recall@100"]) == (2, 1.0)


def test_a_set_that_is_not_there_is_named_before_anything_is_indexed(
    shell: Inside, folder: Path, tmp_path: Path
) -> None:
    done = shell.run("eval", str(folder), "--sets", "home,away")
    assert done.returncode == 1
    assert "There is no set away." in done.stderr
    assert "home" in done.stderr
    assert not list((tmp_path / "cache").rglob("*.pdf"))


def test_without_a_set_it_says_what_to_name(shell: Inside, tmp_path: Path) -> None:
    assert "--squad" in shell.run("eval").stderr
    assert "questions/*.jsonl" in shell.run("eval", str(tmp_path)).stderr


def test_languages_are_told_apart_and_intervals_bound_the_figures(
    shell: Inside, folder: Path
) -> None:
    home = shell.json("eval", str(folder), "--retrieval-only")["sets"]["home"]
    assert {language: row["n"] for language, row in home["languages"].items()} == {"en": 1, "zh": 1}
    assert home["languages"]["zh"]["single"]["hit@1"] == 1.0
    low, high = home["intervals"]["shared.hit@5"]
    assert low <= home["shared"]["hit@5"] <= high


def test_a_run_is_kept_with_its_settings_and_compared_with_the_next(
    shell: Inside, folder: Path
) -> None:
    first = shell.json("eval", str(folder), "--retrieval-only", "--name", "before")
    assert first["settings"]["retrieve.candidates"] == 50
    shell.environment["RAGDESK_CHUNK__TOKENS"] = "100"
    second = shell.json("eval", str(folder), "--retrieval-only", "--compare")
    assert second["compared"]["run"] == first["run"]
    old, new = second["compared"]["changed"]["chunking"]
    assert (old.split("/")[1], new.split("/")[1]) == ("230", "100")
    assert second["compared"]["fell"] == []
    runs = shell.json("eval", str(folder), "--runs")["runs"]
    assert [run["run"] for run in runs] == [second["run"], first["run"]]
    named = shell.run("eval", str(folder), "--retrieval-only", "--against", "before")
    assert "Compared with run 1 (before)" in named.stdout


def test_a_fall_is_named_and_ends_with_three(shell: Inside, tmp_path: Path) -> None:
    """Ten questions lose their documents between two runs."""
    made = tmp_path / "many"
    trees = ["apple", "birch", "cedar", "elder", "ficus", "hazel", "larch", "maple"]
    rows = []
    for year, tree in enumerate(trees, start=1900):
        write_pdf(made / f"{tree}.pdf", [f"The {tree} was planted in {year}."])
        row = {"id": tree, "lang": "en", "docs": [f"{tree}.pdf"], "pages_1based": [1]}
        rows.append({**row, "question": f"When was the {tree} planted?", "answers": [str(year)]})
    (made / "questions").mkdir()
    (made / "questions" / "trees.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert shell.run("eval", str(made), "--compare", "--retrieval-only").returncode == 1
    shell.json("eval", str(made), "--retrieval-only")
    for tree in trees[:6]:
        (made / f"{tree}.pdf").unlink()
    done = shell.run("eval", str(made), "--compare", "--retrieval-only")
    assert done.returncode == 3
    worse = [line.split()[:2] for line in done.stdout.splitlines() if line.endswith("WORSE")]
    assert ["trees", "shared.hit@5"] in worse


def test_a_chart_is_a_picture_on_white(shell: Inside, folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "chart.png"
    shell.json("eval", str(folder), "--retrieval-only", "--chart", str(file))
    with Image.open(file) as picture:
        assert picture.getpixel((2, 2))[:3] == (255, 255, 255)  # type: ignore[index]
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 10
    nowhere = shell.run("eval", str(folder), "--chart", str(tmp_path / "no" / "chart.png"))
    assert "There is no folder" in nowhere.stderr


def test_a_library_that_is_being_measured_says_by_whom(
    shell: Inside, folder: Path, tmp_path: Path
) -> None:
    from rag.storage.lock import LibraryLock

    shell.json("eval", str(folder), "--retrieval-only")
    (data,) = (tmp_path / "cache").rglob(".rag")
    owner = LibraryLock(data)
    try:
        done = shell.run("eval", str(folder), "--retrieval-only")
    finally:
        owner.release()
    assert done.returncode == 1
    assert "is in use by" in done.stderr


def test_a_question_whose_document_is_taken_out_is_asked_without_it(
    shell: Inside, folder: Path
) -> None:
    file = folder / "questions" / "home.jsonl"
    row = {"id": "out", "lang": "en", "docs": ["lease.pdf"], "question": "How much is the rent?",
           "answers": ["950"], "pages_1based": [1], "taken_out": "document"}  # fmt: skip
    file.write_text(file.read_text() + "\n" + json.dumps(row))
    home = shell.json("eval", str(folder), "--retrieval-only")["sets"]["home"]
    assert home["n"] == 2
    assert home["gate"]["n"] == 1
    assert (home["gate"]["recall"], home["gate"]["false_refusals"]) == (1.0, 0.0)
