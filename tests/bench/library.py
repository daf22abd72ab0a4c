"""A large library: how much memory its first sync takes, and how long the second one.

    python -m tests.bench.library --pages 15000 --embedder hashing

The PDFs are copied as often as it takes, each copy with a line of its own after its end, so
that no two are the same file. Text recognition is off: it is a matter of pages, not of size.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pypdfium2

from tests.bench.child import Finished, run
from tests.bench.corpus import find_pdfs
from tests.bench.indexing import EMBEDDERS

_GAPS = 3  # exit code of ``rag sync``: done, though some page cannot be searched
_COMMAND = "from rag.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.library", description=__doc__)
    parser.add_argument("--pdfs", type=Path, help="a folder of PDFs; default: evaluation sets")
    parser.add_argument("--pages", type=int, default=15_000)
    parser.add_argument("--embedder", choices=EMBEDDERS, default=EMBEDDERS[0])
    options = parser.parse_args()
    _, files = find_pdfs(options.pdfs)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        knowledge = Path(name)
        pages = fill(knowledge, files, pages=options.pages)
        documents = sum(1 for _ in knowledge.iterdir())
        first = sync(knowledge, embedder=options.embedder)
        again = [sync(knowledge, embedder=options.embedder).process_s for _ in range(5)]
        stored = sum(file.stat().st_size for file in (knowledge / ".rag").rglob("*"))
    print(f"{documents} documents, {pages:,} pages, {first.result['chunks']:,} passages")
    print(
        f"first sync: {first.process_s:.0f} s, {pages / first.process_s:.0f} pages/s, at most"
        f" {first.peak_bytes / 1e6:.0f} MB with children; {stored / 1e6:.0f} MB on disk"
    )
    print(f"second sync, whole process: {', '.join(f'{s:.2f}' for s in sorted(again))} s")


def fill(folder: Path, files: Sequence[Path], *, pages: int) -> int:
    """Copy the PDFs, round after round, until there are ``pages``; return how many there are."""
    counts = [_page_count(file) for file in files]
    made = copy = 0
    while made < pages:
        copy += 1
        for file, count in zip(files, counts, strict=True):
            if made >= pages or not count:
                continue
            target = folder / f"{copy:03} {file.name}"
            target.write_bytes(file.read_bytes() + f"\n% copy {copy}\n".encode())
            made += count
    return made


def _page_count(file: Path) -> int:
    try:
        with pypdfium2.PdfDocument(file) as document:
            return len(document)
    except pypdfium2.PdfiumError:
        return 0


def sync(knowledge: Path, *, embedder: str) -> Finished:
    """Let the command itself do it."""
    return run(
        ["-c", _COMMAND, "--knowledge", str(knowledge), "sync", "--json"],
        environ={"RAGDESK_EMBEDDER__MODEL": embedder, "RAGDESK_INGEST__OCR": "off"},
        good=(0, _GAPS),
    )


if __name__ == "__main__":
    main()
