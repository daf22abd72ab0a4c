"""Encrypted PDFs: asked for, opened, tried again; the password is written nowhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.app import wiring
from rag.app.container import Container
from rag.errors import ConfigError, UnreadableDocument
from rag.indexing.library import Library
from rag.ingestion.passwords import Passwords
from rag.storage.passages import LedgerPassages
from rag.storage.status import document_statuses
from rag.storage.vectors.manager import VectorIndexManager
from rag.system import secrets as keyring_store
from tests.factories import settings
from tests.pdfs import write_pdf

pytestmark = pytest.mark.usefixtures("shared_workers")

SECRET = "open sesame 芝麻"


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.container = Container(settings(folder, RAGDESK_RETRIEVE__INDEX="numpy"))
        self.ledger = self.container.ledger()
        self.index = VectorIndexManager(self.ledger, folder / ".rag" / "chroma", engine="numpy")
        self.library: Library = wiring.library(self.container, self.ledger, index=self.index)

    def reasons(self) -> dict[str, str | None]:
        return {path: s.reason for s in document_statuses(self.ledger) for path in s.paths}

    def document_id(self, name: str) -> str:
        document_id = self.ledger.files()[name].document_id
        assert document_id is not None
        return document_id

    def finds(self, word: str) -> list[str]:
        version = self.ledger.active_version()
        assert version is not None
        store = LedgerPassages(self.ledger, version)
        ids = [i for i, _ in store.match([word], k=9, documents=None)]
        return sorted(p.document for p in store.passages(ids).values())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    folder = tmp_path / "knowledge"
    write_pdf(folder / "plain.pdf", ["plainword"])
    write_pdf(folder / "锁.pdf", ["hiddenword here"], password="pässwört")
    write_pdf(folder / "other.pdf", ["otherword here"], password=SECRET)
    made = Home(folder)
    yield made
    made.index.close()
    made.container.close()
    made.ledger.close()


def password_file(home: Home, text: str) -> Path:
    path = home.folder.parent / "passwords.txt"
    path.write_text(text, "utf-8")
    return path


def test_a_locked_file_says_so_and_opens_once_there_is_a_password(home: Home) -> None:
    home.library.sync()
    assert home.reasons() == {"plain.pdf": None, "锁.pdf": "encrypted", "other.pdf": "encrypted"}
    report = home.library.sync(passwords=password_file(home, f"wrong\npässwört\n{SECRET}\n"))
    assert home.reasons() == {"plain.pdf": None, "锁.pdf": None, "other.pdf": None}
    assert home.finds("hiddenword") == ["锁.pdf"]
    assert (report.gaps, report.pages["text"]) == (0, 2)


def test_a_password_may_be_for_one_name_only(home: Home) -> None:
    home.library.sync(passwords=password_file(home, f"锁.pdf\tpässwört\nno.pdf\t{SECRET}\n"))
    assert home.reasons()["锁.pdf"] is None
    assert home.reasons()["other.pdf"] == "encrypted"


def test_a_wrong_password_is_told_and_is_not_tried_for_ever(home: Home) -> None:
    home.library.sync(passwords=password_file(home, "wrong\n"))
    assert home.reasons()["锁.pdf"] == "wrong_password"
    before = list(home.ledger.connection.iterdump())
    home.library.sync()
    assert list(home.ledger.connection.iterdump()) == before


def test_pages_of_an_opened_file_can_be_looked_at(home: Home) -> None:
    home.library.sync(passwords=password_file(home, f"{SECRET}\n"))
    pool, path = home.container.pool(), home.folder / "other.pdf"
    assert pool.render(path, page=1, width=200).startswith(b"\x89PNG")
    assert pool.boxes(path, [(1, 0, 5)], recipes={1: "0+5"})[0]
    with pytest.raises(UnreadableDocument) as caught:
        pool.render(home.folder / "锁.pdf", page=1, width=200)
    assert caught.value.reason == "wrong_password"


def test_one_document_is_unlocked_with_one_password(home: Home) -> None:
    home.library.sync()
    path = home.folder / "other.pdf"
    with pytest.raises(UnreadableDocument) as caught:
        home.library.unlocking.give(home.document_id("other.pdf"), path, "no", remember=False)
    assert caught.value.reason == "wrong_password"
    home.library.sync()
    assert home.reasons()["other.pdf"] == "encrypted", "what did not fit is not tried again"
    home.library.unlocking.give(home.document_id("other.pdf"), path, SECRET, remember=False)
    home.library.sync()
    assert home.finds("otherword") == ["other.pdf"]


def test_the_password_is_written_nowhere(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    home.library.sync(passwords=password_file(home, f"{SECRET}\nwrong secret\n"))
    home.ledger.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    written = [p.read_bytes() for p in (home.folder / ".rag").rglob("*") if p.is_file()]
    for secret in (SECRET, "wrong secret"):
        assert secret not in caplog.text
        assert not any(secret.encode() in content for content in written)
        assert secret not in repr(home.container.pool().passwords)


def test_a_password_file_that_cannot_be_read_says_what_it_should_be(home: Home) -> None:
    with pytest.raises(ConfigError, match="one password a line"):
        home.library.sync(passwords=home.folder / "no-such-file")


class Vault:
    """A system keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, name: str, password: str) -> None:
        self.kept[service, name] = password

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))


def test_a_kept_password_opens_the_file_in_the_next_session(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault()
    monkeypatch.setattr(keyring_store, "system_store", lambda: vault)
    home.library.sync(passwords=password_file(home, f"{SECRET}\n"))
    assert vault.kept == {}, "nothing is kept unless it was asked for"
    home.library.sync(passwords=password_file(home, f"{SECRET}\n"), remember=True)
    assert vault.kept == {("ragdesk", home.document_id("other.pdf")): SECRET}
    home.container.pool().passwords = Passwords()  # as after a restart
    assert home.container.pool().render(home.folder / "other.pdf", page=1, width=100)


def test_without_a_keyring_keeping_says_what_to_do(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_store, "system_store", lambda: None)
    with pytest.raises(ConfigError, match="pip install keyring"):
        home.library.sync(passwords=password_file(home, f"{SECRET}\n"), remember=True)
    assert home.reasons()["other.pdf"] is None, "it is opened all the same"
