"""The real text recognition on the guide's pages, turned into pictures. No network."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont

from rag.ingestion.ocr.recogniser import RapidRecogniser
from tests.eval.measure_ocr import measure, scan
from tests.pdfs import write_pdf

pytestmark = pytest.mark.model
ROOT = Path(__file__).parents[3]
DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
GUIDES = {"en": "RAG Desk guide.pdf", "zh": "RAG Desk 使用指南.pdf"}


@pytest.fixture(scope="module")
def engine() -> RapidRecogniser:
    return RapidRecogniser(threads=2)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("language", list(GUIDES))
def test_under_three_characters_of_a_hundred_are_wrong(
    engine: RapidRecogniser, language: str, tmp_path: Path
) -> None:
    source = ROOT / "knowledge" / GUIDES[language]
    row = measure(engine, source, 3, dpi=150, folder=tmp_path)
    assert row.characters > 300
    # the guide's tables may be read in another order than they were typeset
    assert row.lost < 0.03 * row.characters


def test_a_word_s_box_holds_its_ink(engine: RapidRecogniser, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "text.pdf", ["first line\n\nneedle here\n\nthird line"])
    image = scan(path, tmp_path / "scan.pdf", pages=[1], dpi=150)
    found = engine.read(image, page=1)
    assert found.text.splitlines()[0] == "first line"
    start = found.text.index("needle")
    (line,) = (line for line in found.lines if line.start <= start < line.end)
    word = next(w for w in line.words if w.start == start)
    leaf = pypdfium2.PdfDocument(path)[0]
    picture = leaf.render(scale=4).to_pil().convert("L")
    inside = picture.crop(tuple(round(4 * v) for v in (word.x0, line.y0, word.x1, line.y1)))
    assert min(inside.get_flattened_data()) < 80
    text = leaf.get_textpage()
    left, _, right, _ = text.get_charbox(text.get_text_range().index("needle"))
    assert abs(word.x0 - left) < 6
    assert word.x1 > right


def test_a_picture_and_a_blank_page_are_told_apart(engine: RapidRecogniser, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["#", ""])
    outcomes = [(p.state, p.reason) for p in (engine.read(path, page=n) for n in (1, 2))]
    assert outcomes == [("empty", "picture"), ("empty", "blank")]


@pytest.mark.slow
def test_the_command_reads_scans_when_it_is_asked_to(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    text = write_pdf(tmp_path / "text.pdf", ["The monthly rent is 950 euros."])
    folder.mkdir()
    scan(text, folder / "scan.pdf", pages=[1], dpi=150)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "RAGDESK_KNOWLEDGE": str(folder),
        "RAGDESK_EMBEDDER__MODEL": "hashing", "RAGDESK_RETRIEVE__INDEX": "numpy",
        "RAGDESK_INGEST__WORKERS": "1", "RAGDESK_INGEST__OCR": "off",
    }  # fmt: skip

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "rag", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    code, out = run("sync", "--json")
    assert (code, json.loads(out)["pages"]["ocr"]) == (3, 0)
    assert "1 page waits for text recognition" in run("status")[1]
    code, out = run("sync", "--ocr", "--json")
    found = json.loads(out)
    assert (code, found["pages"]["ocr"]) == (0, 1)
    assert found["stages"]["ocr_s"] > 0
    (passage, *_) = json.loads(run("search", "monthly rent", "--json")[1])["passages"]
    assert "950" in passage["text"]
    assert passage["boxes"]
    assert json.loads(run("status", "--json")[1])["totals"]["ocr_waiting"] == 0


def test_a_page_of_noise_is_not_taken_for_text(engine: RapidRecogniser, tmp_path: Path) -> None:
    import numpy as np
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    noise = np.random.default_rng(7).integers(0, 255, (800, 600), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    canvas = Canvas(str(tmp_path / "noise.pdf"))
    canvas.drawImage(ImageReader(buffer), 0, 0, 595, 842)
    canvas.showPage()
    canvas.save()
    found = engine.read(tmp_path / "noise.pdf", page=1)
    assert found.state == "empty"
    assert found.text == ""


SENTENCES = {
    "ru": "Арендатор обязуется вносить плату ежемесячно, не позднее первого числа.",
    "el": "Το μίσθωμα καταβάλλεται κάθε μήνα στον λογαριασμό του εκμισθωτή.",
    "fr": "Le locataire s'engage à payer le loyer à l'échéance prévue.",
}


@pytest.mark.parametrize("language", list(SENTENCES))
def test_a_script_that_recognition_does_not_know_is_said_and_not_guessed(
    engine: RapidRecogniser, tmp_path: Path, language: str
) -> None:
    if not DEJAVU.is_file():
        pytest.skip("the font DejaVu Sans is not installed")
    picture = Image.new("L", (1240, 600), 255)
    font = ImageFont.truetype(DEJAVU, 26)
    for line in range(5):
        ImageDraw.Draw(picture).text((80, 80 + 70 * line), SENTENCES[language], 0, font=font)
    picture.save(tmp_path / "scan.pdf", resolution=150)
    found = engine.read(tmp_path / "scan.pdf", page=1)
    if language == "fr":
        assert (found.state, found.text.count("l'échéance prévue")) == ("ocr", 5)
    else:
        assert (found.state, found.reason, found.text) == ("empty", "unreadable_scan", "")
