"""Passwords of PDFs: in memory for as long as the program runs, and nowhere else by itself.

They are never logged and never written to the ledger. Only if a person says so, one is kept
in the system's own store, under the document's content id.
"""

from __future__ import annotations

import threading
import unicodedata
from pathlib import Path
from stringprep import in_table_b1

from rag.errors import ConfigError
from rag.ingestion.scan import content_id
from rag.system.secrets import NoStore, has_store, keep_secret, kept_secret
from rag.text.messages import Text

_MOST = 200  # tried one after the other on each locked file
LOCKED = frozenset({"encrypted", "wrong_password"})
"""Reasons that a password may mend."""


class Passwords:
    """What was given, for all files or for one name."""

    def __init__(self) -> None:
        self._for_all: list[str] = []
        self._named: dict[str, list[str]] = {}
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return "Passwords()"  # whatever prints it, prints none

    def add(self, password: str, *, name: str | None = None) -> None:
        """Take one in, for every file or only for files called ``name``."""
        with self._guard:
            known = self._for_all if name is None else self._named.setdefault(_plain(name), [])
            if password not in known:
                known.insert(0, password)

    def drop(self, password: str, *, name: str) -> None:
        """Forget one that does not fit."""
        with self._guard:
            known = self._named.get(_plain(name), [])
            if password in known:
                known.remove(password)

    def add_file(self, path: Path) -> None:
        """Take in a file: one password a line, or a file's name, a tab and its password.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                Text(f"The password file {path} cannot be read.", f"无法读取密码文件 {path}。"),
                hint=Text(
                    "It is a UTF-8 text file: one password a line, or NAME, a tab, PASSWORD.",
                    "应为 UTF-8 文本文件：每行一个密码，或“文件名、制表符、密码”。",
                ),
            ) from error
        for line in reversed(lines):
            name, tab, password = line.partition("\t")
            if tab:
                self.add(password, name=name.strip())
            elif line:
                self.add(line)

    def candidates(self, path: Path) -> tuple[str, ...]:
        """Return what to try on a file, the likeliest first."""
        with self._guard:
            found = [*self._named.get(_plain(path.name), ()), *self._for_all]
        prepared = [form for password in found for form in (password, _prepared(password))]
        return tuple(dict.fromkeys(prepared))[:_MOST]

    def recall(self, path: Path) -> bool:
        """Look into the system's store for this file; return whether there was one."""
        if not has_store():
            return False
        try:
            password = kept_secret(content_id(path))
        except OSError:  # the file went
            return False
        if password is None or password in self.candidates(path):
            return False
        self.add(password, name=path.name)
        return True


def keep(document_id: str, password: str) -> None:
    """Keep a password in the system's store, for this document.

    Raises:
        ConfigError: there is no such store here.
    """
    try:
        keep_secret(document_id, password)
    except NoStore as error:
        raise ConfigError(
            Text(
                "The password is used now, but there is no keyring here to keep it in.",
                "密码本次有效，但此系统没有可用的密钥环来保存它。",
            ),
            hint=Text(
                f"{error.remedy.en}, or give it each time.",
                f"{error.remedy.zh}，或每次输入密码。",
            ),
        ) from error


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _prepared(password: str) -> str:
    """Return the form that newer PDFs are locked with (SASLprep, RFC 4013, without its bans)."""
    return unicodedata.normalize("NFKC", "".join(c for c in password if not in_table_b1(c)))
