"""Documents that need a password: which to try again, and which password to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rag.errors import ConfigError, UnknownDocument, UnreadableDocument
from rag.ingestion.passwords import LOCKED, keep
from rag.ingestion.scan import real_path
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.ingestion.scan import FoundFile
    from rag.ingestion.workers.pool import WorkerPool
    from rag.storage.ledger import Ledger
    from rag.storage.rows import FileRow


class Unlock(Protocol):
    """What the screen calls with a password."""

    def __call__(self, document_id: str, password: str, *, remember: bool) -> Text | None:
        """Open a document; return why the password could not be kept, if it could not.

        Raises:
            UnknownDocument: there is no such document.
            UnreadableDocument: the password does not open it.
        """


class Unlocking:
    """Stands between the passwords that were given and the documents that wait for one."""

    def __init__(self, ledger: Ledger, pool: Callable[[], WorkerPool]) -> None:
        self._ledger = ledger
        self._pool = pool
        self._fresh = False  # passwords came in since locked files were tried last

    def take_in(self, file: Path) -> None:
        """Take in a file of passwords.

        Raises:
            ConfigError: it cannot be read.
        """
        self._pool().passwords.add_file(file)
        self._fresh = True

    def locked(
        self, files: Iterable[FoundFile], known: dict[str, FileRow]
    ) -> dict[str, list[FoundFile]]:
        """Return the locked documents among these files, if new passwords came in."""
        found: dict[str, list[FoundFile]] = {}
        fresh, self._fresh = self._fresh, False
        if not fresh:
            return found
        rows = self._ledger.connection.execute(
            "SELECT id FROM documents WHERE reason IN (?, ?)", tuple(sorted(LOCKED))
        )
        locked = {row[0] for row in rows}
        for file in files:
            row = known.get(file.path)
            if row is not None and row.document_id is not None and row.document_id in locked:
                found.setdefault(row.document_id, []).append(file)
        return found

    def give(self, document_id: str, path: Path, password: str, *, remember: bool) -> None:
        """Take a person's password for a document.

        Raises:
            UnreadableDocument: it does not open the file, or there is another reason.
            ConfigError: it does, but cannot be kept.
        """
        passwords = self._pool().passwords
        passwords.add(password, name=path.name)
        try:
            fits = self._pool().fitting(path)
        except UnreadableDocument:
            passwords.drop(password, name=path.name)
            raise
        self._fresh = True
        if remember and fits is not None:
            keep(document_id, fits)

    def unlocker(self, folder: Path, sync_soon: Callable[[], None]) -> Unlock:
        """Return what takes a password from the screen and has the document read."""

        def unlock(document_id: str, password: str, *, remember: bool) -> Text | None:
            rows = self._ledger.files().values()
            path = next((row.path for row in rows if row.document_id == document_id), None)
            if path is None:
                raise UnknownDocument(
                    Text("This document is not there any more.", "该文档已不存在。"),
                    hint=Text("Look at the list again.", "请重新查看列表。"),
                )
            try:
                self.give(document_id, real_path(folder, path), password, remember=remember)
            except ConfigError as error:
                sync_soon()
                return Text(error.say("en"), error.say("zh"))
            sync_soon()
            return None

        return unlock

    def keep_all(self, folder: Path) -> None:
        """Keep the password of each document that was opened with one of those given.

        Raises:
            ConfigError: there is nowhere to keep them.
        """
        for row in self._ledger.files().values():
            path = real_path(folder, row.path)
            if row.document_id is None or not self._pool().passwords.candidates(path):
                continue
            try:
                fits = self._pool().fitting(path)
            except UnreadableDocument:
                continue
            if fits is not None:
                keep(row.document_id, fits)
