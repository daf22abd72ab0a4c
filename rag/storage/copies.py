"""Copies of the ledger, for who must not change it: they go when nobody needs them any more.

A copy lies beside the ledger, because that is where a person expects its text to be; elsewhere
only if nothing can be written there.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from rag.storage.database import MIGRATIONS, connect, file_version, migrate
from rag.storage.errors import store_failure, writable
from rag.system.process import remove_left


class LedgerCopy:
    """A copy of the ledger at ``library``, as it stood when ``source`` read it.

    Others may write the ledger meanwhile: what they do is in the copy whole or not at all.

    Raises:
        StoreError: it cannot be copied.
    """

    def __init__(self, library: Path, source: sqlite3.Connection, *, prefix: str) -> None:
        import tempfile  # nowhere else: hardly any library needs a copy

        home = library.parent
        beside = home if writable(home) else Path(tempfile.gettempdir())
        remove_left(beside, prefix)
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix=f"{prefix}{os.getpid()}-", dir=beside, ignore_cleanup_errors=True
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
        copy = LedgerCopy(library, source, prefix="ragdesk-older-")
    try:
        with closing(connect(copy.file)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # nobody needs it after a crash
            migrate(connection, copy.file)
    except BaseException:
        copy.remove()
        raise
    return copy
