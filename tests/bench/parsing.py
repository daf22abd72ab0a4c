"""Reading alone, one process: our reader or plain pypdf, and nothing after it."""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.bench.child import finish, folder_argument
from tests.bench.corpus import pdfs_below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=("ours", "plain"))
    parser.add_argument("--pdfs", type=folder_argument, required=True)
    arguments = parser.parse_args()
    finish(read_ours(arguments.pdfs) if arguments.reader == "ours" else read_plain(arguments.pdfs))


def read_ours(folder: Path) -> dict[str, Any]:
    from rag.errors import UnreadableDocument
    from rag.ingest.pdf_reader import PdfReader

    reader = PdfReader()
    began = perf_counter()
    pages = characters = failed = 0
    for file in pdfs_below(folder):
        try:
            document = reader.read(file, document_id=file.name)
        except UnreadableDocument:
            failed += 1
            continue
        pages += len(document.pages)
        characters += len(document.text)
    return _result(pages, characters, failed, seconds=perf_counter() - began)


def read_plain(folder: Path) -> dict[str, Any]:
    from tests.bench import plain

    began = perf_counter()
    pages, failed = plain.read(folder)
    seconds = perf_counter() - began
    characters = sum(len(page.page_content) for page in pages)
    return _result(len(pages), characters, failed, seconds=seconds)


def _result(pages: int, characters: int, failed: int, *, seconds: float) -> dict[str, Any]:
    return {"pages": pages, "characters": characters, "failed": failed, "seconds": seconds}


if __name__ == "__main__":
    main()
