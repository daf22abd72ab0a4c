from __future__ import annotations

from rag.ingestion.pdf.render import merged
from rag.types.documents import Box


def test_runs_of_one_line_become_one_box() -> None:
    runs = [Box(1, 10, 100, 50, 110), Box(1, 51, 99, 80, 110), Box(1, 82, 101, 120, 111)]
    assert merged(runs) == [Box(1, 10, 99, 120, 111)]


def test_lines_pages_and_far_columns_stay_apart() -> None:
    apart = [
        Box(1, 10, 100, 50, 110),
        Box(1, 10, 112, 50, 122),
        Box(1, 300, 112, 350, 122),
        Box(2, 351, 112, 380, 122),
    ]
    assert merged(apart) == apart


def test_no_boxes_no_lines() -> None:
    assert merged([]) == []
