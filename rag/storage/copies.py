"""Copies of the ledger, for who must not change it: they go when nobody needs them any more.

A copy lies beside the ledger, because that is where a person expects its text to be; elsewhere
only if nothing can be written there. Copying takes about a second for a gigabyte.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from rag.storage.database import MIGRATIONS, connect, file_version, migrate
from rag.storage.errors import store_failure, writable

_LEFT_BEHIND_S = 24 * 3600


class LedgerCopy:
    """A copy of the ledger at ``library``, as it stood when ``source`` read it.

    Others may write the ledger meanwhile: what they do is in the copy whole or not at all.

    Raises:
        StoreError: it cannot be copied.
    """

    def __init__(self, library: Path, source: sqlite3.Connection, *, prefix: str) -> None:
        home = library.parent
        beside = home if writable(home) else None
        if beside is not None:
            _tidy(beside, prefix)
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix=prefix, dir=beside, ignore_cleanup_errors=True
            )
        except OSError as error:
            raise store_failure(library, error) from error
        self.file = Path(self._folder.name) / library.name
        try:
            with closing(sqlite3.connect(self.file)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            self.remove()
            raise store_failure(self.file, error) from error

    def remove(self) -> None:
        """Remove the copy, once no connection to it is open; nothing the second time."""
        self._folder.cleanup()


def current_copy(library: Path) -> LedgerCopy | None:
    """Return a copy of an older ledger with this program's tables; ``None`` if it has them.

    Raises:
        LibraryTooNew: a newer program wrote the ledger.
        StoreError: it cannot be read or copied.
    """
    with closing(connect(library, read_only=True)) as source:
        if file_version(source, library) == len(MIGRATIONS):
            return None
        copy = LedgerCopy(library, source, prefix="older-")
    try:
        with closing(connect(copy.file)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # nobody needs it after a crash
            migrate(connection, copy.file)
    except BaseException:
        copy.remove()
        raise
    return copy


def _tidy(home: Path, prefix: str) -> None:
    """Remove copies whose process was killed."""
    for left in home.glob(f"{prefix}*"):
        with suppress(OSError):  # another command may be removing its own
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND_S:
                shutil.rmtree(left, ignore_errors=True)
