"""What text recognition loses: real pages, drawn into PDFs that hold nothing but pictures.

Run as a program it prints one row a page; ``--dpi`` names the resolution of the "scanner".
"""

from __future__ import annotations

import argparse
import io
import os
import re
import time
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdfium2
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from rag.ingestion.ocr.recogniser import RapidRecogniser
from rag.ingestion.pdf.reader import PdfReader

PAGES = (
    ("pdf_finance/3M_2018_10K.pdf", 5),
    ("pdf_finance/MICROSOFT_2023_10K.pdf", 40),
    ("pdf_finance/AMCOR_2023Q4_EARNINGS.pdf", 3),
    ("pdf_law/ASIANDRAGONGROUPINC_08_11_2005-EX-10.5-Reseller Agreement.pdf", 2),
    ("pdf_law/MPLXLP_06_17_2015-EX-10.1-TRANSPORTATION SERVICES AGREEMENT.pdf", 3),
    ("pdf_misc/ISEP_student_handbook_2020.pdf", 12),
    ("pdf_zh_cmrc/cmrc_A_01_singlecol.pdf", 3),
    ("pdf_zh_cmrc/cmrc_A_02_twocol.pdf", 4),
    ("pdf_zh_cmrc/cmrc_A_04_twocol.pdf", 2),
    ("pdf_zh_native/texlive-lang-chinese__ctex-faq.pdf", 5),
    ("pdf_seed/rtx4090-llm.pdf", 1),
    ("pdf_seed/nvidia-gpu-choice.pdf", 2),
)


@dataclass(frozen=True, slots=True)
class Row:
    page: str
    dpi: int
    characters: int
    errors: int
    seconds: float
    lost: int  # characters that are nowhere in what was read, whatever the order

    @property
    def rate(self) -> float:
        return self.errors / self.characters


def scan(source: Path, target: Path, *, pages: list[int], dpi: int) -> Path:
    """Write pages (1-based) of ``source`` as pictures of ``dpi``, as a scanner would."""
    canvas = Canvas(str(target), invariant=True)
    pdf = pypdfium2.PdfDocument(source)
    for page in pages:
        leaf = pdf[page - 1]
        width, height = leaf.get_size()
        picture = io.BytesIO()
        leaf.render(scale=dpi / 72).to_pil().convert("RGB").save(picture, "PNG")
        canvas.setPageSize((width, height))
        canvas.drawImage(ImageReader(picture), 0, 0, width, height)
        canvas.showPage()
    pdf.close()
    canvas.save()
    return target


def letters(text: str) -> str:
    """Return what is compared: everything but white space, in its plain form."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def distance(one: str, other: str) -> int:
    """Return the fewest insertions, deletions and exchanges between two texts."""
    codes = np.frombuffer(other.encode("utf-32-le"), np.uint32)
    steps = np.arange(len(codes) + 1)
    before = steps
    for number, char in enumerate(one, start=1):
        now = np.empty_like(before)
        now[0] = number
        now[1:] = np.minimum(before[:-1] + (codes != ord(char)), before[1:] + 1)
        before = np.minimum.accumulate(now - steps) + steps
    return int(before[-1])


def printed(source: Path, page: int) -> str:
    """Return the text layer, running headers and page numbers included."""
    pdf = pypdfium2.PdfDocument(source)
    try:
        return str(pdf[page - 1].get_textpage().get_text_range())
    finally:
        pdf.close()


def measure(engine: RapidRecogniser, source: Path, page: int, *, dpi: int, folder: Path) -> Row:
    image = scan(source, folder / f"{source.stem}-{page}-{dpi}.pdf", pages=[page], dpi=dpi)
    (drawn,) = PdfReader().read(image, document_id="scan").pages
    assert (drawn.state, drawn.reason) == ("empty", "no_text")
    began = time.perf_counter()
    found = engine.read(image, page=1)
    seconds = time.perf_counter() - began
    wanted = letters(printed(source, page).replace("\ufffe", "-").replace("\x02", "-"))
    errors = distance(wanted, letters(found.text))
    lost = Counter(wanted) - Counter(letters(found.text))
    return Row(f"{source.name} p. {page}", dpi, len(wanted), errors, seconds, lost.total())


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dpi", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    sets = Path(os.environ["RAG_EVAL_SETS"])
    options = parser.parse_args()
    engine = RapidRecogniser(threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, page in PAGES:
            row = measure(engine, sets / name, page, dpi=options.dpi, folder=Path(folder))
            rows.append(row)
            print(
                f"| {row.page} | {row.dpi} | {row.characters} | {row.rate:.4f} "
                f"| {row.seconds:.1f} |",
                flush=True,
            )
    total = sum(row.errors for row in rows) / sum(row.characters for row in rows)
    print(f"all: {total:.4f}, {sum(r.seconds for r in rows) / len(rows):.1f} s a page")


if __name__ == "__main__":
    main()
