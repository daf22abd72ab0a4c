"""How long a search takes in a very large library, and how much memory it needs.

    python -m tests.bench.scale KNOWLEDGE --passages 100000 --passages 1000000

Passages are made from those of a synced folder: each takes half its words from one of them and
the rest from all of them by frequency, and its vector lies between two of theirs with noise
around it. So words are as frequent and passages as long as in the real library. The questions
are those of the evaluation sets and go through the whole of retrieval, embedding included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import psutil

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings, load_settings
from rag.evaluation.datasets import load_sets
from rag.storage.ledger import DocumentRow, FileRow, IndexedChunks, Ledger
from rag.storage.passages import LedgerPassages
from rag.storage.vectors.chroma import BATCH, ChromaIndex
from rag.storage.vectors.manager import exact_index
from rag.types.documents import Chunk, Document, IndexVersion, Page
from tests.bench.child import folder_argument
from tests.bench.corpus import eval_sets

if TYPE_CHECKING:
    from rag.protocols import Retriever, VectorIndex, Vectors
    from rag.types.answers import SearchTimes

PER_DOCUMENT = 500
NOISE = 0.4  # length of what is added to a unit vector
K = 50


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds are the median and the 95th percentile over the questions."""

    passages: int
    index: str
    build_s: float
    total_ms: tuple[float, float]
    embed_ms: tuple[float, float]
    dense_ms: tuple[float, float]
    lexical_ms: tuple[float, float]
    rest_ms: tuple[float, float]
    recall_at_50: float  # against exact search
    memory_mb: float
    ledger_mb: float


@dataclass(frozen=True, slots=True)
class Source:
    """What new passages are made of."""

    version: IndexVersion
    terms: Sequence[Sequence[str]]
    pool: Sequence[str]  # all words, as often as they occur
    rows: Vectors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("knowledge", type=folder_argument, help="a synced knowledge folder")
    parser.add_argument("--passages", type=int, action="append")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--exact", action="store_true", help="numpy instead of Chroma")
    options = parser.parse_args(arguments)
    settings = load_settings(None, {**os.environ, "RAGDESK_KNOWLEDGE": str(options.knowledge)})
    source = _source(settings)
    asked = [q.text for found in load_sets(eval_sets()) for q in found.with_pages()]
    chosen = random.Random(1).sample(asked, min(options.questions, len(asked)))
    for count in options.passages or [100_000]:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            made = settings.model_copy(update={"knowledge": Path(folder)})
            result = measure(made, source, chosen, count=count, exact=options.exact)
        print(json.dumps(asdict(result)), flush=True)


def _source(settings: Settings) -> Source:
    ledger = Ledger(settings.data / "library.db", read_only=True)
    version = ledger.active_version()
    assert version is not None, "the folder is synced"
    store = LedgerPassages(ledger, version)
    index = exact_index(ledger, version)
    ids = sorted(index.ids())
    terms = [text.split() for text in store.analysed(ids).values()]
    rows = np.concatenate([rows for _, rows in store.all_vectors()])
    ledger.close()
    return Source(version, terms, [term for text in terms for term in text], rows)


def measure(
    settings: Settings, source: Source, questions: Sequence[str], *, count: int, exact: bool
) -> Result:
    """Build a library of ``count`` passages, ask it, and throw it away."""
    settings.data.mkdir(parents=True)
    container = Container(settings)
    ledger = container.ledger()
    try:
        given = source.version
        version = ledger.create_version(
            embedder=given.embedder, dim=given.dim, chunking=given.chunking, analyser=given.analyser
        )
        ledger.activate(version)
        began = perf_counter()
        _fill(ledger, version, source, count=count)
        reference = exact_index(ledger, version)
        index: VectorIndex = reference if exact else _chroma(settings, reference)
        build_s = perf_counter() - began
        engines = wiring.index_engines(container, ledger, version)
        recall = _recall(reference, index, source.rows)
        del reference
        asked = _ask(wiring.retriever(container, ledger, engines, index), questions)
        times = [parts for _, parts in asked]
        parts = {
            name: _spread([getattr(t, name) for t in times])
            for name in ("embed", "dense", "lexical")
        }
        return Result(
            passages=count,
            index="exact" if exact else "chroma",
            build_s=round(build_s, 1),
            total_ms=_spread([total for total, _ in asked]),
            embed_ms=parts["embed"],
            dense_ms=parts["dense"],
            lexical_ms=parts["lexical"],
            rest_ms=_spread([t.fuse for t in times]),
            recall_at_50=recall,
            memory_mb=round(psutil.Process().memory_info().rss / 1e6),
            ledger_mb=round((settings.data / "library.db").stat().st_size / 1e6),
        )
    finally:
        container.close()
        ledger.close()


def _spread(seconds: Sequence[float]) -> tuple[float, float]:
    middle, high = np.percentile(np.array(seconds) * 1000, [50, 95])
    return round(float(middle), 1), round(float(high), 1)


def _ask(retriever: Retriever, questions: Sequence[str]) -> list[tuple[float, SearchTimes]]:
    """Return the seconds of each search: in all, and stage by stage; some run side by side."""
    retriever.search(questions[0], k=5)  # floors of both languages are asked for once
    retriever.search("显存带宽是多少？", k=5)
    found = []
    for question in questions:
        began = perf_counter()
        parts = retriever.search(question, k=5).seconds
        found.append((perf_counter() - began, parts))
    return found


def _recall(reference: VectorIndex, index: VectorIndex, rows: Vectors) -> float:
    found = []
    for row in rows[:: max(1, len(rows) // 50)]:
        right = {i for i, _ in reference.search(row, k=K)}
        found.append(len(right & {i for i, _ in index.search(row, k=K)}) / len(right))
    return round(float(np.mean(found)), 4)


def _chroma(settings: Settings, exact: VectorIndex) -> VectorIndex:
    index = ChromaIndex(settings.data / "chroma", collection="scale")
    ids, rows = exact._ids, exact._rows  # type: ignore[attr-defined]
    for start in range(0, len(ids), BATCH):
        index.put(ids[start : start + BATCH].tolist(), rows[start : start + BATCH])
    return index


def _fill(ledger: Ledger, version: IndexVersion, source: Source, *, count: int) -> None:
    chance, numbers = random.Random(2), np.random.default_rng(2)
    for number, start in enumerate(range(0, count, PER_DOCUMENT)):
        size = min(PER_DOCUMENT, count - start)
        texts = list(_texts(source, chance, size))
        document = Document(
            f"{number:064x}", f"Document {number}", tuple(_pages(texts)), reader="made"
        )
        starts = document.page_starts()
        chunks = [
            Chunk(document.id, at, at + len(text), page, page, text, tokens=200)
            for page, (at, text) in enumerate(zip(starts, texts, strict=True), start=1)
        ]
        indexed = IndexedChunks(
            chunks,
            texts,
            [numbers.bytes(32) for _ in texts],
            _rows(source.rows, numbers, size),
        )
        path = FileRow(f"{number}.pdf", 1, 1, document.id)
        ledger.commit_document(DocumentRow(document, "en", "ready", None, [path]), version, indexed)


def _texts(source: Source, chance: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        words = chance.choice(source.terms)
        half = len(words) // 2
        start = chance.randrange(len(words) - half + 1)
        drawn = chance.choices(source.pool, k=len(words) - half)
        yield " ".join([*words[start : start + half], *drawn])


def _pages(texts: Sequence[str]) -> Iterator[Page]:
    for number, text in enumerate(texts, start=1):
        yield Page(number, text)


def _rows(rows: Vectors, numbers: np.random.Generator, count: int) -> Vectors:
    one, two = (rows[numbers.integers(len(rows), size=count)] for _ in range(2))
    share = numbers.uniform(0.5, 1, size=(count, 1)).astype(np.float32)
    noise = numbers.standard_normal((count, rows.shape[1]), dtype=np.float32)
    mixed = share * one + (1 - share) * two + NOISE * noise / np.sqrt(rows.shape[1])
    unit: Vectors = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main()
