from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.inside import Inside
from tests.pdfs import write_pdf


@pytest.fixture
def shell(tmp_path: Path) -> Inside:
    made = Inside(tmp_path / "knowledge")
    made.folder.mkdir()
    made.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    return made


def question_set(folder: Path, *answers: str) -> Path:
    write_pdf(folder / "pdfs" / "lease.pdf", ["The monthly rent is 950 euros.", "No pets."])
    rows: list[dict[str, Any]] = [
        {"id": n, "lang": "en", "docs": ["lease.pdf"], "question": "How much is the monthly rent?",
         "pages_1based": [1], "answers": [answer], "answerable": True}
        for n, answer in enumerate(answers)
    ]  # fmt: skip
    (folder / "questions").mkdir()
    (folder / "questions" / "home.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_every_row_is_asked_the_questions_of_a_set_over_the_passages_that_are_found(
    shell: Inside, tmp_path: Path
) -> None:
    # the engine without a model repeats the best passage: one of these stands in it
    folder = question_set(tmp_path / "set", "950", "a sum that nobody named", "long " * 30)
    found = shell.json("bench", "--quick", "--engine", "echo", "--questions", str(folder))
    (row,) = found["rows"]
    assert (row["accuracy"]["n"], row["accuracy"]["contains"]) == (2, 0.5)


def test_a_set_without_short_answers_is_refused_before_anything_is_measured(
    shell: Inside, tmp_path: Path
) -> None:
    folder = question_set(tmp_path / "set", "long " * 30)
    done = shell.run("bench", "--engine", "echo", "--questions", str(folder))
    assert done.returncode == 1
    assert "short answer" in done.stderr
