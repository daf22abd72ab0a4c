"""Labels, outline and title: the same from PDFium as from pypdf, and never in the way of text."""

from __future__ import annotations

import logging
from pathlib import Path

import pypdf
import pypdfium2
import pytest
from pypdf.constants import PageLabelStyle
from pypdf.generic import DictionaryObject, NameObject, NumberObject, TextStringObject

from rag.ingestion.pdf.metadata import plain_labels, read_metadata
from rag.ingestion.pdf.reader import PdfReader, SecondReader
from rag.protocols import EXTRAS
from tests.pdfs import write_pdf


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A PDF whose pages are called i, ii, 1, 2, A-7."""
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "plain.pdf", list("abcde")))
    writer.set_page_label(0, 1, style=PageLabelStyle.LOWERCASE_ROMAN)
    writer.set_page_label(2, 3, style=PageLabelStyle.DECIMAL)
    writer.set_page_label(4, 4, style=PageLabelStyle.DECIMAL, prefix="A-", start=7)
    path = tmp_path / "labelled.pdf"
    writer.write(path)
    return path


def read(path: Path, *, fault: int | None = None) -> list[tuple[str, str]]:
    document = PdfReader().read(
        path, document_id="d", enter=lambda part: "crashed" if part == fault else None
    )
    return [(page.label, page.text) for page in document.pages]


def test_labels_are_those_that_are_printed(labelled: Path) -> None:
    assert read(labelled) == list(zip(["i", "ii", "1", "2", "A-7"], "abcde", strict=True))


def test_both_readers_tell_the_same(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outline = [(0, "Chapter", 1), (1, "Section", 2), (0, "Last", 2)]
    book = write_pdf(tmp_path / "b.pdf", ["one", "two"], title="The manual", outline=outline)
    whole = PdfReader().read(book, document_id="d")
    assert [(h.level, h.title, h.page) for h in whole.headings] == outline
    first = read(labelled)

    def refuse(*_: object, **__: object) -> None:
        raise pypdfium2.PdfiumError("Failed to load document (PDFium: Data format error).")

    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    assert read(labelled) == first
    again = PdfReader().read(book, document_id="d")
    assert (again.title, again.headings) == (whole.title, whole.headings) != ("", ())


def test_what_crashed_a_worker_before_is_left_out_and_the_text_stays(labelled: Path) -> None:
    assert read(labelled, fault=EXTRAS) == [("", text) for text in "abcde"]


def test_pypdf_is_not_asked_again_where_it_crashed(labelled: Path) -> None:
    second = SecondReader(labelled, (), enter=lambda _: "crashed")
    assert second.pages() == ()
    assert second.encrypted is False


def test_an_outline_in_a_circle_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "a.pdf", ["one", "two"]))
    first = writer.add_outline_item(title="First", page_number=0)
    second = writer.add_outline_item(title="Second", page_number=1)
    second.get_object()[NameObject("/Next")] = first.get_object().indirect_reference  # type: ignore[index, union-attr]
    writer.write(tmp_path / "circle.pdf")
    with caplog.at_level(logging.WARNING):
        found = read_metadata(pypdfium2.PdfDocument(tmp_path / "circle.pdf")).headings
    assert [heading.title for heading in found] == ["First", "Second"]
    assert not caplog.records, "nothing of it reaches a person's terminal"


def test_an_entry_without_title_or_beyond_the_pages_is_left_out(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "a.pdf", ["one", "two"]))
    writer.add_outline_item(title="Kept", page_number=1)
    writer.add_outline_item(title="  ", page_number=0)
    nowhere = DictionaryObject({NameObject("/Title"): TextStringObject("Nowhere")})
    writer.add_outline_item_dict(outline_item=nowhere)  # type: ignore[arg-type]
    far = writer.add_outline_item(title="Far", page_number=0).get_object()
    assert isinstance(far, DictionaryObject)
    far.pop(NameObject("/A"), None)
    far[NameObject("/Dest")] = pypdf.generic.ArrayObject([NumberObject(99), NameObject("/Fit")])
    writer.write(tmp_path / "odd.pdf")
    found = read_metadata(pypdfium2.PdfDocument(tmp_path / "odd.pdf")).headings
    assert [(heading.title, heading.page) for heading in found] == [("Kept", 2)]


def test_a_missing_label_and_a_plain_number_are_both_no_label() -> None:
    assert plain_labels(["1", "ii", "3"], 5) == ["", "ii", "", "", ""]
    assert plain_labels(["x", "y"], 1) == ["x"]
