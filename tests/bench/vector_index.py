"""Chroma's HNSW settings against exact search, on the vectors of a real library.

The queries are the questions of the evaluation sets, embedded by the library's own embedder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import chromadb
import numpy as np
from chromadb.config import Settings as ChromaSettings
from rich import box
from rich.console import Console
from rich.table import Table

from rag.app import wiring
from rag.app.container import Container
from rag.config import Settings, load_settings
from rag.evaluation.datasets import load_sets
from rag.storage.passages import LedgerPassages
from rag.storage.vectors.chroma import BATCH, HNSW
from rag.storage.vectors.exact import nearest
from tests.bench import machine
from tests.bench.child import folder_argument
from tests.bench.corpus import eval_sets

if TYPE_CHECKING:
    from rag.protocols import Vectors

K = 50  # what each retriever contributes to the fusion by default (retrieve.candidates)
CHOSEN = (HNSW["max_neighbors"], HNSW["ef_construction"], HNSW["ef_search"])
VARIANTS = dict.fromkeys(
    [(16, 100, 100), (16, 100, 200), (16, 200, 200), (32, 100, 200), (32, 200, 100), CHOSEN,
     (32, 200, 400)]
)  # fmt: skip
"""max_neighbors, ef_construction, ef_search; the first is what Chroma takes by itself."""


@dataclass(frozen=True, slots=True)
class Result:
    """One index. Recall is the share of the exact ``K`` or 5 best; times are for one query."""

    name: str
    build_s: float
    recall_at_k: float
    worst_recall_at_k: float
    recall_at_5: float
    median_ms: float
    p95_ms: float
    disk_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    ids, rows, queries, embedder = load(options.knowledge, questions=options.questions)
    console = Console(width=110)
    console.print(
        f"{len(ids)} vectors of {rows.shape[1]} numbers ({embedder}); {len(queries)} questions",
        highlight=False,
    )
    exact, reference = search_exactly(ids, rows, queries)
    results = [reference, *(try_variant(v, ids, rows, queries, exact) for v in VARIANTS)]
    console.print(_table(results))
    if options.json:
        report = {
            "machine": machine.describe(),
            "embedder": embedder,
            "vectors": len(ids),
            "questions": len(queries),
            "k": K,
            "results": [asdict(result) for result in results],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.vector_index", description=__doc__)
    parser.add_argument(
        "knowledge", type=folder_argument, help="a knowledge folder that has been synced"
    )
    parser.add_argument("--questions", type=int, default=300, help="at most (default 300)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return parser


def load(knowledge: Path, *, questions: int) -> tuple[list[int], Vectors, list[Any], str]:
    """Return ids and rows of the active index version, embedded questions, and the embedder's name.

    Raises:
        SystemExit: the library holds no vectors.
    """
    settings = Settings(knowledge=knowledge, models=load_settings(None).models)
    container = Container(settings)
    ledger = container.ledger(read_only=True)
    try:
        version = ledger.active_version()
        if version is None:
            raise SystemExit("Nothing is indexed there yet. Run `rag sync`.")
        parts = list(LedgerPassages(ledger, version).all_vectors())
        embedder = wiring.index_engines(container, ledger, version).embedder
    finally:
        ledger.close()
    texts = [question.text for found in load_sets(eval_sets()) for question in found.questions]
    step = max(1, len(texts) // questions)
    queries = [embedder.embed_query(text) for text in texts[::step][:questions]]
    ids = [chunk_id for part, _ in parts for chunk_id in part]
    return ids, np.concatenate([rows for _, rows in parts]), queries, embedder.name


def search_exactly(
    ids: Sequence[int], rows: Vectors, queries: Sequence[Any]
) -> tuple[list[list[int]], Result]:
    """Return the true ``K`` best ids of each query, and what finding them took."""
    found, times = [], []
    for query in queries:
        began = perf_counter()
        hits = nearest(ids, rows, query, k=K)
        times.append(perf_counter() - began)
        found.append([chunk_id for chunk_id, _ in hits])
    return found, _result("exact, in memory", 0.0, found, found, times, rows.nbytes)


def try_variant(
    variant: tuple[int, int, int],
    ids: Sequence[int],
    rows: Vectors,
    queries: Sequence[Any],
    exact: Sequence[Sequence[int]],
) -> Result:
    """Build an index as the program does, and ask it everything."""
    neighbours, construction, search = variant
    configuration = {
        "space": "cosine",
        "max_neighbors": neighbours,
        "ef_construction": construction,
        "ef_search": search,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        client = chromadb.PersistentClient(
            path=folder, settings=ChromaSettings(anonymized_telemetry=False)
        )
        collection = client.create_collection(
            "bench", embedding_function=None, configuration={"hnsw": configuration}
        )
        began = perf_counter()
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            collection.upsert(ids=[str(i) for i in ids[part]], embeddings=rows[part])
        build_s = perf_counter() - began
        found, times = _ask(collection, queries)
        client.close()
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    name = f"{neighbours} / {construction} / {search}"
    return _result(name, build_s, found, exact, times, size)


def _ask(collection: Any, queries: Sequence[Any]) -> tuple[list[list[int]], list[float]]:
    found, times = [], []
    for query in (*queries[:10], *queries):  # the first ten load the index from the disk
        began = perf_counter()
        hits = collection.query(query_embeddings=[query], n_results=K, include=["distances"])
        times.append(perf_counter() - began)
        found.append([int(name) for name in hits["ids"][0]])
    return found[-len(queries) :], times[-len(queries) :]


def _result(
    name: str,
    build_s: float,
    found: Sequence[Sequence[int]],
    exact: Sequence[Sequence[int]],
    times: Sequence[float],
    size_bytes: int,
) -> Result:
    recalls = [len({*a} & {*b}) / len(b) for a, b in zip(found, exact, strict=True)]
    first = [len({*a[:5]} & {*b[:5]}) / 5 for a, b in zip(found, exact, strict=True)]
    return Result(
        name,
        build_s=build_s,
        recall_at_k=float(np.mean(recalls)),
        worst_recall_at_k=min(recalls),
        recall_at_5=float(np.mean(first)),
        median_ms=float(np.median(times)) * 1e3,
        p95_ms=float(np.quantile(times, 0.95)) * 1e3,
        disk_mb=size_bytes / 1e6,
    )


def _table(results: Sequence[Result]) -> Table:
    shown = Table(box=box.MARKDOWN)
    shown.add_column("max_neighbors / ef_construction / ef_search")
    for heading in (
        "build s", f"recall@{K}", "worst", "recall@5", "median ms", "p95 ms", "MB",
    ):  # fmt: skip
        shown.add_column(heading, justify="right")
    for r in results:
        shown.add_row(
            r.name,
            f"{r.build_s:.1f}",
            *(f"{share:.4f}" for share in (r.recall_at_k, r.worst_recall_at_k, r.recall_at_5)),
            *(f"{number:.2f}" for number in (r.median_ms, r.p95_ms)),
            f"{r.disk_mb:.0f}",
        )
    return shown


if __name__ == "__main__":
    raise SystemExit(main())
