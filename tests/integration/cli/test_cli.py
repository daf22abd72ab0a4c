"""The command line as scripts use it: real PDFs, no model.

What a command has to do with processes is asked of real ones, by a ``Shell``; what it prints
is the same inside the test's own, which costs a tenth.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rag.indexing.calibration import keep
from rag.retrieval.relevance import Calibration
from rag.storage.jobs import Jobs
from rag.storage.ledger import Ledger
from rag.storage.lock import LibraryLock
from tests.inside import Inside
from tests.pdfs import write_pdf

ROOT = Path(__file__).parents[3]


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "LC_", "LANG"))},
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "RAGDESK_KNOWLEDGE": str(folder),
            "RAGDESK_EMBEDDER__MODEL": "hashing",
            "RAGDESK_GENERATOR__ENGINE": "echo",
            "RAGDESK_INGEST__WORKERS": "1",
            "RAGDESK_INGEST__OCR": "off",
            "RAGDESK_RETRIEVE__INDEX": "numpy",
        }

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rag", *words],
            cwd=self.folder.parent, env={**self.environment, **environment},
            capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip

    def json(self, *words: str, code: int = 0, **environment: str) -> Any:
        done = self.run(*words, "--json", **environment)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)


def write_both(folder: Path) -> Path:
    write_pdf(folder / "lease.pdf", ["The monthly rent is 950 euros.", "", "Pets are not allowed."])
    write_pdf(folder / "手册.pdf", ["显存带宽是每秒1008GB。", "功耗是450瓦。"], title="显卡手册")
    return folder


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(write_both(tmp_path / "knowledge"))


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was synced once for all."""
    folder = write_both(tmp_path_factory.mktemp("indexed") / "knowledge")
    Shell(folder).json("sync")
    return folder


@pytest.fixture
def synced(indexed: Path, tmp_path: Path) -> Shell:
    return Shell(Path(shutil.copytree(indexed, tmp_path / "knowledge")))


@pytest.fixture
def inside(synced: Shell) -> Inside:
    """The same library without processes."""
    return Inside(synced.folder)


def test_sync_prints_the_object_of_the_contract(shell: Shell) -> None:
    found = shell.json("sync")
    assert found["files"] == {
        "added": 2, "updated": 0, "moved": 0, "removed": 0, "unchanged": 0, "duplicate": 0,
        "failed": [],
    }  # fmt: skip
    assert found["pages"] == {
        "text": 4, "ocr": 0, "empty": 1, "garbled": 0, "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert set(found["stages"]) == {"read_s", "parse_s", "ocr_s", "chunk_s", "embed_s", "write_s"}
    assert found["chunks"] > 0
    assert found["seconds"] > 0
    assert found["peak_rss_bytes"] > 10**7
    assert shell.json("sync")["files"]["unchanged"] == 2


def test_a_gap_is_told_by_the_exit_code(shell: Shell) -> None:
    (shell.folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    found = shell.json("sync", code=3)
    (failed,) = found["files"]["failed"]
    assert failed["path"] == "broken.pdf"
    assert "damaged" in failed["reason"]
    assert shell.run("status").returncode == 3


def test_status_accounts_for_every_page(inside: Inside) -> None:
    found = inside.json("status", "--pages")
    lease = next(d for d in found["documents"] if d["paths"] == ["lease.pdf"])
    assert lease["pages"]["text"] == 2
    assert [(p["number"], p["state"]) for p in lease["page_states"]] == [
        (1, "text"), (2, "empty"), (3, "text"),
    ]  # fmt: skip
    assert "blank" in lease["page_states"][1]["reason"]
    assert found["space"]["stale"] == 0
    assert found["space"]["chunks"] > 0
    assert found["totals"]["pages"]["text"] == 4
    assert "page_states" not in inside.json("status")["documents"][0]


def test_search_prints_the_object_of_the_contract(inside: Inside) -> None:
    found = inside.json("search", "monthly rent", "--k", "2")
    best = found["passages"][0]
    assert best["document"] == best["path"] == "lease.pdf"
    assert (best["page"], best["label"]) == (1, "1")
    assert "950 euros" in best["text"]
    assert best["ranks"]["lexical"] == 1
    assert best["boxes"]
    assert all(len(box) == 5 for box in best["boxes"])
    assert set(found["seconds"]) == {"embed", "dense", "lexical", "fuse", "rerank"}
    assert len(found["passages"]) <= 2


def test_a_first_question_does_not_wait_for_text_recognition(shell: Shell) -> None:
    write_pdf(shell.folder / "scan.pdf", ["#"])
    done = shell.run("search", "monthly rent", RAGDESK_INGEST__OCR="auto")
    assert done.returncode == 0, done.stderr
    assert "950 euros" in done.stdout
    assert shell.json("status", code=3)["totals"]["ocr_waiting"] == 1


@pytest.mark.slow
def test_search_can_be_limited_to_one_document(inside: Inside) -> None:
    found = inside.json("search", "rent", "--document", "手册.pdf")
    assert {p["document"] for p in found["passages"]} == {"手册.pdf"}
    write_pdf(inside.folder / "old" / "lease.pdf", ["The monthly rent was 800 euros."])
    inside.json("sync")
    for path, pages in (("lease.pdf", {"lease.pdf"}), ("old/lease.pdf", {"old/lease.pdf"})):
        found = inside.json("search", "rent", "--document", path)
        assert {p["path"] for p in found["passages"]} == pages, "a path means this file alone"
    wrong = inside.run("search", "rent", "--document", "no.pdf")
    assert wrong.returncode == 1
    assert "no.pdf" in wrong.stderr
    assert "→" in wrong.stderr


def test_ask_streams_an_answer_with_its_source(shell: Shell) -> None:
    done = shell.run("ask", "What is the monthly rent?")
    assert done.returncode == 0, done.stderr
    assert "950 euros" in done.stdout
    assert "lease.pdf, page 1" in done.stdout
    assert (shell.folder / ".rag" / "library.db").is_file()  # the first question syncs by itself


def test_ask_prints_the_object_of_the_contract(inside: Inside) -> None:
    found = inside.json("ask", "What is the monthly rent?")
    assert found["language"] == "en"
    assert found["verdict"] in {"supported", "weak"}
    assert found["model"] == "echo"
    sentence = found["sentences"][0]
    assert sentence["evidence"][0]["document"] == "lease.pdf"
    assert sentence["evidence"][0]["page"] == 1
    assert sentence["evidence"][0]["boxes"]
    assert found["usage"]["completion_tokens"] > 0
    assert found["memory"]["process_bytes"] > 0


def test_what_is_not_there_is_said_in_the_language_of_the_question(inside: Inside) -> None:
    found = inside.json("ask", "西班牙的首都在哪里？")
    assert found["verdict"] == "not_in_documents"
    assert found["language"] == "zh"
    assert found["usage"]["completion_tokens"] == 0
    assert found["model"] == ""


@pytest.mark.slow
def test_forget_removes_and_undo_brings_back(inside: Inside) -> None:
    inside.json("forget", "knowledge/lease.pdf")  # as the shell completes it
    names = {p["document"] for p in inside.json("search", "monthly rent")["passages"]}
    assert "lease.pdf" not in names
    assert (inside.folder / "lease.pdf").is_file()
    assert "1 document, 2 of 2 pages can be searched. 1 forgotten." in inside.run("status").stdout
    assert inside.json("forget", "--undo", str(inside.folder / "lease.pdf")) == {"syncing": False}
    inside.json("sync")
    assert inside.json("search", "monthly rent")["passages"][0]["document"] == "lease.pdf"


def test_why_tells_what_became_of_a_sentence_while_another_process_owns_the_library(
    synced: Shell, inside: Inside
) -> None:
    owner = LibraryLock(synced.folder / ".rag")
    try:
        found = synced.json("why", "What is the monthly rent?", "the monthly  rent is 950 euros")
    finally:
        owner.release()
    assert found["outcome"] == "prompt"
    assert found["place"]["document"] == "lease.pdf"
    assert found["place"]["page"] == 1
    assert {"stage", "passed", "what", "numbers"} == set(found["steps"][0])
    used = inside.json(
        "why", "What is the monthly rent?", "the monthly rent is 950 euros", "--answer",
        "--document", "lease.pdf", "--only",
    )  # fmt: skip
    assert used["outcome"] == "used"
    gap = inside.run(
        "why", "rent?", "Any sentence", "--document", "none.pdf", RAGDESK_UI__LANGUAGE="zh"
    )
    assert gap.returncode == 3
    assert "文件夹中没有文档 none.pdf" in gap.stdout
    assert "→ 请把它复制到文件夹中" in gap.stdout
    for words in (["", "a"], ["a", " "], ["a", "b", "--only"]):
        assert inside.run("why", *words).returncode == 2


def test_forgetting_nothing_in_particular_is_refused(inside: Inside) -> None:
    assert inside.run("forget").returncode == 2


def test_what_nobody_waits_for_any_more_is_not_done_later(synced: Shell) -> None:
    owner = LibraryLock(synced.folder / ".rag")  # one that does no jobs
    waiting = subprocess.Popen(
        [sys.executable, "-m", "rag", "forget", "lease.pdf"],
        cwd=synced.folder.parent, env=synced.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    ledger = Ledger(synced.folder / ".rag" / "library.db")
    jobs = Jobs(ledger)
    try:
        while jobs.next_queued(quick=True) is None:
            assert waiting.poll() is None
            time.sleep(0.02)
        ledger.connection.execute("UPDATE jobs SET heartbeat_at = 0")
        _, said = waiting.communicate(timeout=60)
        assert waiting.returncode == 1
        assert "in use by" in said
        assert jobs.next_queued(quick=True) is None
        assert ledger.forgotten() == set()
    finally:
        waiting.kill()
        ledger.close()
        owner.release()


@pytest.mark.slow
def test_rebuild_with_another_size_and_back(inside: Inside) -> None:
    inside.environment["RAGDESK_CHUNK__TOKENS"] = "32"
    assert inside.json("status")["space"]["stale"] == 2
    inside.json("rebuild")
    assert "recursive/32/" in inside.json("status")["space"]["chunker"]
    inside.json("rebuild", "--rollback")
    assert "recursive/32/" not in inside.json("status")["space"]["chunker"]


def test_without_a_library_reading_commands_say_what_to_do(shell: Shell) -> None:
    for words in (["status"],):
        done = shell.run(*words)
        assert done.returncode == 1
        assert "rag sync" in done.stderr
        assert "Traceback" not in done.stderr


def test_errors_are_told_in_chinese_to_a_chinese_system(shell: Shell) -> None:
    done = shell.run("status", LANG="zh_CN.UTF-8")
    assert "还没有资料库" in done.stderr


def test_a_wrong_setting_names_the_key(shell: Shell) -> None:
    done = shell.run("status", RAGDESK_CHUNK__TOKENS="-3")
    assert done.returncode == 1
    assert "chunk.tokens" in done.stderr


def test_documents_are_read_whole_on_demand_and_the_answer_says_how_much(inside: Inside) -> None:
    asked = inside.json("ask", "What is the monthly rent?", "--whole")
    assert asked["mode"] == "whole_document"
    assert asked["coverage"]["read"] == asked["coverage"]["of"] > 0


def test_a_chat_is_kept_only_if_asked_for_and_can_be_shown_and_exported(inside: Inside) -> None:
    inside.json("ask", "What is the monthly rent?", "--chat", "new")
    (chat,) = inside.json("chats", "list")["chats"]
    assert (chat["title"], chat["turns"]) == ("What is the monthly rent?", 1)
    kept = json.loads(inside.run("chats", "export", str(chat["id"]), "--format", "json").stdout)
    (turn,) = kept["turns"]
    assert turn["answer"]
    assert {document["now"] for document in turn["documents"]} == {"present"}
    shown = inside.run("chats", "show", str(chat["id"])).stdout
    assert "## What is the monthly rent?" in shown
    assert turn["answer"] in shown
    forgotten = inside.run("forget", turn["passages"][0]["path"])
    assert f"quotations from it: {chat['id']}" in forgotten.stdout
    assert ", forgotten" in inside.run("chats", "show", str(chat["id"])).stdout
    wrong = inside.run("chats", "show", "999")
    assert wrong.returncode == 1
    assert "rag chats list" in wrong.stderr


def test_an_unknown_option_is_a_usage_error(shell: Shell) -> None:
    assert shell.run("sync", "--no-such-option").returncode == 2


def test_doctor_finds_nothing_wrong(inside: Inside) -> None:
    found = inside.json("doctor")
    assert all(f["state"] != "error" for f in found["findings"])
    assert any("library holds together" in f["what"] for f in found["findings"])


def test_doctor_tells_what_the_library_knows_of_itself(inside: Inside) -> None:
    ledger = Ledger(inside.folder / ".rag" / "library.db")
    version = ledger.active_version()
    assert version is not None
    keep(ledger, version, {"en": Calibration(1.5, 1.0, 94), "zh": Calibration(-2.0, 0.1, 30)})
    ledger.close()
    findings = inside.json("doctor")["findings"]
    told = [(f["state"], f["what"], f["remedy"]) for f in findings if "own" in f["what"]]
    assert [state for state, *_ in told] == ["ok", "ok"]
    assert told[0][1].startswith("94 questions of its own in English")
    (warned,) = [f for f in findings if f["state"] == "warning" and "hardly" in f["what"]]
    assert "passages in Chinese" in warned["what"]
    assert "multilingual-e5-small" in warned["remedy"]
    assert "30 个中文问题" in inside.run("doctor", RAGDESK_UI__LANGUAGE="zh").stdout


def test_doctor_lists_the_term_files_and_says_which_is_left_out(
    synced: Shell, inside: Inside
) -> None:
    folder = synced.folder.parent / "terms"
    folder.mkdir()
    (folder / "estate.toml").write_text('[[also_called]]\nnames_en = ["LTV", "loan to value"]')
    (folder / "wrong.toml").write_text('[[also_called]]\nnames = ["LTV"]')
    findings = [f for f in inside.json("doctor")["findings"] if "erm file" in f["what"]]
    assert [f["state"] for f in findings] == ["ok", "ok", "warning"]
    own, shipped, wrong = (f["what"] for f in findings)
    assert own.endswith("estate.toml: 1 term")
    assert "finance.toml (comes with RAG Desk)" in shipped
    assert "wrong.toml: also_called[1].names:" in wrong
    assert "docs/terms.md" in findings[2]["remedy"]
    answered = synced.run("search", "What is the rent?")
    assert "950" in answered.stdout, "a file in error stops no question"
    assert answered.stderr.count("wrong.toml") <= 1
    shutil.rmtree(folder)


def test_a_folder_of_terms_that_is_named_and_not_there_is_told(inside: Inside) -> None:
    findings = inside.json("doctor", RAGDESK_RETRIEVE__TERMS="no-such")["findings"]
    assert any(f["what"] == "There is no folder no-such." for f in findings)


def test_help_names_every_command_and_loads_no_heavy_library(shell: Shell) -> None:
    done = shell.run("--help")
    for command in (
        "ui",
        "sync",
        "rebuild",
        "status",
        "forget",
        "ask",
        "search",
        "models",
        "doctor",
    ):
        assert command in done.stdout
    heavy = {
        "torch", "transformers", "chromadb", "gradio", "langchain_core", "numpy", "pydantic",
        "pypdfium2", "xllamacpp", "sentence_transformers", "sqlite3",
    }  # fmt: skip
    code = "import rag.cli, sys; print(*sys.modules)"
    loaded = subprocess.check_output(
        [sys.executable, "-c", code], env=shell.environment, text=True
    ).split()
    assert heavy.isdisjoint(loaded)


def test_a_sync_that_finds_nothing_new_loads_nothing_that_reading_needs(synced: Shell) -> None:
    synced.json("sync")  # a copied folder has other times
    code = (
        "import runpy, sys\n"
        "sys.argv = ['rag', 'sync']\n"
        "try:\n    runpy.run_module('rag', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.check_output(
        [sys.executable, "-c", code], env=synced.environment, text=True
    ).split()
    reading = {
        "numpy",
        "psutil",
        "pypdfium2",
        "rag.retrieval.analyser",
        "rag.text.anchors",
        "rag.text.quantities",
    }
    assert reading.isdisjoint(loaded)
