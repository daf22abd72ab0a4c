"""Documents removed from search and let in again, and those that need a password.

What was derived of them is deleted; their files stay where they are and are passed over.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rag.errors import ConfigError, UnknownDocument, UnreadableDocument
from rag.ingestion.passwords import LOCKED, keep
from rag.ingestion.scan import content_id, real_path
from rag.text.messages import Text
from rag.types.documents import FORGOTTEN

if TYPE_CHECKING:
    from rag.ingestion.scan import FoundFile
    from rag.ingestion.workers.pool import WorkerPool
    from rag.storage.ledger import FileRow, Ledger


_SHOWN = 3  # paths named when a name is not enough


def find_document(ledger: Ledger, wanted: str) -> str:
    """Return the id of the document with this id, path or name.

    Raises:
        UnknownDocument: there is none, or the name is that of several.
    """
    if wanted in ledger.document_ids():
        return wanted
    row = _named([row for row in ledger.files().values() if row.document_id], wanted)
    assert row.document_id is not None
    return row.document_id


def let_in(ledger: Ledger, folder: Path, wanted: str = "") -> None:
    """Let a forgotten document in again at the next sync; without a name, all of them.

    Raises:
        UnknownDocument: no forgotten document has this path or name.
    """
    passed_over = [row for row in ledger.files().values() if row.reason == FORGOTTEN]
    ids = ledger.forgotten()
    if wanted:
        row = _named(passed_over, wanted)
        try:
            ids = {content_id(real_path(folder, row.path))}
        except OSError as error:
            raise _unknown(wanted) from error
    # The ledger does not know which path held what. Those that stay out are found out again
    # by the next sync; the other way round, a kill in between would leave paths that it skips.
    ledger.remove_files([row.path for row in passed_over])
    ledger.remember(ids)


def _named(rows: Iterable[FileRow], wanted: str) -> FileRow:
    """Return the row with this path, else the one with this name."""
    path = PurePosixPath(unicodedata.normalize("NFC", wanted).replace("\\", "/"))
    known = list(rows)
    found = [row for row in known if row.path == str(path)]
    if not found and len(path.parts) == 1:
        found = [row for row in known if PurePosixPath(row.path).name == path.name]
    if not found:
        raise _unknown(wanted)
    if len({row.document_id or row.path for row in found}) > 1:
        paths = ", ".join(row.path for row in found[:_SHOWN])
        raise UnknownDocument(
            Text(
                f"{len(found)} files are called {wanted}: {paths}.",
                f"有 {len(found)} 个文件名为 {wanted}：{paths}。",
            ),
            hint=Text("Give the path of the one you mean.", "请给出其中一个的路径。"),
        )
    return found[0]


def _unknown(wanted: str) -> UnknownDocument:
    return UnknownDocument(
        Text(f"The library has no document {wanted}.", f"资料库中没有文档 {wanted}。"),
        hint=Text("`rag status` lists all documents.", "`rag status` 可列出所有文档。"),
    )


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

    def locked(self, files: Iterable[FoundFile]) -> dict[str, list[FoundFile]]:
        """Return the locked documents among these files, if new passwords came in."""
        found: dict[str, list[FoundFile]] = {}
        fresh, self._fresh = self._fresh, False
        if not fresh:
            return found
        rows = self._ledger.connection.execute(
            "SELECT id FROM documents WHERE reason IN (?, ?)", tuple(sorted(LOCKED))
        )
        locked, known = {row[0] for row in rows}, self._ledger.files()
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

    def unlock(
        self,
        folder: Path,
        sync_soon: Callable[[], None],
        document_id: str,
        password: str,
        *,
        remember: bool,
    ) -> Text | None:
        """Take a password from the screen; return why it could not be kept, if it could not.

        The document is read at the sync that ``sync_soon`` asks for.

        Raises:
            UnknownDocument: there is no such document.
            UnreadableDocument: the password does not open it.
        """
        rows = self._ledger.files().values()
        path = next((row.path for row in rows if row.document_id == document_id), None)
        if path is None:
            raise UnknownDocument(
                Text("This document is not there any more.", "该文档已不存在。"),
                hint=Text("Look at the list again.", "请重新查看列表。"),
            )
        note = None
        try:
            self.give(document_id, real_path(folder, path), password, remember=remember)
        except ConfigError as error:
            note = Text(error.say("en"), error.say("zh"))
        sync_soon()
        return note

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
