"""What is read first, what next: columns, titles above them, tables."""

from __future__ import annotations

from rag.ingestion.ocr.page_text import Placed, reading_order
from rag.types.documents import Box
from rag.types.recognised_text import RecognisedLine, RecognisedWord, span_boxes


def column(prefix: str, x0: float, x1: float, *, top: float = 100, lines: int = 6) -> list[Placed]:
    return [
        Placed(f"{prefix}{n}", x0, top + 14 * n, x1 - 3 * (n % 2), top + 14 * n + 10)
        for n in range(lines)
    ]


def read(lines: list[Placed]) -> list[str]:
    """Return rows as they are read, from lines given top to bottom across the page."""
    lines = sorted(lines, key=lambda line: (line.y0, line.x0))
    return [" ".join(lines[i].text for i in row) for block in reading_order(lines) for row in block]


def names(prefix: str, lines: int = 6) -> list[str]:
    return [f"{prefix}{n}" for n in range(lines)]


def test_one_column_is_read_from_top_to_bottom() -> None:
    assert read(column("a", 50, 500)) == names("a")


def test_the_left_column_is_read_before_the_right_one() -> None:
    assert read(column("a", 50, 270) + column("b", 300, 520)) == names("a") + names("b")


def test_three_columns_are_read_one_after_the_other() -> None:
    lines = column("a", 50, 190) + column("b", 210, 350) + column("c", 370, 510)
    assert read(lines) == names("a") + names("b") + names("c")


def test_a_title_across_the_page_parts_what_is_above_from_what_is_below() -> None:
    title = Placed("title", 100, 200, 480, 214)
    lines = (
        column("a", 50, 270) + column("b", 300, 520) + [title]
        + column("c", 50, 270, top=230) + column("d", 300, 520, top=230)
    )  # fmt: skip
    assert read(lines) == [*names("a"), *names("b"), "title", *names("c"), *names("d")]


def test_the_rows_of_a_table_stay_rows() -> None:
    rows = []
    for n in range(6):
        y = 100 + 16 * n
        rows += [
            Placed(f"item{n}", 50, y, 200 - 15 * n, y + 10),
            Placed(f"{n}.1", 330, y + 1, 360, y + 11),
            Placed(f"{n}.2", 480, y, 510, y + 10),
        ]
    assert read(rows) == [f"item{n} {n}.1 {n}.2" for n in range(6)]


def test_a_wide_gap_begins_a_new_paragraph() -> None:
    lines = column("a", 50, 500, lines=2) + column("b", 50, 500, top=160, lines=2)
    assert [len(block) for block in reading_order(lines)] == [2, 2]


def test_no_lines_are_no_blocks() -> None:
    assert reading_order([]) == []


def test_a_span_has_the_boxes_of_the_words_it_touches() -> None:
    words = (RecognisedWord(0, 5, 10.0, 40.0), RecognisedWord(6, 11, 45.0, 80.0))
    lines = (
        RecognisedLine(0, 11, 10.0, 20.0, 80.0, 30.0, words),
        RecognisedLine(12, 15, 10.0, 32.0, 30.0, 42.0),
    )
    assert span_boxes(lines, page=3, start=6, end=14) == (
        Box(3, 45.0, 20.0, 80.0, 30.0), Box(3, 10.0, 32.0, 30.0, 42.0),
    )  # fmt: skip
    assert span_boxes(lines, page=3, start=15, end=20) == ()
