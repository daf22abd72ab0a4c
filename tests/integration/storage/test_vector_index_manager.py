"""Chroma is a cache: whatever happens to its files, the ledger fills it again."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from rag.storage.ledger import DocumentRow, FileRow, IndexedChunks, Ledger
from rag.storage.vectors.chroma import is_sound
from rag.storage.vectors.exact import ExactIndex
from rag.storage.vectors.manager import (
    VectorIndexManager,
    collection_name,
    exact_index,
    is_clean,
    mark,
)
from rag.types.documents import IndexVersion
from tests.factories import chunk, document

DIM = 24


@pytest.fixture
def ledger(tmp_path: Path):
    made = Ledger(tmp_path / ".rag" / "library.db")
    yield made
    made.close()


def fill(ledger: Ledger, count: int = 40) -> tuple[IndexVersion, np.ndarray]:
    version = ledger.create_version(embedder="test/1", dim=DIM, chunking="c/1", analyser="a/1")
    ledger.activate(version)
    rows = np.random.default_rng(0).normal(size=(count, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    whole = document("word " * count)
    chunks = [chunk("word", start=5 * i) for i in range(count)]
    files = [FileRow("a.pdf", 1, 1, "d1")]
    ledger.commit_document(
        DocumentRow(whole, "en", "ready", None, files),
        version,
        IndexedChunks(
            chunks, ["word"] * count, [bytes([i % 256, i // 256]) for i in range(count)], rows
        ),
    )
    return version, rows


def opened(ledger: Ledger, folder: Path) -> VectorIndexManager:
    return VectorIndexManager(ledger, folder, engine="chroma")


def test_a_new_index_is_filled_from_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    version, rows = fill(ledger)
    live = opened(ledger, tmp_path / "chroma")
    index = live.for_writing()
    assert len(index.ids()) == 40
    exact = exact_index(ledger, version).search(rows[3], k=1)
    assert index.search(rows[3], k=1)[0][0] == exact[0][0]
    assert not is_clean(ledger, version, tmp_path / "chroma")
    live.close()
    assert is_clean(ledger, version, tmp_path / "chroma")


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


def damage_of(kind: str, folder: Path) -> None:
    database = folder / "chroma.sqlite3"
    if kind == "delete":
        shutil.rmtree(folder)
    elif kind == "overwrite":
        database.write_bytes(b"this is no database" * 1000)
    elif kind == "truncate":
        database.write_bytes(database.read_bytes()[:5000])
    elif kind == "vectors":
        for path in folder.glob("*/data_level0.bin"):
            path.write_bytes(b"\xff" * 100)
    else:  # what a later version of Chroma leaves: a step of its schema that ours does not know
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "INSERT INTO migrations SELECT dir, version + 900, '99999-later.sqlite.sql', sql,"
                " hash || 'x' FROM migrations ORDER BY version DESC LIMIT 1"
            )
            connection.execute("ALTER TABLE collections RENAME TO gatherings")


@pytest.mark.parametrize(
    "crashed",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["closed in order", "crashed"],
)
@pytest.mark.parametrize(
    "kind",
    [
        "delete",
        "overwrite",
        "vectors",
        # a file that is cut short is to Chroma as one that is overwritten
        pytest.param("truncate", marks=pytest.mark.slow),
        "version",
    ],
)
def test_whatever_happened_to_its_files_it_is_filled_again(
    ledger: Ledger, tmp_path: Path, kind: str, crashed: bool
) -> None:
    count = 1200 if kind == "vectors" else 40  # below a thousand Chroma writes no vector file
    version, rows = fill(ledger, count)
    folder = tmp_path / "chroma"
    live = opened(ledger, folder)
    live.for_writing()
    live.close()
    if crashed:
        mark(ledger, version, folder, clean=False)
    damage_of(kind, folder)
    again = opened(ledger, folder)
    assert again.for_writing().ids() == exact_index(ledger, version).ids()
    best = again.for_reading().search(rows[5], k=1)[0]
    assert best[1] == pytest.approx(1.0, abs=1e-3)
    again.close()
    assert is_clean(ledger, version, folder), "Chroma itself was filled, not only its stand-in"
    assert is_sound(folder, collection=collection_name(version))


def test_questions_are_answered_while_chroma_is_opened(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows = fill(ledger)
    live = opened(ledger, tmp_path / "chroma")
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*_: object) -> ExactIndex:
        begun.set()
        assert go_on.wait(20)
        return ExactIndex(dim=DIM)

    monkeypatch.setattr("rag.storage.vectors.manager.open_chroma", slowly)
    writer = threading.Thread(target=live.for_writing)
    writer.start()
    assert begun.wait(20)
    assert live.for_reading().search(rows[7], k=1)[0][1] == pytest.approx(1.0, abs=1e-3)
    assert writer.is_alive()
    go_on.set()
    writer.join()
    live.close()


class Failing(ExactIndex):
    """What a full disk makes of an index."""

    def put(self, ids, vectors) -> None:
        raise OSError(28, "No space left on device")

    def search(self, query, *, k):
        raise RuntimeError("Error loading hnsw index")


@pytest.mark.parametrize("act", ["put", "search"])
def test_an_index_that_fails_gives_way_to_the_exact_one(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    version, rows = fill(ledger)
    monkeypatch.setattr("rag.storage.vectors.manager.open_chroma", lambda *_: Failing(dim=DIM))
    live = opened(ledger, tmp_path / "chroma")
    index = live.for_writing()
    if act == "put":
        index.put([1], rows[:1])
    else:
        assert index.search(rows[3], k=1)[0][1] == pytest.approx(1.0, abs=1e-3)
    assert live.for_reading().search(rows[3], k=1)[0][1] == pytest.approx(1.0, abs=1e-3)
    live.close()
    assert not is_clean(ledger, version, tmp_path / "chroma"), "so that the next start mends it"


class Closing(ExactIndex):
    """Chroma as its documentation has it: one that was closed answers nothing."""

    closed = False

    def close(self) -> None:
        self.closed = True

    def _still_open(self) -> None:
        if self.closed:
            raise RuntimeError("the client is closed")

    def put(self, ids, vectors) -> None:
        self._still_open()
        super().put(ids, vectors)

    def delete(self, ids) -> None:
        self._still_open()
        super().delete(ids)

    def search(self, query, *, k):
        self._still_open()
        return super().search(query, k=k)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "dropped"])
def test_a_question_during_a_rebuild_ends_with_its_own_index_version_and_chroma_goes_on(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    folder = tmp_path / "chroma"
    monkeypatch.setattr("rag.storage.vectors.manager.open_chroma", lambda *_: Closing(dim=DIM))
    old, rows = fill(ledger)
    live = opened(ledger, folder)
    live.for_writing()
    held = live.for_reading()  # by a question
    new = ledger.create_version(embedder="test/2", dim=DIM // 2, chunking="c/1", analyser="a/1")
    ledger.activate(new)
    opened_anew = live.for_writing()
    if not kept:
        ledger.drop_version(old)
    found = held.search(rows[3], k=1)
    assert [place for place, _ in found] == ([4] if kept else [])
    assert all(score == pytest.approx(1.0, abs=1e-3) for _, score in found)
    held.put([7], rows[:1])
    held.delete([7])
    assert live.for_writing() is opened_anew
    assert live.for_reading() is opened_anew
    live.close()
    assert is_clean(ledger, new, folder), "and is trusted at the next start"


def test_what_an_index_misses_that_was_opened_anew_meanwhile_goes_to_the_new_one(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.storage.vectors.manager.open_chroma", lambda *_: Closing(dim=DIM))
    version, rows = fill(ledger)
    live = opened(ledger, tmp_path / "chroma")
    held = live.for_writing()
    other = ledger.create_version(embedder="test/2", dim=DIM, chunking="c/1", analyser="a/1")
    for one in (other, version):  # a rebuild, and back
        ledger.activate(one)
        live.for_writing()
    held.put([1, 2], rows[:2])
    held.delete([2])
    assert live.for_reading().ids() == {1}
    ((best, score),) = held.search(rows[0], k=5)
    assert best == 1
    assert score == pytest.approx(1.0, abs=1e-3)
    live.close()
    assert held.search(rows[0], k=5) == []


def test_collections_of_index_versions_that_are_gone_go(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "chroma"
    first, _ = fill(ledger)
    live = opened(ledger, folder)
    live.for_writing()
    live.close()
    second = ledger.create_version(embedder="test/2", dim=DIM, chunking="c/1", analyser="a/1")
    ledger.activate(second)
    ledger.drop_version(first)
    live = opened(ledger, folder)
    live.for_writing()
    live.close()
    assert len([p for p in folder.iterdir() if p.is_dir()]) <= 1
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection:
        names = connection.execute("SELECT name FROM collections").fetchall()
    assert names == [(collection_name(second),)]
