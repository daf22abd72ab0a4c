"""Tables are found by the look of their lines, with caption and header row."""

from __future__ import annotations

import pytest

from rag.ingestion.chunking import RecursiveChunker
from rag.ingestion.pdf.tables import find_tables
from tests.factories import document

BALANCE = """The notes are an integral part of these statements.
Consolidated Balance Sheet
At December 31
(Dollars in millions) 2018 2017
Assets
Current assets
Cash and cash equivalents $ 2,853 $ 3,053
Marketable securities — current 380 1,076
Inventories
Finished goods 2,120 1,915
Total assets $ 36,500 $ 37,987"""
PIPES = """这是前面的一句话。
3.4 推理性能对比
以下是不同优化技术的性能对比:
优化技术 | 吞吐量(tokens/s) | 延迟(ms/token) |
---|---|---|
原始FP16 | 45.2 | 22.1 |
TensorRT-LLM | 254.7 | 3.9 |"""


def parts(text: str) -> list[tuple[str, str]]:
    return [(text[t.start : t.body].strip(), text[t.body : t.end]) for t in find_tables(text)]


def test_a_financial_table_has_its_caption_and_its_years() -> None:
    ((header, rows),) = parts(BALANCE)
    assert header.startswith("Consolidated Balance Sheet\nAt December 31\n")
    assert "(Dollars in millions) 2018 2017" in header
    assert rows.startswith("Cash and cash equivalents")
    assert rows.endswith("$ 37,987")


def test_a_table_with_bars_has_its_first_row_as_header() -> None:
    ((header, rows),) = parts(PIPES)
    assert header.startswith("3.4 推理性能对比\n以下是")
    assert header.endswith("---|---|---|")
    assert rows == "原始FP16 | 45.2 | 22.1 |\nTensorRT-LLM | 254.7 | 3.9 |"


@pytest.mark.parametrize(
    "header",
    [
        "Fiscal Years Ended January 28, 2023 January 29, 2022",
        "($ million) June 30, 2022 June 30, 2023",
        "Q2 2023 Q2 2022",
        "单位：百万元 2018年 2017年",
        "项目 2018年12月31日 2017年12月31日",
        "FY2018 FY2017",
    ],
)
def test_a_line_of_dates_is_a_header_and_no_row(header: str) -> None:
    ((found, rows),) = parts(f"{header}\nRevenue 46,298 51,761\nCost 36,386 40,121\n")
    assert found == header
    assert rows.startswith("Revenue")


def test_a_new_line_of_years_begins_a_new_table() -> None:
    text = "A 2018 2017\nx 1 2\ny 3 4\nB 2016 2015\nx 5 6\ny 7 8"
    assert [header for header, _ in parts(text)] == ["A 2018 2017", "B 2016 2015"]


@pytest.mark.parametrize(
    "prose",
    [
        "In 2018 the company employed 93,516 people, with 37,412 in the United States.",
        "See Note 16 and Note 17.\nThe rest follows on page 12.",
        "第一章介绍了2018年的情况。\n第二章在第12页。",
        "",
    ],
)
def test_prose_with_numbers_is_no_table(prose: str) -> None:
    assert find_tables(prose) == []


def chunks(text: str, *, tokens: int = 120):
    cut = RecursiveChunker(tokens=tokens, overlap=0, max_tokens=512, count=len)
    return cut.split(document(text))


def test_every_passage_of_a_long_table_carries_the_header() -> None:
    rows = "\n".join(f"Line item number {n} {n},123 {n},456" for n in range(10, 40))
    text = f"Statement of Income\n(Millions) 2018 2017\n{rows}"
    first, *later = chunks(text)
    assert first.context == ""
    assert len(later) > 3
    assert {chunk.context for chunk in later} == {"Statement of Income\n(Millions) 2018 2017"}
    assert all(chunk.text.startswith("Line item") for chunk in later)
    assert all(chunk.text.rsplit(" ", 1)[1].endswith(",456") for chunk in later)


def test_a_table_that_fits_stays_in_one_passage() -> None:
    before = "Some words before the table are here. " * 6
    found = chunks(f"{before}\n\n{PIPES}", tokens=150)
    assert sum("TensorRT-LLM" in chunk.text for chunk in found) == 1
    (table,) = (chunk for chunk in found if "TensorRT-LLM" in chunk.text)
    assert "吞吐量" in table.text


def test_what_stands_outside_of_tables_has_no_context() -> None:
    assert {c.context for c in chunks("A sentence without a table. " * 30)} == {""}


@pytest.mark.parametrize(
    ("row", "is_row"),
    [
        ("Net sales $ 32,765 $ (31,657)", True), ("Change (1.5)% 12 %", True), ("Gain — 5", True),
        ("Margin 3 %) -$4", True), ("Note $ - 3 N/A", True), ("Net sales 32,765", False),
        ("It grew by 5 in 2018 x", False),
    ],
)  # fmt: skip
def test_two_cells_at_the_end_make_a_row(row, is_row):
    assert bool(find_tables(f"Caption\n{row}\n{row}")) is is_row
