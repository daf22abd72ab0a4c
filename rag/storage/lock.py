"""One process owns a library for writing. A second one is told who it is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import LibraryBusy
from rag.storage.errors import store_failure
from rag.text.messages import Text


class LibraryLock:
    """Holds the library's lock until ``release``; the system lets go of it if we die."""

    def __init__(self, data: Path) -> None:
        """Take the lock of the library in ``data``.

        Raises:
            LibraryBusy: another process holds it.
            StoreError: the folder cannot be written.
        """
        self._note = data / "owner.json"
        self._lock = FileLock(data / "owner.lock")
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            who = _who(self._note)
            raise LibraryBusy(
                Text(
                    f"The library {data.parent} is in use by {who}.",
                    f"资料库 {data.parent} 正被 {who} 使用。",
                ),
                hint=Text("Wait until it is done, or close it.", "请等待其完成，或先关闭它。"),
            ) from error
        except OSError as error:
            raise store_failure(data, error) from error
        try:
            self._note.write_text(
                json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv[:3])}), "utf-8"
            )
        except OSError as error:
            self._lock.release()
            raise store_failure(data, error) from error

    def release(self) -> None:
        """Let others write."""
        self._note.unlink(missing_ok=True)
        self._lock.release()


def _who(note: Path) -> str:
    try:
        found = json.loads(note.read_text("utf-8"))
        return f"{found['command']} (pid {found['pid']})"
    except (OSError, ValueError, KeyError):
        return "another process"
