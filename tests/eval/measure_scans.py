"""Whether a scan is found as well as its text layer: the same pages, as text and as pictures.

    python -m tests.eval.measure_scans --dpi 150 [--work DIR]

Both are synced as ``rag sync`` does it, text recognition included, and asked the same
questions. Needs the evaluation sets (RAG_EVAL_SETS) and the embedder of the settings.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pypdfium2

from rag.evaluation.asking import measure_pages
from rag.evaluation.datasets import QuestionSet, load_sets
from rag.evaluation.runs import QuestionOutcome, value
from rag.indexing.questions.maker import Question
from tests.eval.measure_ocr import scan
from tests.eval.measure_retrieval import PAGE_SETS, Bench, eval_folder

PAGES = 10  # of each document, from its first on, so that page numbers stay
DOCUMENTS = {
    "zh": (
        "pdf_seed/nvidia-gpu-choice.pdf",
        "pdf_seed/rtx4090-llm.pdf",
        "pdf_seed/rtx4090-pytorch-guide.pdf",
        "pdf_zh_cmrc/cmrc_A_01_singlecol.pdf",
        "pdf_zh_cmrc/cmrc_A_02_twocol.pdf",
    ),
    "en": (
        "pdf_law/ADMA BioManufacturing, LLC -  Amendment #3 to Manufacturing Agreement .pdf",
        "pdf_law/GULFSOUTHMEDICALSUPPLYINC_12_24_1997-EX-4-AFFILIATE AGREEMENT.pdf",
        "pdf_law/CYBERIANOUTPOSTINC_07_09_1998-EX-10.13-PROMOTION AGREEMENT.pdf",
        "pdf_law/DYNTEKINC_07_30_1999-EX-10-ONLINE HOSTING AGREEMENT.pdf",
        "pdf_finance/ULTABEAUTY_2023Q4_EARNINGS.pdf",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dpi", type=int, default=150)
    parser.add_argument("--language", choices=("en", "zh", "both"), default="both")
    parser.add_argument("--work", type=Path, help="kept, and gone on with")
    options = parser.parse_args()
    chosen = list(DOCUMENTS) if options.language == "both" else [options.language]
    with tempfile.TemporaryDirectory() as temporary:
        for language in chosen:
            work = (options.work or Path(temporary)) / f"{language}-{options.dpi}"
            for line in compare(language, work, dpi=options.dpi):
                print(line, flush=True)


def compare(language: str, work: Path, *, dpi: int) -> Iterator[str]:
    """Yield a line for the text layer and one for the scans."""
    text, scans = work / "text", work / "scans"
    for folder in (text, scans):
        folder.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS[language]:
        source = eval_folder() / name
        pages = cut(source, text / source.name)
        if not (scans / source.name).is_file():
            scan(source, scans / source.name, pages=list(range(1, pages + 1)), dpi=dpi)
    for folder in (text, scans):
        sync(folder)
        found = ask(folder)
        yield f"{language} {dpi} dpi {folder.name:5} n {len(found)} " + "  ".join(
            f"{mode} hit@1 {value(found, f'{mode}.hit@1') or 0.0:.3f}"
            f" @5 {value(found, f'{mode}.hit@5') or 0.0:.3f}"
            for mode in ("shared", "single")
        )


def cut(source: Path, target: Path) -> int:
    """Copy the first pages; return how many there are."""
    whole = pypdfium2.PdfDocument(source)
    pages = min(len(whole), PAGES)
    if not target.is_file():
        part = pypdfium2.PdfDocument.new()
        part.import_pages(whole, list(range(pages)))
        part.save(target)
    whole.close()
    return pages


def sync(folder: Path) -> None:
    """Do as the command line does. Exit code 3: some page has no text, which is counted below."""
    environment = {**os.environ, "RAGDESK_KNOWLEDGE": str(folder)}
    done = subprocess.run([sys.executable, "-m", "rag", "sync"], env=environment, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"rag sync failed in {folder}")


def ask(folder: Path) -> list[QuestionOutcome]:
    """Return what became of each question, in shared and in single mode."""
    bench = Bench(folder)
    try:
        found = QuestionSet("pages", tuple(questions(folder)), {})
        return measure_pages(found, partial(bench.search, "fused"), documents=bench.documents)
    finally:
        bench.close()


def questions(folder: Path) -> Iterator[Question]:
    """Yield what can be answered from the pages that are there."""
    names = {file.name for file in folder.glob("*.pdf")}
    for found in load_sets(eval_folder()):
        if found.name not in PAGE_SETS:
            continue
        for question in found.with_pages():
            pages = [page for page in question.pages if page <= PAGES]
            if question.documents[0] in names and pages:
                yield replace(question, pages=type(question.pages)(pages))


if __name__ == "__main__":
    main()
