"""What every vector index must do. A new engine joins by adding one line to ``INDEXES``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rag.protocols import VectorIndex
from rag.storage.vectors.chroma import ChromaIndex
from rag.storage.vectors.exact import ExactIndex

if TYPE_CHECKING:
    from rag.protocols import Vectors

DIM = 16
INDEXES: dict[str, Callable[[Path], VectorIndex]] = {
    "numpy": lambda _: ExactIndex(dim=DIM),
    "chroma": lambda folder: ChromaIndex(folder, collection="space-1"),
}


@pytest.fixture(params=list(INDEXES))
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    made = INDEXES[request.param](tmp_path / "index")
    yield made
    made.close()


def rows(count: int, *, seed: int = 0) -> Vectors:
    made = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    unit: Vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def test_an_empty_index_finds_nothing(index: VectorIndex) -> None:
    assert index.search(rows(1)[0], k=3) == []
    assert index.ids() == set()


def test_the_best_hit_comes_first_and_scores_one(index: VectorIndex) -> None:
    vectors = rows(20)
    index.put(list(range(1, 21)), vectors)
    found = index.search(vectors[6], k=5)
    assert found[0][0] == 7
    assert found[0][1] == pytest.approx(1.0, abs=1e-4)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len(found) == 5


def test_scores_are_cosines(index: VectorIndex) -> None:
    vectors = rows(30)
    index.put(list(range(30)), vectors)
    query = rows(1, seed=9)[0]
    for chunk_id, score in index.search(query, k=30):
        assert score == pytest.approx(float(vectors[chunk_id] @ query), abs=1e-4)


def test_putting_a_row_twice_keeps_the_last(index: VectorIndex) -> None:
    vectors = rows(3)
    index.put([1, 2], vectors[:2])
    index.put([2], vectors[2:])
    assert index.ids() == {1, 2}
    assert index.search(vectors[2], k=1)[0][0] == 2
    assert index.search(vectors[2], k=1)[0][1] == pytest.approx(1.0, abs=1e-4)


def test_deleted_rows_are_not_found_and_unknown_ids_do_no_harm(index: VectorIndex) -> None:
    vectors = rows(4)
    index.put([1, 2, 3, 4], vectors)
    index.delete({2, 99})
    assert index.ids() == {1, 3, 4}
    assert all(chunk_id != 2 for chunk_id, _ in index.search(vectors[1], k=9))


def test_asking_for_more_than_there_is_gives_all(index: VectorIndex) -> None:
    index.put([5, 6], rows(2))
    assert len(index.search(rows(1)[0], k=50)) == 2


def test_both_indexes_agree_on_a_larger_set(tmp_path: Path) -> None:
    vectors, queries = rows(600), rows(10, seed=3)
    exact, cached = ExactIndex(dim=DIM), ChromaIndex(tmp_path / "c", collection="space-1")
    for made in (exact, cached):
        made.put(list(range(600)), vectors)
    for query in queries:
        wanted = {i for i, _ in exact.search(query, k=10)}
        found = {i for i, _ in cached.search(query, k=10)}
        assert len(wanted & found) >= 9
    cached.close()


def test_chroma_keeps_its_rows_when_it_is_opened_again(tmp_path: Path) -> None:
    vectors = rows(5)
    first = ChromaIndex(tmp_path / "c", collection="space-1")
    first.put([1, 2, 3, 4, 5], vectors)
    first.close()
    again = ChromaIndex(tmp_path / "c", collection="space-1")
    assert again.ids() == {1, 2, 3, 4, 5}
    assert again.dim() == DIM
    again.close()
