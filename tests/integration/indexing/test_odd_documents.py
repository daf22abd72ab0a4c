"""Text that nobody thought of costs one document or one feature, never the whole folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.app import wiring
from rag.app.container import Container
from rag.cli import app
from rag.indexing.library import Library
from rag.retrieval.analyser import BilingualAnalyser
from rag.storage.passages import LedgerPassages
from rag.storage.status import broken_invariants, document_statuses
from rag.storage.vectors.manager import VectorIndexManager
from rag.text.reasons import reason_text
from tests.factories import settings
from tests.pdfs import write_pdf

pytestmark = pytest.mark.usefixtures("shared_workers")

ADDRESS = "The server listens on 192.168.0.1:8080 in release 1.2.3:4.5.6 of the product."


class Choking(BilingualAnalyser):
    """Cannot take a text apart that holds a certain word, until it is mended."""

    mended = False

    def terms(self, text: str) -> list[str]:
        if "unspeakable" in text and not self.mended:
            raise ValueError("no word for that")
        return super().terms(text)


class Home:
    """A folder with its library; the analyser is the test's."""

    def __init__(self, folder: Path, container: Container) -> None:
        self.folder = folder
        self.container = container
        self.ledger = container.ledger()
        self.index = VectorIndexManager(
            self.ledger, container.settings.data / "chroma", engine="numpy"
        )
        self.analyser = Choking()
        self.library = Library(
            folder,
            self.ledger,
            engines=lambda version: replace(
                wiring.index_engines(container, self.ledger, version), analyser=self.analyser
            ),
            pool=container.pool,
            index=self.index.for_writing,
        )

    @property
    def states(self) -> dict[str, tuple[str, str | None]]:
        assert broken_invariants(self.ledger) == []
        return {d.paths[0]: (d.state, d.reason) for d in document_statuses(self.ledger)}

    def finds(self, word: str) -> list[str]:
        version = self.ledger.active_version()
        assert version is not None
        store = LedgerPassages(self.ledger, version)
        ids = [i for i, _ in store.match([word], k=50, documents=None)]
        return sorted({p.document for p in store.passages(ids).values()})


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    container = Container(settings(folder, RAG_RETRIEVE__INDEX="numpy"))
    made = Home(folder, container)
    yield made
    made.index.close()
    container.close()
    made.ledger.close()


def test_a_document_with_an_address_is_indexed_and_asked(tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "a.pdf", [ADDRESS])
    environment = {
        "RAGDESK_EMBEDDER__MODEL": "hashing",
        "RAGDESK_GENERATOR__ENGINE": "echo",
        "RAGDESK_INGEST__WORKERS": "1",
        "RAGDESK_INGEST__OCR": "off",
        "RAGDESK_RETRIEVE__INDEX": "numpy",
    }
    done = None
    for command in (["sync"], ["status"], ["ask", "What listens on 192.168.0.1:8080:1.2.3?"]):
        done = CliRunner().invoke(app, ["--knowledge", str(folder), *command], env=environment)
        assert done.exit_code == 0, done.output
    assert done is not None
    assert "a.pdf" in done.output


def test_a_document_that_cannot_be_taken_apart_fails_alone(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha is here"])
    write_pdf(home.folder / "odd.pdf", ["an unspeakable word"])
    write_pdf(home.folder / "z.pdf", ["omega is here"])
    with caplog.at_level(logging.ERROR):
        report = home.library.sync()
    assert home.states == {
        "a.pdf": ("ready", None),
        "odd.pdf": ("failed", "index_failed"),
        "z.pdf": ("ready", None),
    }
    assert [(f["path"], f["code"]) for f in report.failed] == [("odd.pdf", "index_failed")]
    assert (home.finds("alpha"), home.finds("omega")) == (["a.pdf"], ["z.pdf"])
    assert any(record.exc_info for record in caplog.records)
    assert "unspeakable" not in "".join(record.getMessage() for record in caplog.records)
    assert all(len(reason_text("index_failed", language)) > 20 for language in ("en", "zh"))


def test_a_rebuild_tries_again_what_could_not_be_indexed(home: Home) -> None:
    write_pdf(home.folder / "odd.pdf", ["an unspeakable word"])
    home.library.sync()
    home.analyser.mended = True
    assert home.library.sync().failed == []  # an unchanged file is not read again
    assert home.states == {"odd.pdf": ("failed", "index_failed")}
    home.library.rebuild(wanted=lambda _: True)
    assert home.states == {"odd.pdf": ("ready", None)}
    assert home.finds("unspeakable".removesuffix("able")) == ["odd.pdf"]


def test_a_document_that_a_new_index_cannot_take_in_says_so(home: Home) -> None:
    write_pdf(home.folder / "a.pdf", ["alpha is here"])
    write_pdf(home.folder / "odd.pdf", ["an unspeakable word"])
    home.analyser.mended = True
    home.library.sync()
    home.analyser.mended = False
    home.library.rebuild(everything=True, wanted=lambda _: True)
    assert home.states == {"a.pdf": ("ready", None), "odd.pdf": ("failed", "index_failed")}
    assert home.finds("alpha") == ["a.pdf"]
