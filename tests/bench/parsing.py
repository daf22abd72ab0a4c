"""Reading alone, and nothing after it: plain pypdf, our reader, or our workers.

The first two use one process; the workers are those of ``rag sync``, their start included.
"""

from __future__ import annotations

import argparse
from collections import deque
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.bench.child import finish, folder_argument
from tests.bench.corpus import pdfs_below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=tuple(READERS))
    parser.add_argument("--pdfs", type=folder_argument, required=True)
    arguments = parser.parse_args()
    finish(READERS[arguments.reader](arguments.pdfs))


def read_ours(folder: Path) -> dict[str, Any]:
    from rag.errors import UnreadableDocument
    from rag.ingestion.pdf.reader import PdfReader

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


def read_in_workers(folder: Path) -> dict[str, Any]:
    from rag.config import IngestSettings
    from rag.errors import UnreadableDocument
    from rag.ingestion.workers.pool import WorkerPool
    from rag.ingestion.workers.process import WorkerJob
    from rag.types.documents import Document

    began = perf_counter()
    pages = characters = failed = 0
    waiting: deque[WorkerJob[Document]] = deque()
    files = deque(pdfs_below(folder))
    with closing(WorkerPool.of(IngestSettings())) as pool:
        while files or waiting:
            while files and len(waiting) < pool.ahead:
                file = files.popleft()
                waiting.append(pool.read(file, document_id=file.name))
            try:
                document = waiting.popleft().result()
            except UnreadableDocument:
                failed += 1
                continue
            pages += len(document.pages)
            characters += len(document.text)
        seconds = perf_counter() - began
    return _result(pages, characters, failed, seconds=seconds)


def read_plain(folder: Path) -> dict[str, Any]:
    from tests.bench import plain

    began = perf_counter()
    pages, failed = plain.read(folder)
    seconds = perf_counter() - began
    characters = sum(len(page.page_content) for page in pages)
    return _result(len(pages), characters, failed, seconds=seconds)


def _result(pages: int, characters: int, failed: int, *, seconds: float) -> dict[str, Any]:
    return {"pages": pages, "characters": characters, "failed": failed, "seconds": seconds}


READERS = {"ours": read_ours, "workers": read_in_workers, "plain": read_plain}


if __name__ == "__main__":
    main()
