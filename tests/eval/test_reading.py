"""What is read from real PDFs: all of it, in order, without what every page repeats."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest

from rag.ingestion.pdf.offset_map import read_recipe
from rag.ingestion.pdf.reader import PdfReader
from rag.types.documents import Document
from tests.damage import DAMAGES, damaged

pytestmark = pytest.mark.eval
WORDS = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]")
REPEATED = 0.5  # of a document's pages: a line that stands on as many is a running header
LOST = 0.5  # of a page's runs of four characters: from here on its text is called damaged
PAGES = 3  # read of each damaged copy


def read(path: Path) -> Document:
    return PdfReader().read(path, document_id=path.name)


@pytest.fixture(scope="module")
def documents(eval_sets: Path) -> dict[Path, Document]:
    return {path: read(path) for path in sorted(eval_sets.glob("pdf_*/*.pdf"))}


def raw_pages(path: Path) -> Iterator[str]:
    pdf = pypdfium2.PdfDocument(path)
    try:
        for page in pdf:
            text_page = page.get_textpage()
            yield text_page.get_text_range()
            text_page.close()
            page.close()
    finally:
        pdf.close()


def bag_f1(text: str, gold: str) -> float:
    ours, wanted = (Counter(WORDS.findall(one.lower())) for one in (text, gold))
    shared = sum((ours & wanted).values())
    return 2 * shared / (sum(ours.values()) + sum(wanted.values()))


def test_no_manual_loses_words_that_plain_pdfium_finds(eval_sets: Path) -> None:
    manuals = sorted((eval_sets / "extraction" / "debian_pdf_txt").glob("*.pdf"))
    assert manuals
    for path in manuals:
        packed = path.with_name(f"{path.name.removesuffix('.pdf')}.txt.gz").read_bytes()
        gold = gzip.decompress(packed).decode("utf-8", "ignore")
        plain, ours = bag_f1("\n".join(raw_pages(path)), gold), bag_f1(read(path).text, gold)
        print(f"{path.name}: plain PDFium {plain:.4f}, ours {ours:.4f}")
        assert ours >= plain - 0.01


def test_no_clean_page_is_called_garbled(documents: dict[Path, Document]) -> None:
    pages = [(path.name, page) for path, document in documents.items() for page in document.pages]
    assert len(pages) > 2900
    assert [(name, page.number) for name, page in pages if page.state == "garbled"] == []


def fours(text: str) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[i : i + 4] for i in range(len(text) - 3))


def test_pages_whose_fonts_lie_are_called_garbled(
    documents: dict[Path, Document], tmp_path: Path
) -> None:
    found: Counter[str] = Counter()
    missed = []
    for path, document in list(documents.items())[::3]:
        clean = list(raw_pages(path))[:PAGES]
        for kind, change in DAMAGES.items():
            copy = damaged(path, tmp_path / "copy.pdf", change, pages=PAGES)
            for before, after, page in zip(clean, raw_pages(copy), read(copy).pages, strict=True):
                whole = fours(before)
                if whole.total() < 200 or document.pages[page.number - 1].state != "text":
                    continue
                lost = 1 - (whole & fours(after)).total() / whole.total()
                if lost >= LOST:
                    found[page.state] += 1
                    missed += [(path.name, kind, page.number)] if page.state != "garbled" else []
                elif lost == 0:
                    assert page.state != "garbled"
    false = sum(p.state == "garbled" for d in documents.values() for p in d.pages)
    precision = found["garbled"] / (found["garbled"] + false)
    recall = found["garbled"] / found.total()
    print(f"{found.total()} damaged pages: precision {precision:.4f}, recall {recall:.4f}")
    assert found.total() > 150
    assert precision >= 0.98
    assert recall >= 0.98, missed


def headers(pages: list[str]) -> set[str]:
    """Return lines that stand first or last, as PDFium lists them, on most pages."""
    seen: Counter[str] = Counter()
    for page in pages:
        lines = [" ".join(line.split()) for line in page.splitlines() if line.strip()]
        seen.update({line for line in lines[:2] + lines[-2:] if re.search(r"[^\W\d_]", line)})
    return {line for line, count in seen.items() if count >= REPEATED * len(pages)}


def test_running_headers_are_gone(documents: dict[Path, Document]) -> None:
    before = after = 0
    for path, document in documents.items():
        pages = list(raw_pages(path))
        if len(pages) < 6:
            continue
        for header in headers(pages):
            before += sum(header in " ".join(page.split()) for page in pages)
            for page in document.pages:
                lines = [" ".join(line.split()) for line in page.text.splitlines()]
                after += header in lines[:2] + lines[-2:]
    print(f"{before} running headers, {after} left")
    assert before > 1000
    # what is left are notices that stand at another height on every page
    assert after < 0.15 * before


def test_paragraphs_over_two_columns_and_pages_stay_whole(
    documents: dict[Path, Document], eval_sets: Path
) -> None:
    questions = (eval_sets / "questions" / "zh_pdf_cmrc.jsonl").read_text("utf-8").splitlines()
    text_of = {path.name: "".join(d.text.split()) for path, d in documents.items()}
    columns = [q for q in map(json.loads, questions) if "twocol" in q["docs"][0]]
    paragraphs = {context for q in columns for context in contexts(eval_sets, q["id"])}
    whole = sum(any(p in text for text in text_of.values()) for p in paragraphs)
    print(f"{whole} of {len(paragraphs)} paragraphs in one piece")
    assert len(paragraphs) > 100
    assert whole >= 0.94 * len(paragraphs)  # ten hold characters that the font lacks


def contexts(eval_sets: Path, question_id: str) -> Iterator[str]:
    yield from _contexts(eval_sets).get(question_id.removeprefix("zhpdf::"), [])


_cache: dict[str, list[str]] = {}


def _contexts(eval_sets: Path) -> dict[str, list[str]]:
    if not _cache:
        for path in sorted((eval_sets / "retrieval" / "cmrc2018").glob("*.json*")):
            data = path.read_bytes()
            squad = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
            for entry in squad["data"]:
                for paragraph in entry["paragraphs"]:
                    for question in paragraph["qas"]:
                        text = "".join(paragraph["context"].split())
                        _cache.setdefault(question["id"], []).append(text)
    return _cache


@pytest.mark.parametrize("name", ["2023.findings-emnlp.248.pdf", "cmrc_A_04_twocol.pdf"])
def test_the_left_column_is_read_before_the_right(
    documents: dict[Path, Document], name: str
) -> None:
    path, document = next((p, d) for p, d in documents.items() if p.name == name)
    pdf = pypdfium2.PdfDocument(path)
    turns = pages = 0
    for page, leaf in zip(document.pages, pdf, strict=True):
        text_page = leaf.get_textpage()
        middle = leaf.get_width() / 2
        sides = []
        for line in re.finditer(r"[^\n]{25,}", page.text):
            places = read_recipe(page.recipe)[line.start() : line.end()]
            boxes = [text_page.get_charbox(places[i]) for i in (0, -1)]
            left, right = min(b[0] for b in boxes), max(b[2] for b in boxes)
            sides += ["L"] if right <= middle + 9 else ["R"] if left >= middle - 9 else []
        if {"L", "R"} <= set(sides):
            pages += 1
            turns += sum(a + b == "RL" for a, b in pairwise(sides))
        text_page.close()
        leaf.close()
    pdf.close()
    assert pages >= 5
    assert turns <= pages / 2
