"""Measures page retrieval over an existing library: each retriever alone, and both fused.

    python -m tests.eval.measure_retrieval --library DIR [--sets ohr_finance,ohr_law] [--rankings]

The library must hold the sets' PDFs (``rag sync``). Nothing is written to it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from rag.app import wiring
from rag.app.container import Container
from rag.app.registry import load
from rag.config import load_settings
from rag.evaluation.asking import measure_pages
from rag.evaluation.datasets import load_sets
from rag.evaluation.runs import QuestionOutcome, value
from rag.storage.passages import LedgerPassages
from rag.storage.vectors.manager import VectorIndexManager, exact_index
from rag.types.answers import Passage

if TYPE_CHECKING:
    from rag.protocols import Analyser, Embedder, LexicalIndex, Retriever, Vector, Vectors
    from rag.storage.vectors.exact import ExactIndex

Leg = Literal["lexical", "dense", "fused"]
Mode = Literal["shared", "single"]
MODES: tuple[Mode, ...] = ("shared", "single")
PAGE_SETS = ("seed_zh", "financebench", "mmlongbench", "ohr_finance", "ohr_law", "zh_pdf_cmrc")


@dataclass(frozen=True, slots=True)
class Row:
    """How one retriever did on one set in one mode."""

    set: str
    mode: Mode
    found_by: Leg
    outcomes: Sequence[QuestionOutcome]

    def hit(self, k: int) -> float:
        return value(self.outcomes, f"{self.mode}.hit@{k}") or 0.0


class RememberingEmbedder:
    """Embeds a question once, though it is asked in several modes and rankings."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._queries: dict[str, Vector] = {}
        self.name, self.dim, self.max_tokens = embedder.name, embedder.dim, embedder.max_tokens

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_passages(texts)

    def embed_query(self, text: str) -> Vector:
        if text not in self._queries:
            self._queries[text] = self._embedder.embed_query(text)
        return self._queries[text]


def synced(folder: Path, models_folder: Path) -> None:
    """Bring the library of a knowledge folder up to date with its PDFs."""
    settings = load_settings(
        None,
        {
            "RAGDESK_KNOWLEDGE": str(folder),
            "RAGDESK_MODELS__FOLDER": str(models_folder),
            "RAGDESK_RETRIEVE__INDEX": "numpy",
        },
    )
    container = Container(settings)
    ledger = container.ledger()
    live = VectorIndexManager(ledger, settings.data / "chroma", engine=settings.retrieve.index)
    try:
        library = wiring.library(container, ledger, index=live)
        if ledger.active_version() is None:
            library.sync()
        else:  # kept from a run of another version, it may be stale
            library.rebuild(wanted=lambda version: wiring.is_wanted(container, version))
    finally:
        live.close()
        container.close()
        ledger.close()


class Bench:
    """A library opened for measuring: exact vector search, so that no index adds its errors."""

    def __init__(self, knowledge: Path) -> None:
        settings = load_settings(None, {**os.environ, "RAGDESK_KNOWLEDGE": str(knowledge)})
        self._container = Container(settings)
        self.ledger = self._container.ledger(read_only=True)
        version = self.ledger.active_version()
        if version is None:
            raise SystemExit(f"{knowledge} has no index yet; run rag sync first")
        self.version = version
        engines = wiring.index_engines(self._container, self.ledger, version)
        engines = replace(engines, embedder=RememberingEmbedder(engines.embedder))
        self.store = LedgerPassages(self.ledger, version)
        self.embedder: Embedder = engines.embedder
        self.analyser: Analyser = self._container.analyser
        self.index: ExactIndex = exact_index(self.ledger, version)
        self.lexical: LexicalIndex = load("lexical")(self.store, self._container.analyser)
        self.retriever: Retriever = wiring.retriever(
            self._container, self.ledger, engines, self.index
        )
        self.documents = {
            Path(path).name: row.document_id
            for path, row in self.ledger.files().items()
            if row.document_id
        }

    def close(self) -> None:
        self._container.close()
        self.ledger.close()

    def search(
        self, found_by: Leg, question: str, k: int, documents: Collection[str] | None
    ) -> Sequence[Passage]:
        """Return the first ``k`` passages of one retriever, or of both fused."""
        if found_by == "fused":
            return self.retriever.search(question, k=k, documents=documents).passages
        if found_by == "lexical":
            found = self.lexical.search(question, k=k, documents=documents)
        elif documents is None:
            found = self.index.search(self.embedder.embed_query(question), k=k)
        else:
            ids, rows = self.store.vectors(documents)
            cosines = rows @ self.embedder.embed_query(question)
            order = np.argsort(-cosines, kind="stable")[:k]
            found = [(ids[i], float(cosines[i])) for i in order]
        known = self.store.passages([chunk_id for chunk_id, _ in found])
        return [known[chunk_id] for chunk_id, _ in found if chunk_id in known]


def measure(
    bench: Bench, sets: Path, *, names: Collection[str], rankings: Sequence[Leg]
) -> Iterator[Row]:
    """Yield a row for each set, mode and found_by."""
    for found in load_sets(sets):
        for found_by in rankings if found.name in names else ():
            outcomes = measure_pages(
                found, partial(bench.search, found_by), documents=bench.documents
            )
            for mode in MODES:
                yield Row(found.name, mode, found_by, outcomes)


def eval_folder() -> Path:
    """Return the folder of evaluation sets; RAG_EVAL_SETS names it."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("RAG_EVAL_SETS", root.parent / "shared" / "eval"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="a synced knowledge folder")
    parser.add_argument("--sets", default=",".join(PAGE_SETS), help="comma-separated names")
    parser.add_argument("--rankings", action="store_true", help="also each retriever alone")
    arguments = parser.parse_args()
    rankings: list[Leg] = ["lexical", "dense", "fused"] if arguments.rankings else ["fused"]
    bench = Bench(arguments.library)
    try:
        names = arguments.sets.split(",")
        sys.stdout.write(f"{'set':14} {'mode':7} {'found_by':8}     n  hit@1  hit@5 hit@10\n")
        for row in measure(bench, eval_folder(), names=names, rankings=rankings):
            figures = "  ".join(f"{row.hit(k):.3f}" for k in (1, 5, 10))
            sys.stdout.write(
                f"{row.set:14} {row.mode:7} {row.found_by:8} {len(row.outcomes):5}  {figures}\n"
            )
            sys.stdout.flush()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
