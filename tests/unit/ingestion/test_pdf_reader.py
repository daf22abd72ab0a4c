"""Reading real little PDFs, and odd ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import UnreadableDocument
from rag.ingestion.pdf.pdfium import opened
from rag.ingestion.pdf.reader import PdfReader
from rag.ingestion.pdf.render import boxes, render
from tests.pdfs import write_pdf


def read(path: Path):
    return PdfReader().read(path, document_id="d1")


def boxes_on_page_one(path: Path, *spans: tuple[int, int]):
    recipe = read(path).pages[0].recipe
    with opened(path) as pdf:
        return boxes(pdf, [(1, *span) for span in spans], {1: recipe})


def test_every_page_is_there_with_its_state(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["Hello world", "", "#", "你好，世界"])
    pages = read(path).pages
    assert [p.number for p in pages] == [1, 2, 3, 4]
    assert [(p.state, p.reason) for p in pages] == [
        ("text", None), ("empty", "blank"), ("empty", "no_text"), ("text", None),
    ]  # fmt: skip
    assert pages[0].text == "Hello world"
    assert pages[3].text == "你好，世界"


def test_title_and_outline_are_kept_in_order(tmp_path: Path) -> None:
    outline = [(0, "Chapter", 1), (1, "Section", 2)]
    path = write_pdf(tmp_path / "a.pdf", ["one", "two"], title="The manual", outline=outline)
    document = read(path)
    assert document.title == "The manual"
    assert [(h.level, h.title, h.page) for h in document.headings] == outline


@pytest.mark.parametrize("title", ["untitled.doc", "report.PDF", "12345-678"])
def test_a_title_no_person_would_give_is_left_out(tmp_path: Path, title: str) -> None:
    assert read(write_pdf(tmp_path / "a.pdf", ["x"], title=title)).title == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty_file"), (b"not a pdf at all", "damaged"), (b"%PDF-1.7\nbroken", "damaged")],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "坏的.pdf"
    path.write_bytes(content)
    with pytest.raises(UnreadableDocument) as caught:
        read(path)
    assert caught.value.reason == reason
    assert "坏的.pdf" in caught.value.say("zh")
    assert caught.value.hint.zh


def test_a_password_is_named_as_the_reason(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["secret"], password="pw")
    with pytest.raises(UnreadableDocument) as caught:
        read(path)
    assert caught.value.reason == "encrypted"


def test_a_file_protected_only_against_changes_just_opens(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["open text"], password="")
    assert read(path).pages[0].text == "open text"


def test_pypdf_reads_what_pdfium_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pypdfium2

    def refuse(*_: object, **__: object) -> None:
        raise pypdfium2.PdfiumError("Failed to load document (PDFium: Data format error).")

    path = write_pdf(tmp_path / "a.pdf", ["Hello world", "second"])
    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    document = read(path)
    assert [p.text.strip() for p in document.pages] == ["Hello world", "second"]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_stand_on_the_words_they_belong_to(tmp_path: Path, rotate: int) -> None:
    import pypdfium2

    path = write_pdf(tmp_path / "a.pdf", ["first line\nneedle here\nthird line"], rotate=rotate)
    text = read(path).pages[0].text
    start = text.index("needle")
    ((box,),) = boxes_on_page_one(path, (start, start + len("needle here")))
    page = pypdfium2.PdfDocument(path)[0]
    image = page.render(scale=4).to_pil().convert("L")
    inside = image.crop(tuple(round(4 * v) for v in (box.x0, box.y0, box.x1, box.y1)))
    assert min(inside.get_flattened_data()) < 80  # ink
    blank = image.copy()
    blank.paste(255, tuple(round(4 * v) for v in (box.x0 - 1, box.y0 - 2, box.x1 + 1, box.y1 + 2)))
    # what is left is the ink of two lines out of three: the box covered one line, whole
    ink = sum(1 for v in image.get_flattened_data() if v < 128)
    left = sum(1 for v in blank.get_flattened_data() if v < 128)
    assert 0.55 < left / ink < 0.75


def test_a_span_over_two_lines_has_two_boxes_and_a_wrong_one_none(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["alpha beta\ngamma delta"])
    over, beyond = boxes_on_page_one(path, (0, 22), (500, 600))
    assert len(over) == 2
    assert over[0].y1 < over[1].y1
    assert beyond == ()


def test_a_page_is_drawn_in_the_width_asked_for(tmp_path: Path) -> None:
    import io

    from PIL import Image

    path = write_pdf(tmp_path / "a.pdf", ["x"])
    with opened(path) as pdf, Image.open(io.BytesIO(render(pdf, 1, 600))) as image:
        assert image.format == "PNG"
        assert abs(image.width - 600) <= 1
