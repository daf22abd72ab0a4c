"""Which PDFs a benchmark reads: the same ones every time, spread over the whole folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pypdfium2

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The chosen files. ``left_out`` came up too, but did not fit or could not be opened."""

    root: Path
    files: tuple[Path, ...]
    pages: int
    left_out: int

    @property
    def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


def eval_sets() -> Path:
    """Return the folder of evaluation sets, which need not exist."""
    return Path(os.environ.get("RAG_EVAL_SETS", ROOT.parent / "shared" / "eval"))


def find_pdfs(folder: Path | None) -> tuple[Path, list[Path]]:
    """Return a root and the PDFs below it, sorted by their path.

    ``None`` stands for the folders ``pdf_*`` of the evaluation sets.

    Raises:
        SystemExit: there is none.
    """
    root = folder or eval_sets()
    tops = [root] if folder else sorted(root.glob("pdf_*"))
    files = [file for top in tops for file in pdfs_below(top)]
    if not files:
        raise SystemExit(f"There is no PDF in {root}. Name a folder with --pdfs.")
    return root, files


def pdfs_below(folder: Path) -> list[Path]:
    """Return all PDFs below a folder, sorted by path."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".pdf")


def choose(root: Path, files: Sequence[Path], *, documents: int, max_pages: int) -> Corpus:
    """Take files from all over the list, as long as they fit, until there are ``documents``.

    Raises:
        SystemExit: not one fits.
    """
    chosen: list[Path] = []
    total = left_out = 0
    for file in spread(files):
        if len(chosen) == documents:
            break
        pages = _page_count(file)
        if pages is None or total + pages > max_pages:
            left_out += 1
            continue
        chosen.append(file)
        total += pages
    if not chosen:
        raise SystemExit(f"No PDF in {root} can be opened and has at most {max_pages} pages.")
    return Corpus(root, tuple(sorted(chosen)), total, left_out)


def spread(files: Sequence[Path]) -> list[Path]:
    """Order a list so that every beginning of it is spread over the whole."""
    bits = max(1, (len(files) - 1).bit_length())
    order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))  # van der Corput's sequence
    return [files[i] for i in order if i < len(files)]


def _page_count(file: Path) -> int | None:
    try:
        with pypdfium2.PdfDocument(file) as pdf:
            return len(pdf)
    except pypdfium2.PdfiumError:
        return None


def place(corpus: Corpus, folder: Path) -> list[Path]:
    """Link the files into a folder, or copy them where linking is not possible."""
    placed = []
    for file in corpus.files:
        target = folder / file.relative_to(corpus.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(file, target)
        placed.append(target)
    return placed
