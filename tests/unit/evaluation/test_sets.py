"""Reading evaluation sets."""

from __future__ import annotations

import json

import pytest

from rag.errors import ConfigError
from rag.evaluation.datasets import load_sets

ROW = {
    "id": 7,
    "set": "whatever",
    "lang": "en",
    "docs": ["a.pdf"],
    "question": "How many?",
    "answers": [12],
    "pages_1based": [2, 3],
    "answerable": True,
    "type": None,
}


def write(folder, name, rows):
    (folder / "questions").mkdir(exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "questions" / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")


def test_rows_are_read_and_the_set_is_named_after_its_file(tmp_path):
    write(tmp_path, "b", [ROW])
    write(tmp_path, "a", [ROW, ""])
    first, second = load_sets(tmp_path)
    assert (first.name, second.name) == ("a", "b")
    (question,) = second.questions
    assert (question.id, question.set, question.answers) == ("7", "b", ("12",))
    assert (question.pages, question.kind, question.answerable) == ((2, 3), "", True)


def test_rows_that_cannot_be_judged_are_left_out_and_counted(tmp_path):
    rows = [
        ROW,
        ROW | {"needs_vision": True},
        ROW | {"doc_has_no_text_layer": True},
        ROW | {"evidence_overlap_on_page": 0.79},
        ROW | {"evidence_overlap_on_page": 0.8},
    ]
    write(tmp_path, "s", rows)
    (found,) = load_sets(tmp_path)
    assert len(found.questions) == 2
    assert found.left_out == {"needs_vision": 1, "no_text_layer": 1, "evidence_not_on_page": 1}


def test_a_scanned_document_counts_once_it_was_read_by_ocr(tmp_path):
    write(tmp_path, "s", [ROW | {"doc_has_no_text_layer": True}])
    (found,) = load_sets(tmp_path, read_by_ocr={"a.pdf"})
    assert len(found.questions) == 1


def test_pages_can_be_judged_only_for_answerable_rows_that_name_them(tmp_path):
    rows = [ROW, ROW | {"answerable": False}, ROW | {"pages_1based": []}, ROW | {"docs": []}]
    write(tmp_path, "s", rows)
    (found,) = load_sets(tmp_path)
    assert len(found.questions) == 4
    assert len(found.with_pages()) == 1


def test_a_folder_without_questions_is_an_error_that_says_what_is_needed(tmp_path):
    with pytest.raises(ConfigError, match="questions"):
        load_sets(tmp_path)


@pytest.mark.parametrize("line", ["{", "{}", '{"id": 1, "lang": "en", "docs": null}'])
def test_a_bad_line_is_named(tmp_path, line):
    write(tmp_path, "s", [ROW, line])
    with pytest.raises(ConfigError, match=r"s\.jsonl, line 2"):
        load_sets(tmp_path)
