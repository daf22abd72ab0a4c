"""The user guide that ships in knowledge/ is complete, readable by programs, and up to date."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2
import pytest

from rag.types.documents import PAGE_STATES
from tests.conftest import skip_or_fail
from tests.guide.source import Block, Figure, Grid, Heading, Paragraph, read_source

ROOT = Path(__file__).parents[2]
SOURCES = {
    "RAG Desk guide.pdf": ROOT / "tests/guide/guide_en.md",
    "RAG Desk 使用指南.pdf": ROOT / "tests/guide/guide_zh.md",
}
MADE_WITH_REPORTLAB = "5.1"
guides = pytest.mark.parametrize("name", SOURCES)


def pdf(name: str) -> Path:
    return ROOT / "knowledge" / name


def text_of(name: str) -> str:
    document = pypdfium2.PdfDocument(pdf(name))
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def bare(text: str) -> str:
    """Without white space and the marks of the source: line breaks of a page don't matter."""
    return re.sub(r"[\s`\x00-\x1f]", "", text)


def headings(blocks: list[Block]) -> list[Heading]:
    return [block for block in blocks if isinstance(block, Heading) and block.level > 1]


@guides
def test_a_guide_ships_and_is_small(name: str) -> None:
    assert 10_000 < pdf(name).stat().st_size < 400_000
    assert 4 <= len(pypdf.PdfReader(pdf(name)).pages) <= 6


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "RAG Desk guide.pdf",
            "How do I add documents? To add documents, copy your PDF files into the",
        ),
        (
            "RAG Desk 使用指南.pdf",
            "如何添加文档？要添加文档，请把 PDF 文件复制到知识文件夹，或者直接拖到浏览器的页面上",
        ),
    ],
)
def test_the_first_question_of_a_newcomer_is_answered_under_its_own_heading(
    name: str, sentence: str
) -> None:
    assert bare(sentence) in bare(text_of(name))


@guides
def test_every_word_of_the_source_can_be_read_back_from_the_pdf(name: str) -> None:
    shown = bare(re.sub(r"\n[^\n]*\d+ / \d+\s*\Z", "", text_of(name)))
    shown = re.sub(bare(name.removesuffix(".pdf")) + r"\d/\d", "", shown)  # the foot of a page
    lost = [text for text in texts(read_source(SOURCES[name])) if bare(text) not in shown]
    assert lost == []


def texts(blocks: list[Block]) -> list[str]:
    found: list[str] = []
    for block in blocks:
        match block:
            case Heading(_, text) | Paragraph(text):
                found.append(text)
            case Grid(rows):
                found += [cell for row in rows for cell in row]
            case Figure(_, rows):
                found += [cell for row in rows for cell in row[1:]]
    return found


@guides
def test_the_outline_has_every_heading_on_two_levels(name: str) -> None:
    expected = [
        (heading.level - 2, heading.text) for heading in headings(read_source(SOURCES[name]))
    ]
    reader = pypdf.PdfReader(pdf(name))
    assert outline(reader.outline) == expected
    assert {level for level, _ in expected} == {0, 1}


def outline(entries: Sequence[object], level: int = 0) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for entry in entries:
        if isinstance(entry, list):
            found += outline(entry, level + 1)
        else:
            assert isinstance(entry, pypdf.generic.Destination)
            found.append((level, str(entry.title)))
    return found


@guides
def test_title_and_language_are_in_the_file_and_all_fonts_are_embedded(name: str) -> None:
    reader = pypdf.PdfReader(pdf(name))
    assert reader.metadata is not None
    assert reader.metadata.title == name.removesuffix(".pdf")
    language: Any = reader.root_object["/Lang"]
    assert language == ("en" if name.isascii() else "zh-CN")
    for page in reader.pages:
        for font in fonts(page):
            assert "/FontFile2" in font["/FontDescriptor"]


def fonts(page: pypdf.PageObject) -> list[Any]:
    resources: Any = page["/Resources"]
    return [font.get_object() for font in resources["/Font"].values()]


def test_both_guides_have_the_same_sections_tables_and_figures() -> None:
    english, chinese = (shape(read_source(path)) for path in SOURCES.values())
    assert english == chinese


def shape(blocks: list[Block]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for block in blocks:
        match block:
            case Heading(level, _):
                found.append(("heading", level))
            case Grid(rows):
                found.append(("table", (len(rows), len(rows[0]))))
            case Figure(name, _):
                found.append(("figure", name))
    return found


@guides
def test_the_table_of_page_states_lists_all_of_them(name: str) -> None:
    tables = [block for block in read_source(SOURCES[name]) if isinstance(block, Grid)]
    assert any(tuple(row[0] for row in table.rows[1:]) == PAGE_STATES for table in tables)


@guides
def test_a_table_row_of_another_length_is_refused(name: str, tmp_path: Path) -> None:
    broken = tmp_path / "guide.md"
    text = SOURCES[name].read_text("utf-8")
    broken.write_text(text.replace("| ocr |", "| ocr | one more |"), "utf-8")
    with pytest.raises(ValueError, match="different lengths"):
        read_source(broken)


def reason_for_other_bytes() -> str | None:
    """Say why this machine cannot give the bytes that ship; ``None`` if it can."""
    try:
        found = version("reportlab")
    except PackageNotFoundError:
        return "reportlab is not installed"
    if not found.startswith(MADE_WITH_REPORTLAB):
        return f"the guides were made with reportlab {MADE_WITH_REPORTLAB}, not {found}"
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        return "this zlib compresses to other bytes"
    from tests.guide.build_guide import FONT, FONT_SHA256

    if not FONT.is_file():
        return f"no font {FONT}: install fonts-wqy-microhei"
    other = hashlib.sha256(FONT.read_bytes()).hexdigest() != FONT_SHA256
    return f"{FONT} is another edition of the font" if other else None


@guides
def test_typesetting_the_source_again_gives_the_file_that_ships(name: str) -> None:
    if reason := reason_for_other_bytes():
        skip_or_fail(reason)
    from tests.guide.build_guide import FONT, GUIDES, build

    guide = next(guide for guide in GUIDES if guide.file == name)
    assert build(guide, font=FONT) == pdf(name).read_bytes()
