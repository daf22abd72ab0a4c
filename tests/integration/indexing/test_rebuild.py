"""What a change costs: only what it made stale is done again, beside what answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rag.app.container import Container
from rag.errors import IndexMismatch, StoreError
from rag.indexing.incoming import IndexEngines
from rag.indexing.library import Library
from rag.ingestion.chunking import RecursiveChunker
from rag.retrieval.analyser import BilingualAnalyser
from rag.retrieval.embedding.hashing import HashingEmbedder
from rag.storage.ledger import Ledger
from rag.storage.passages import LedgerPassages
from rag.storage.status import broken_invariants, find_stale
from rag.storage.vectors.manager import VectorIndexManager
from rag.types.documents import IndexVersion
from rag.types.index_version import WantedVersion
from tests.factories import settings
from tests.pdfs import lines, write_pdf

pytestmark = pytest.mark.usefixtures("shared_workers")


class Counting(HashingEmbedder):
    """Counts what it is asked for, and carries the name of its bytes."""

    def __init__(self, bytes_of: str) -> None:
        super().__init__()
        self.name = f"counting@{bytes_of}"
        self.texts: list[str] = []

    def embed_passages(self, texts):
        self.texts += texts
        return super().embed_passages(texts)


@dataclass
class Home:
    """A library whose installed embedder and sizes a test may change."""

    folder: Path
    ledger: Ledger
    index: VectorIndexManager
    container: Container
    embedder: Counting = field(default_factory=lambda: Counting("aaaa"))
    tokens: int = 64
    analyser: BilingualAnalyser = field(default_factory=BilingualAnalyser)

    def engines(self, version: IndexVersion | None) -> IndexEngines:
        tokens = int(version.chunking.split("/")[1]) if version else self.tokens
        chunker = RecursiveChunker(
            tokens=tokens, overlap=0, max_tokens=512, count=self.embedder.count_tokens
        )
        if version is None:
            version = self.ledger.create_version(
                embedder=self.embedder.name, dim=self.embedder.dim, chunking=chunker.name,
                analyser=self.analyser.name,
            )  # fmt: skip
        elif version.embedder != self.embedder.name:
            from rag.text.messages import Text

            raise IndexMismatch(Text("other bytes", "x"), hint=Text("Run `rag rebuild`.", "x"))
        return IndexEngines(version, self.embedder, chunker, self.analyser)

    @property
    def library(self) -> Library:
        return Library(
            self.folder, self.ledger, engines=self.engines, pool=self.container.pool,
            index=self.index.for_writing,
        )  # fmt: skip

    @property
    def wanted(self) -> WantedVersion:
        from rag.types.index_version import chunking_name, ocr_name, reader_name

        chunking = chunking_name(tokens=self.tokens, overlap=0)
        reader = reader_name()
        return WantedVersion(self.embedder.name, chunking, self.analyser.name, reader, ocr_name())

    def rebuild(self, **options):
        report = self.library.rebuild(wanted=self.wanted.matches, **options)
        assert broken_invariants(self.ledger) == []
        version = self.ledger.active_version()
        assert version is not None
        assert self.index.for_reading().ids() == LedgerPassages(self.ledger, version).chunk_ids()
        return report

    def finds(self, word: str) -> list[str]:
        version = self.ledger.active_version()
        assert version is not None
        store = LedgerPassages(self.ledger, version)
        ids = [i for i, _ in store.match([word], k=50, documents=None)]
        return sorted({p.document for p in store.passages(ids).values()})


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    folder = tmp_path / "knowledge"
    for name in "abc":
        write_pdf(folder / f"{name}.pdf", [lines(f"{name}word is here", repeat=40)] * 3)
    chosen = settings(folder, RAGDESK_RETRIEVE__INDEX="numpy")
    container = Container(chosen)
    ledger = container.ledger()
    made = Home(
        folder,
        ledger,
        VectorIndexManager(ledger, chosen.data / "chroma", engine="numpy"),
        container,
    )
    made.library.sync()
    made.embedder.texts.clear()
    yield made
    made.index.close()
    container.close()
    ledger.close()


def test_other_bytes_of_the_embedder_are_mended_by_a_rebuild_and_only_by_it(home: Home) -> None:
    before = home.ledger.active_version()
    home.embedder = Counting("bbbb")
    write_pdf(home.folder / "new.pdf", ["newword has come"])
    with pytest.raises(IndexMismatch, match="rag rebuild"):
        home.library.sync()
    assert find_stale(home.ledger, home.wanted).embed == 3
    report = home.rebuild()
    assert report.files["added"] == 1
    after = home.ledger.active_version()
    assert after is not None
    assert after != before
    assert after.embedder == "counting@bbbb"
    assert home.finds("newword") == ["new.pdf"]
    assert home.finds("aword") == ["a.pdf"]
    assert not find_stale(home.ledger, home.wanted)
    with pytest.raises(IndexMismatch):  # nobody could ask the index of the old bytes
        home.library.rollback()
    assert home.ledger.active_version() == after


def test_a_new_file_that_only_the_new_index_version_can_take_leaves_nothing_of_the_old(
    home: Home,
) -> None:
    home.index.for_writing()
    home.embedder = Counting("bbbb")
    write_pdf(home.folder / "a.pdf", ["changedword"])
    home.rebuild()
    assert home.finds("aword") == []
    assert home.finds("changedword") == ["a.pdf"]


def test_other_words_cost_no_embedding(home: Home) -> None:
    home.analyser = BilingualAnalyser()
    home.analyser.name = "bilingual/99"
    stale = find_stale(home.ledger, home.wanted)
    assert (stale.embed, stale.terms, stale.read) == (0, 3, 0)
    before = vectors(home)
    home.rebuild()
    assert len(home.embedder.texts) <= 24  # the check embeds its sample, nothing else
    assert not find_stale(home.ledger, home.wanted)
    assert vectors(home) == before


def vectors(home: Home) -> dict[bytes, bytes]:
    """Return each passage's vector by what was embedded, bit by bit."""
    version = home.ledger.active_version()
    assert version is not None
    return dict(
        home.ledger.connection.execute(
            "SELECT c.digest, v.vector FROM chunks c JOIN vectors v ON v.chunk_id = c.id"
            " WHERE c.space_id = ?",
            (version.id,),
        )
    )


def test_everything_anew_embeds_everything(home: Home) -> None:
    version = home.ledger.active_version()
    assert version is not None
    passages = home.ledger.chunk_count(version)
    home.rebuild(everything=True)
    assert len(home.embedder.texts) >= passages
    assert home.ledger.active_version() != version


def test_a_changed_page_leaves_the_passages_before_it_alone(home: Home) -> None:
    pages = [lines(f"page {n} of a long report says", repeat=40) for n in range(8)]
    write_pdf(home.folder / "long.pdf", pages)
    home.library.sync()
    whole = len(home.embedder.texts)
    home.embedder.texts.clear()
    pages[7] = lines("another text stands here now", repeat=40)
    write_pdf(home.folder / "long.pdf", pages)
    home.library.sync()
    assert 0 < len(home.embedder.texts) <= whole / 4
    assert home.finds("anoth") == ["long.pdf"]
    assert broken_invariants(home.ledger) == []


def test_what_an_older_reader_read_is_read_again_and_only_the_difference_is_embedded(
    home: Home,
) -> None:
    connection = home.ledger.connection
    connection.execute("UPDATE documents SET reader = 'older/1'")
    (other,) = connection.execute("SELECT document_id FROM files WHERE path = 'b.pdf'").fetchone()
    connection.execute(
        "UPDATE pages SET text = replace(text, 'bword', 'bvord') WHERE document_id = ?"
        " AND number = 2",
        (other,),
    )
    stale = find_stale(home.ledger, home.wanted)
    assert (stale.embed, stale.read) == (0, 3)
    version = home.ledger.active_version()
    kept = LedgerPassages(home.ledger, version).chunk_ids() if version else set()
    report = home.rebuild()
    assert sum(report.pages.values()) == 3, "only the document that reads otherwise is written"
    assert home.ledger.active_version() == version
    assert not find_stale(home.ledger, home.wanted)
    (text,) = connection.execute(
        "SELECT text FROM pages WHERE document_id = ? AND number = 2", (other,)
    ).fetchone()
    assert "bvord" not in text
    assert version is not None
    assert len(kept & LedgerPassages(home.ledger, version).chunk_ids()) >= 2 * len(kept) / 3 - 1


def test_a_document_that_can_no_longer_be_read_stays_as_it_was(home: Home) -> None:
    home.ledger.connection.execute("UPDATE documents SET reader = 'older/1'")
    stat = (home.folder / "a.pdf").stat()
    (home.folder / "a.pdf").write_bytes(b"x" * stat.st_size)
    import os

    os.utime(home.folder / "a.pdf", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    home.rebuild()
    assert home.finds("aword") == ["a.pdf"]


def test_an_index_version_that_fails_its_check_never_answers(home: Home) -> None:
    before = home.ledger.active_version()
    home.tokens = 32

    def spoil(progress) -> None:
        if progress.stage == "check":
            home.ledger.connection.execute(
                "UPDATE vectors SET vector = zeroblob(length(vector)) WHERE chunk_id IN"
                " (SELECT id FROM chunks WHERE space_id != ?)",
                (before.id if before else 0,),
            )

    with pytest.raises(StoreError, match="do not find themselves"):
        home.library.rebuild(wanted=home.wanted.matches, report=spoil)
    assert home.ledger.active_version() == before
    assert list(home.ledger.versions().values()) == [before], "the bad one is gone"
    home.rebuild()
    assert home.ledger.active_version() != before


def test_an_index_version_that_lost_documents_never_answers(home: Home) -> None:
    before = home.ledger.active_version()
    home.tokens = 32

    def lose(progress) -> None:
        if progress.stage == "check":
            home.ledger.connection.execute("DELETE FROM space_documents WHERE space_id = 2")
            home.ledger.connection.execute("DELETE FROM chunks WHERE space_id = 2")
            home.ledger.connection.execute("DELETE FROM fts_2")

    with pytest.raises(StoreError, match="3 documents are missing"):
        home.library.rebuild(wanted=home.wanted.matches, report=lose)
    assert home.ledger.active_version() == before


def test_the_estimate_comes_from_what_this_machine_did(home: Home) -> None:
    version = home.ledger.active_version()
    assert version is not None
    home.tokens = 32
    assert find_stale(home.ledger, home.wanted).embed_s is None
    home.ledger.set_meta("speed embed counting@cccc", "2.0")
    seconds = find_stale(home.ledger, home.wanted).embed_s
    assert seconds == pytest.approx(home.ledger.chunk_count(version) * (64 / 32) / 2.0)


def test_files_are_not_needed_to_embed_anew(home: Home) -> None:
    home.tokens = 32
    shutil.copytree(home.folder, home.folder.parent / "kept", ignore=lambda *_: [".rag"])
    wanted: Callable[[IndexVersion], bool] = home.wanted.matches
    report = home.library.rebuild(wanted=wanted)
    assert sum(report.pages.values()) == 0


def test_what_failed_for_want_of_time_gets_another_chance(home: Home) -> None:
    connection = home.ledger.connection
    (document,) = connection.execute(
        "SELECT document_id FROM files WHERE path = 'a.pdf'"
    ).fetchone()
    ids = connection.execute("SELECT id FROM chunks WHERE document_id = ?", (document,))
    home.index.for_writing().delete([row[0] for row in ids])
    connection.execute("DELETE FROM chunks WHERE document_id = ?", (document,))
    connection.execute("DELETE FROM fts_1 WHERE rowid NOT IN (SELECT id FROM chunks)")
    connection.execute("DELETE FROM pages WHERE document_id = ?", (document,))
    connection.execute(
        "UPDATE documents SET state = 'failed', reason = 'timeout' WHERE id = ?", (document,)
    )
    home.library.sync()
    assert home.finds("aword") == []
    home.rebuild()
    assert home.finds("aword") == ["a.pdf"]
