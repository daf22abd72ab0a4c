"""Chroma is a cache: whatever happens to its files, the ledger fills it again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.store.keeper import collection_name, exact_index, is_clean
from rag.store.ledger import Ledger
from rag.store.live_index import LiveIndex
from rag.store.probe import is_sound
from rag.store.rows import DocumentRow, FileRow, IndexedChunks
from rag.types import Space
from tests.factories import chunk, document

DIM = 24


@pytest.fixture
def ledger(tmp_path: Path):
    made = Ledger(tmp_path / ".rag" / "library.db")
    yield made
    made.close()


def fill(ledger: Ledger, count: int = 40) -> tuple[Space, np.ndarray]:
    space = ledger.create_space(embedder="test/1", dim=DIM, chunking="c/1", analyser="a/1")
    ledger.activate(space)
    rows = np.random.default_rng(0).normal(size=(count, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    whole = document("word " * count)
    chunks = [chunk("word", start=5 * i) for i in range(count)]
    files = [FileRow("a.pdf", 1, 1, "d1")]
    ledger.commit_document(
        DocumentRow(whole, "en", "ready", None, files),
        space,
        IndexedChunks(chunks, ["word"] * count, [bytes([i]) for i in range(count)], rows),
    )
    return space, rows


def opened(ledger: Ledger, folder: Path) -> LiveIndex:
    return LiveIndex(ledger, folder, engine="chroma")


def test_a_new_index_is_filled_from_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    space, rows = fill(ledger)
    live = opened(ledger, tmp_path / "chroma")
    index = live.for_writing()
    assert len(index.ids()) == 40
    exact = exact_index(ledger, space).search(rows[3], k=1)
    assert index.search(rows[3], k=1)[0][0] == exact[0][0]
    assert not is_clean(ledger, space)
    live.close()
    assert is_clean(ledger, space)


def test_reading_does_not_wait_for_chroma(ledger: Ledger, tmp_path: Path) -> None:
    _, rows = fill(ledger)
    live = opened(ledger, tmp_path / "chroma")
    assert live.for_reading().search(rows[0], k=1)
    assert not (tmp_path / "chroma").exists()
    live.close()


def test_rows_that_chroma_lost_or_kept_too_long_are_mended(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger)
    live = opened(ledger, tmp_path / "chroma")
    index = live.for_writing()
    wanted = index.ids()
    index.delete(list(wanted)[:7])
    index.put([9999], np.eye(1, DIM, dtype=np.float32))
    live.close()
    again = opened(ledger, tmp_path / "chroma")
    assert again.for_writing().ids() == wanted
    again.close()


@pytest.mark.parametrize("damage", ["delete", "overwrite", "truncate"])
def test_damaged_files_are_set_aside_and_filled_again(
    ledger: Ledger, tmp_path: Path, damage: str
) -> None:
    space, rows = fill(ledger)
    folder = tmp_path / "chroma"
    live = opened(ledger, folder)
    live.for_writing()
    live.close()
    from rag.store.keeper import mark

    mark(ledger, space, clean=False)  # as after a crash
    database = folder / "chroma.sqlite3"
    if damage == "delete":
        shutil.rmtree(folder)
    elif damage == "overwrite":
        database.write_bytes(b"this is no database" * 1000)
    else:
        database.write_bytes(database.read_bytes()[:5000])
    again = opened(ledger, folder)
    assert len(again.for_writing().ids()) == 40
    assert again.for_reading().search(rows[5], k=1)[0][1] == pytest.approx(1.0, abs=1e-3)
    again.close()
    assert is_sound(folder, collection=collection_name(space))
