"""Chroma as an index of ids and vectors, and nothing else.

Never an embedding function: Chroma would otherwise load the one that is named in the
collection's own configuration, code included (CVE-2026-45829). Never documents or
metadata: the ledger has them.

``python -m rag.storage.vectors.chroma FOLDER COLLECTION`` probes a collection: it prints the
number of rows, having read every id and asked one question. It is a process of its own because
a torn collection can crash it; any ending but that means that the collection is not sound.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chromadb
import numpy as np
from chromadb.config import Settings as ChromaSettings

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

    from rag.protocols import Vector, Vectors


PROBE_TIMEOUT_S = 120
BATCH = 250  # rows a write; Chroma's own guide names 50 to 250
HNSW: dict[str, Any] = {
    "space": "cosine",
    "ef_construction": 200,
    "max_neighbors": 32,
    "ef_search": 200,
}


def _client(folder: Path) -> ClientAPI:
    settings = ChromaSettings(anonymized_telemetry=False)
    return chromadb.PersistentClient(path=str(folder), settings=settings)


class ChromaIndex:
    """One collection in a folder that only this process has open."""

    def __init__(self, folder: Path, *, collection: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._client = _client(folder)
        self._collection = self._client.get_or_create_collection(
            collection, embedding_function=None, configuration={"hnsw": HNSW}
        )

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        for start in range(0, len(ids), BATCH):
            self._collection.upsert(
                ids=[str(i) for i in ids[start : start + BATCH]],
                embeddings=np.asarray(vectors[start : start + BATCH], dtype=np.float32),
            )

    def delete(self, ids: Collection[int]) -> None:
        names = [str(i) for i in ids]
        for start in range(0, len(names), BATCH):
            self._collection.delete(ids=names[start : start + BATCH])

    def search(self, query: Vector, *, k: int) -> list[tuple[int, float]]:
        if k <= 0:
            return []
        found = self._collection.query(query_embeddings=[query], n_results=k, include=["distances"])
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        # Chroma's cosine distance is 1 - cosine
        hits = [(int(name), 1.0 - float(distance)) for name, distance in pairs]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    def ids(self) -> set[int]:
        return set(self._pages())

    def dim(self) -> int | None:
        """Return the length of the rows; ``None`` while there are none."""
        sample = self._collection.get(limit=1, include=["embeddings"])["embeddings"]
        return len(sample[0]) if sample is not None and len(sample) else None

    def _pages(self, size: int = 5000) -> Iterator[int]:
        for offset in range(0, self._collection.count(), size):
            for name in self._collection.get(limit=size, offset=offset, include=[])["ids"]:
                yield int(name)

    def close(self) -> None:
        self._client.close()


def delete_collections(folder: Path, *, keep: Collection[str]) -> None:
    """Delete the collections of index versions that are gone."""
    client = _client(folder)
    for collection in client.list_collections():
        if collection.name not in keep:
            client.delete_collection(collection.name)
    client.close()


def is_sound(folder: Path, *, collection: str) -> bool:
    """Return whether a child process could open, list and search the collection."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "rag.storage.vectors.chroma", str(folder), collection],
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    """Probe what the command line names."""
    folder, collection = sys.argv[1:3]
    index = ChromaIndex(Path(folder), collection=collection)
    ids = index.ids()
    dim = index.dim()
    if ids and dim:
        query = np.full(dim, dim**-0.5, dtype=np.float32)
        if not index.search(query, k=1):
            raise SystemExit(1)
    index.close()
    sys.stdout.write(f"{len(ids)}\n")


if __name__ == "__main__":
    main()
