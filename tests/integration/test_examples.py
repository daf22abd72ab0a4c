"""The programs of ``examples/`` run as they stand, as a person would start them."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.cli import app
from tests.pdfs import write_pdf

ROOT = Path(__file__).parents[2]
SENTENCE = "The lessee pays the heating costs of the house."
ENVIRONMENT = {
    "RAGDESK_EMBEDDER__MODEL": "hashing",
    "RAGDESK_GENERATOR__ENGINE": "echo",
    "RAGDESK_INGEST__WORKERS": "1",
    "RAGDESK_INGEST__OCR": "off",
    "RAGDESK_RETRIEVE__INDEX": "numpy",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to start in, with a library in ``knowledge/``."""
    place = tmp_path_factory.mktemp("examples")
    write_pdf(place / "knowledge" / "lease.pdf", [SENTENCE])
    arguments = ["--knowledge", str(place / "knowledge"), "sync"]
    done = CliRunner().invoke(app, arguments, env=ENVIRONMENT)
    assert done.exit_code == 0, done.output
    return place


def run(name: str, *arguments: str, folder: Path) -> str:
    """Return what an example prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=folder, env={**os.environ, **ENVIRONMENT, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_langchain_chain_answers_from_the_library(folder: Path) -> None:
    assert SENTENCE in run("langchain_chain.py", folder=folder)


def test_the_page_about_langchain_shows_that_example() -> None:
    page = (ROOT / "docs" / "langchain.md").read_text("utf-8")
    shown = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    example = (ROOT / "examples" / "langchain_chain.py").read_text("utf-8")
    assert example.endswith(shown[1])


def test_a_script_makes_a_table_of_what_is_found(folder: Path) -> None:
    printed = run("search_to_csv.py", "Who pays the heating costs?", folder=folder)
    rows = list(csv.DictReader(printed.splitlines()))
    assert rows[0]["document"] == "lease.pdf"
    assert rows[0]["page"] == "1"
    assert rows[0]["passage"] == SENTENCE


def test_an_own_embedder_finds_misspelt_words(folder: Path) -> None:
    write_pdf(folder / "letters" / "lease.pdf", [SENTENCE])
    write_pdf(folder / "letters" / "cats.pdf", ["Cats sleep by day."])
    printed = run("own_embedder.py", "heatting csots", folder=folder).splitlines()
    assert printed[0].startswith(f"lease.pdf, page 1: {SENTENCE}")


def test_every_example_is_listed_and_run_here() -> None:
    programs = {path.name for path in (ROOT / "examples").glob("*.py")}
    listed = set(re.findall(r"\]\((\w+\.py)\)", (ROOT / "examples/README.md").read_text("utf-8")))
    assert listed == programs
    tests = Path(__file__).read_text("utf-8")
    assert [name for name in programs if f'run("{name}"' not in tests] == []
