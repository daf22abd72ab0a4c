"""Page retrieval on manuals that no default was fitted to: tests/eval/manuals.md.

RAG_TEST_MANUALS names a folder with the PDFs; else they are looked for where Debian's packages
put them. A library of them is kept in the cache folder between runs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from rag.evaluation.datasets import load_set
from tests.eval.by_document import DocumentRow, rows_of
from tests.eval.measure_retrieval import Bench, synced

pytestmark = [pytest.mark.eval, pytest.mark.model, pytest.mark.timeout(3600)]

QUESTIONS = Path(__file__).with_name("manuals.jsonl")
INSTALLED = (Path("/usr/share/R/doc/manual"), Path("/usr/share/doc/debmake-doc"))
CHECKSUMS = {
    "R-admin.pdf": "50e256b5f873bbee4c8482df3754fa8654f02ef693409fe5e30b2f114e3efe9f",
    "R-exts.pdf": "792220b273d40e8629664d5dd0d6ae4151419d14f613a949aebe85b8c2a1f85c",
    "debmake-doc.zh-cn.pdf": "4ede55a6f80d39cbac8a79cbb47fe927b009a5c632a202c31d27e632999680f9",
}


def found() -> Mapping[str, Path]:
    """Return the PDFs on this machine whose pages are those that the questions name."""
    named = os.environ.get("RAG_TEST_MANUALS")
    folders = (Path(named),) if named else INSTALLED
    files = {name: folder / name for name in CHECKSUMS for folder in folders}
    return {
        name: file
        for name, file in files.items()
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == CHECKSUMS[name]
    }


@pytest.fixture(scope="module")
def rows(models_folder: Path) -> list[DocumentRow]:
    manuals = found()
    if missing := CHECKSUMS.keys() - manuals:
        # never a failure: the packages of one Debian release have them, and no other
        pytest.skip(f"no {', '.join(sorted(missing))}; RAG_TEST_MANUALS names a folder")
    folder = user_cache_path("ragdesk", appauthor=False) / "manuals"
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in manuals.items():
        if not (folder / name).exists():
            shutil.copy2(file, folder / name)
    synced(folder, models_folder)
    os.environ["RAGDESK_MODELS__FOLDER"] = str(models_folder)
    bench = Bench(folder)
    try:
        return list(rows_of(bench, [load_set(QUESTIONS)]))
    finally:
        bench.close()
        del os.environ["RAGDESK_MODELS__FOLDER"]


@pytest.mark.parametrize("document", sorted(CHECKSUMS))
def test_no_manual_is_searched_worse_than_by_the_words_of_its_pages(
    rows: list[DocumentRow], document: str
) -> None:
    (row,) = [row for row in rows if row.document == document]
    assert row.count >= 20
    assert not row.below, row
